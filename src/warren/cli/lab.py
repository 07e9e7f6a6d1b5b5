"""`warren lab`: several hosts on one machine, each with its own Open vSwitch."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from rich.console import Console
from rich.table import Table

from warren.core.errors import NotFound
from warren.core.state import NetworkType, Plug, TunnelMode
from warren.lab import control, machine, status
from warren.lab.api import Client
from warren.lab.directory import LabDirectory, open_lab, typed
from warren.lab.down import take_down
from warren.lab.experiments import output, results
from warren.lab.experiments.run import check_lab, chosen
from warren.lab.experiments.run import run as run_experiments
from warren.lab.instances import Instance, Kind, boot, console, find
from warren.lab.plan import LabPlan, checked_name, plan_hosts
from warren.lab.report import render
from warren.lab.signals import ending_in_order, uninterrupted
from warren.lab.terminal import Teller, sum_up
from warren.lab.up import bring_up

F = TypeVar("F", bound=Callable[..., object])
GUEST_COMMAND_S = 3600.0
_SHAPE: Final = ("name", "hosts", "network_hosts", "tunnel", "mode", "plug", "ageing_s")
_console = Console(highlight=False)


@click.group("lab")
def command() -> None:
    """Several hosts on this machine, each with its own Open vSwitch, agent and namespaces."""


def _named(function: F) -> F:
    option = click.option("--name", default="default", show_default=True, help="Which lab, where several are up.")
    return option(function)


def _shaped(*, ageing_s: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The options that say what a lab is to be; the command gets the `plan` that they make."""
    learned = "Seconds that a learned entry lives without being refreshed; 300 is what real deployments have."
    options = (
        click.option("--hosts", type=int, help="Hosts in all  [default: two compute hosts beside the network hosts]"),
        click.option("--network-hosts", type=int, default=1, show_default=True, help="Hosts with the network role."),
        click.option("--tunnel", type=click.Choice(["vxlan", "gre"]), default="vxlan", show_default=True,
                     help="How tenant frames travel between hosts."),
        click.option("--mode", type=_choice(TunnelMode), default="learning", show_default=True,
                     help="How br-tun knows where a MAC address is."),
        click.option("--plug", type=_choice(Plug), default="hybrid", show_default=True,
                     help="How an instance meets br-int."),
        click.option("--ageing", "ageing_s", type=click.IntRange(1, 65535), default=ageing_s, show_default=True,
                     help=learned),
    )  # fmt: skip

    def shaped(function: Callable[..., None]) -> Callable[..., None]:
        @wraps(function)
        def planned(**given: Any) -> None:
            shape = {name: given.pop(name) for name in _SHAPE}
            function(plan=_plan(shape), **given)

        for option in reversed(options):
            planned = option(planned)
        return _named(planned)

    return shaped


def _run_options(function: F) -> F:
    """The options that say how the experiments are run."""
    out = click.option("--out", type=click.Path(path_type=Path, file_okay=False), default="out",
                       show_default=True, help="Where results.json, report.html and the raw outputs go.")  # fmt: skip
    return click.argument("experiments", nargs=-1, metavar="[EXPERIMENT]…")(_kind_option(out(function)))


def _kind_option(function: F) -> F:
    return click.option("--instance", "kind", type=_choice(Kind), default="netns", show_default=True,
                        help="Instances that are network namespaces, or real guests of QEMU.")(function)  # fmt: skip


def _choice(values: type[TunnelMode] | type[Plug] | type[Kind]) -> "click.Choice[str]":
    return click.Choice([value.value for value in values])


def _plan(shape: Mapping[str, Any]) -> LabPlan:
    """What the options say; two compute hosts where they do not say how many."""
    network_hosts, total = shape["network_hosts"], shape["hosts"]
    return LabPlan(
        name=checked_name(shape["name"]),
        hosts=plan_hosts(total=network_hosts + 2 if total is None else total, network_hosts=network_hosts),
        tunnel=NetworkType(shape["tunnel"]),
        mode=TunnelMode(shape["mode"]),
        plug=Plug(shape["plug"]),
        ageing_s=shape["ageing_s"],
    )


def _bring_up(plan: LabPlan) -> LabDirectory:
    started = time.monotonic()
    with _console.status("starting") as spinner:
        lab = bring_up(plan, say=lambda doing: spinner.update(f"starting lab {plan.name}: {doing}"))
    took_s = time.monotonic() - started
    _console.print(f"Lab [bold]{plan.name}[/] is up after {took_s:.1f} s: {plan.host_names()}.", soft_wrap=True)
    return lab


@command.command()
@_shaped(ageing_s=300)
def up(plan: LabPlan) -> None:
    """Start a lab."""
    with ending_in_order():
        lab = _bring_up(plan)
    for what, how in (
        ("files", str(lab.path)),
        ("API", f"OS_CLIENT_CONFIG_FILE={lab.clouds_yaml} openstack --os-cloud {control.CLOUD} network list"),
        ("experiments", typed("run", plan.name)),
        ("look inside", typed("shell", plan.name, plan.hosts[-1].name)),
        ("end", typed("down", plan.name)),
    ):
        _console.print(f"  {what:<12}{how}", soft_wrap=True)


@command.command()
@_named
def down(name: str) -> None:
    """Take a lab down, also one that crashed, and say what was removed."""
    checked_name(name)
    with uninterrupted():
        removed = take_down(name)
    for sentence in removed.sentences():
        _console.print(f"  {sentence}", soft_wrap=True)
    _console.print(f"Lab '{name}' is down." if removed else f"There is no lab '{name}'; nothing was removed.")


@command.command("run")
@_named
@_run_options
def run_on_lab(name: str, kind: str, out: Path, experiments: tuple[str, ...]) -> None:
    """Run experiments on a lab that is up.

    All six, or those named and the ones before them. Every instance, network and router of the lab is deleted first,
    whoever made it; what this run makes stays, to be looked at. The exit status is 0 only if every claim holds.
    """
    numbers = chosen(experiments)
    lab = open_lab(name)
    with ending_in_order():
        _experiment(lab, numbers, Kind(kind), out)


@command.command("all")
@_shaped(ageing_s=10)
@_run_options
def up_run_down(plan: LabPlan, kind: str, out: Path, experiments: tuple[str, ...]) -> None:
    """Start a lab, run the experiments, take the lab down again.

    The exit status is 0 only if every claim holds.
    """
    numbers = chosen(experiments)
    machine.check(plan.plug)
    check_lab(plan, Kind(kind))
    output.prepare(out)
    with ending_in_order():
        lab = _bring_up(plan)
        try:
            _experiment(lab, numbers, Kind(kind), out)
        finally:
            with uninterrupted():
                take_down(plan.name)
            _console.print(f"Lab '{plan.name}' is down again.")


def _experiment(lab: LabDirectory, numbers: tuple[int, ...], kind: Kind, out: Path) -> None:
    """Run, write, sum up, and end with the status that says whether every claim holds."""
    check_lab(lab.plan, kind)
    output.prepare(out)
    try:
        done = run_experiments(lab, numbers, kind=kind, out=out, tell=Teller(_console))
        results.write(done, out)
        (out / "report.html").write_text(render(done), encoding="utf-8")
    finally:
        output.hand_over(out)
    sum_up(_console, done)
    _console.print(f"  report   {out / 'report.html'}\n  results  {out / 'results.json'}", soft_wrap=True)
    if not done.has_held:
        sys.exit(1)


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
    _console.print(f"server {found['server']['url']}, process {_pid(found['server']['pid'])}", soft_wrap=True)
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
    for instance in found["instances"]:
        _console.print(
            f"{instance['name']} on {instance['host']}: {instance['kind']}, {instance['address'] or 'no address'}, "
            f"port {instance['port_id']}, process {_pid(instance['pid'])}",
            soft_wrap=True,
        )


def _pid(pid: int | None) -> str:
    return "[red]ended[/]" if pid is None else str(pid)


@command.command("exec", context_settings={"ignore_unknown_options": True})
@_named
@click.argument("where", metavar="HOST|INSTANCE")
@click.argument("words", metavar="COMMAND…", nargs=-1, required=True, type=click.UNPROCESSED)
def execute(name: str, where: str, words: tuple[str, ...]) -> None:
    """Run a command on a host or in an instance.

    The exit status is the command's. In a real guest it gets no input, and its standard error comes with the output.
    """
    _become(name, where, list(words))


@command.command()
@_named
@click.argument("where", metavar="HOST|INSTANCE")
def shell(name: str, where: str) -> None:
    """Open a shell on a host or in an instance.

    Of a real guest it is the console, which Ctrl-] leaves.
    """
    lab = open_lab(name)
    found = find(lab, where)
    if isinstance(found, Instance) and found.kind is Kind.QEMU:
        console.attach(found.directory)
    else:
        _become(name, where, ["bash", "--norc", "-i"])


def _become(name: str, where: str, words: list[str]) -> None:
    lab = open_lab(name)
    found = find(lab, where)
    if isinstance(found, Instance) and found.kind is Kind.QEMU:
        done = found.run(lab, *words, timeout_s=GUEST_COMMAND_S)
        click.echo(done.stdout, nl=False)
        sys.exit(done.returncode)
    place = found.place(lab) if isinstance(found, Instance) else found
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and what is executed would inherit that
    os.execvpe("nsenter", place.command(words), place.environment())  # noqa: S606 - no shell is wanted


@command.command("boot")
@_named
@click.argument("instance")
@click.option("--host", "on_host", required=True, help="Which compute host.")
@click.option("--network", required=True, help="Which network, by name or id.")
@_kind_option
def boot_instance(name: str, instance: str, on_host: str, network: str, kind: str) -> None:
    """Boot an instance.

    Creates its port, plugs it, waits until it is ACTIVE, starts it and waits for its lease.
    """
    lab = open_lab(name)
    client = Client(control.admin(lab), say=lambda line: _console.print(f"  {line}", soft_wrap=True))
    found = client.networks(name=network) or client.networks(id=network)
    if len(found) != 1:
        there = ", ".join(sorted(other.name for other in client.networks())) or "none"
        word = "no network" if not found else "more than one network"
        raise NotFound("NetworkNotFound", f"The lab has {word} '{network}' (networks: {there}).")
    booted = boot.boot(lab, client, name=instance, on_host=on_host, network=found[0], kind=Kind(kind))
    where = f"[bold]{instance}[/] runs on {on_host}, port {booted.port_id}"
    if not booted.address:
        _console.print(f"{where}, without an address: network '{found[0].name}' has no subnet.", soft_wrap=True)
        return
    lease = boot.wait_lease(lab, booted)
    _console.print(f"{where}, address {lease['address']} by DHCP.", soft_wrap=True)
