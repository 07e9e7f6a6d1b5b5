"""`warren lab`: several hosts on one machine, each with its own Open vSwitch."""

import json
import os
import sys
import time
from collections.abc import Callable
from typing import TypeVar

import click
from rich.console import Console
from rich.table import Table

from warren.core.errors import NotFound
from warren.core.state import NetworkType, Plug, TunnelMode
from warren.lab import control, host, status
from warren.lab.api import Client
from warren.lab.directory import open_lab
from warren.lab.down import take_down
from warren.lab.instances import Kind, boot, load, load_all
from warren.lab.plan import LabPlan, checked_name, plan_hosts
from warren.lab.up import bring_up

F = TypeVar("F", bound=Callable[..., object])
_console = Console(highlight=False)


@click.group("lab")
def command() -> None:
    """Several hosts on this machine, each with its own Open vSwitch, agent and namespaces."""


def _named(function: F) -> F:
    return click.option("--name", default="default", show_default=True, help="Which lab, where several are up.")(
        function
    )


def _shaped(function: F) -> F:
    """The options that say what a lab is to be."""
    for option in (
        click.option(
            "--ageing",
            "ageing_s",
            type=click.IntRange(1, 65535),
            default=300,
            show_default=True,
            help="Seconds that a learned entry lives without being refreshed.",
        ),
        click.option(
            "--plug",
            type=click.Choice([p.value for p in Plug]),
            default="hybrid",
            show_default=True,
            help="How an instance meets br-int.",
        ),
        click.option(
            "--mode",
            type=click.Choice([m.value for m in TunnelMode]),
            default="learning",
            show_default=True,
            help="How br-tun knows where a MAC address is.",
        ),
        click.option(
            "--tunnel",
            type=click.Choice(["vxlan", "gre"]),
            default="vxlan",
            show_default=True,
            help="How tenant frames travel between hosts.",
        ),
        click.option("--network-hosts", type=int, default=1, show_default=True, help="Hosts with the network role."),
        click.option(
            "--hosts", type=int, help="Hosts in all; two compute hosts beside the network hosts unless given."
        ),
    ):
        function = option(function)
    return _named(function)


def _plan(*, name: str, hosts: int | None, network_hosts: int, **shape: object) -> LabPlan:
    return LabPlan(
        name=checked_name(name),
        hosts=plan_hosts(total=network_hosts + 2 if hosts is None else hosts, network_hosts=network_hosts),
        tunnel=NetworkType(shape["tunnel"]),
        mode=TunnelMode(shape["mode"]),
        plug=Plug(shape["plug"]),
        ageing_s=int(str(shape["ageing_s"])),
    )


@command.command()
@_shaped
def up(**shape: object) -> None:
    """Start a lab."""
    plan = _plan(**shape)  # type: ignore[arg-type]
    started = time.monotonic()
    with _console.status("starting") as spinner:
        lab = bring_up(plan, say=spinner.update)
    _console.print(f"Lab [bold]{plan.name}[/] is up after {time.monotonic() - started:.1f} s: {plan.host_names()}.")
    _console.print(f"  files     {lab.path}")
    _console.print(f"  look      warren lab shell {plan.hosts[-1].name}   then: ovs-ofctl dump-flows br-tun")


@command.command()
@_named
def down(name: str) -> None:
    """Take a lab down, also one that crashed, and say what was removed."""
    removed = take_down(name)
    for sentence in removed.sentences():
        _console.print(f"  {sentence}")
    _console.print(f"Lab '{name}' is down." if removed else f"There is no lab '{name}'; nothing was removed.")


@command.command("status")
@_named
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
def show_status(name: str, *, as_json: bool) -> None:
    """Say what a lab consists of right now."""
    found = status.read(open_lab(name))
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    _console.print(
        f"Lab [bold]{found['name']}[/]: {found['tunnel']}, {found['mode']}, plug {found['plug']}, "
        f"ageing {found['ageing_s']} s, datapath {found['datapath_type']}"
    )
    table = Table(box=None, pad_edge=False)
    for column in ("host", "role", "vtep", "agent", "ovsdb-server", "ovs-vswitchd"):
        table.add_column(column)
    for entry in found["hosts"]:
        ovs = entry["ovs_pids"]
        table.add_row(
            entry["name"],
            entry["role"],
            entry["vtep"],
            _pid(entry["agent_pid"]),
            _pid(ovs.get("ovsdb-server")),
            _pid(ovs.get("ovs-vswitchd")),
        )
    _console.print(table)


def _pid(pid: int | None) -> str:
    return "[red]ended[/]" if pid is None else str(pid)


@command.command("exec", context_settings={"ignore_unknown_options": True})
@_named
@click.argument("where", metavar="HOST|INSTANCE")
@click.argument("words", metavar="COMMAND…", nargs=-1, required=True, type=click.UNPROCESSED)
def execute(name: str, where: str, words: tuple[str, ...]) -> None:
    """Run a command on a host or in an instance; its exit status is this command's."""
    _become(name, where, list(words))


@command.command()
@_named
@click.argument("where", metavar="HOST|INSTANCE")
def shell(name: str, where: str) -> None:
    """Open a shell on a host or in an instance."""
    _become(name, where, ["bash", "--norc", "-i"])


def _become(name: str, where: str, words: list[str]) -> None:
    lab = open_lab(name)
    if where in load_all(lab):
        instance = load(lab, where)
        if instance.kind is Kind.QEMU:
            done = instance.run(lab, *words, timeout_s=600)
            click.echo(done.stdout, nl=False)
            sys.exit(done.returncode)
        place = instance.place(lab)
    else:
        place = host.place(lab, where)
    os.execvpe("nsenter", place.command(words), place.environment())  # noqa: S606 - no shell is wanted


@command.command("boot")
@_named
@click.argument("instance")
@click.option("--host", "on_host", required=True, help="Which compute host.")
@click.option("--network", required=True, help="Which network, by name or id.")
@click.option(
    "--instance",
    "kind",
    type=click.Choice([k.value for k in Kind]),
    default="netns",
    show_default=True,
    help="A network namespace, or a real guest.",
)
def boot_instance(name: str, instance: str, on_host: str, network: str, kind: str) -> None:
    """Boot an instance: create its port, plug it, wait until it is ACTIVE, start it, wait for its lease."""
    lab = open_lab(name)
    client = Client(control.access(lab).credentials(), say=lambda line: _console.print(f"  {line}"))
    found = client.networks(name=network) or client.networks(id=network)
    if len(found) != 1:
        there = ", ".join(sorted(other.name for other in client.networks())) or "none"
        word = "no network" if not found else "more than one network"
        raise NotFound("NetworkNotFound", f"The lab has {word} '{network}' (networks: {there}).")
    booted = boot.boot(lab, client, name=instance, on_host=on_host, network=found[0], kind=Kind(kind))
    lease = boot.wait_lease(lab, booted)
    _console.print(f"[bold]{instance}[/] runs on {on_host}, port {booted.port_id}, address {lease['address']} by DHCP.")
