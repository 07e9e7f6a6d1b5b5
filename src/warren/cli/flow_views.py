"""The bridges that `warren flows` is asked about, each read as one `View`, and which of two sources belong together."""

from dataclasses import dataclass, replace
from typing import Final

from warren.cli.live import open_estate
from warren.core.errors import Invalid, NotFound
from warren.inspect.decode import Decoder
from warren.inspect.diff import Side
from warren.inspect.explain.context import Context, alone, context_of, openflow_names
from warren.inspect.parse.dump import Dump, read_dump
from warren.inspect.parse.problem import Problem
from warren.inspect.parse.text import printable
from warren.inspect.snapshot.model import Bridge, Estate, Host
from warren.sources.names import names_from
from warren.sources.open import LOCAL

NAMED: Final = 12
"""Bridges that an error names where one was asked for that is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What every command of `warren flows` is asked besides its own: which bridges, names from where, text or JSON."""

    host: str | None = None
    bridge: str | None = None
    names: str | None = None
    cloud: str | None = None
    as_json: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One bridge of one host, read."""

    host: str
    """Empty for a dump alone, which does not say where it is from."""
    bridge: str
    dump: Dump
    decoder: Decoder
    context: Context
    problems: tuple[Problem, ...] = ()
    """What of the host's other files was not read."""

    @property
    def title(self) -> str:
        return f"{self.host}  {self.bridge}" if self.host else self.bridge

    @property
    def side(self) -> Side:
        """As one of the two sides of a comparison."""
        return Side(self.dump.flows, self.decoder)


def views_of(source: str | None, asked: Asked) -> list[View]:
    """Every bridge of the source that has flows, as far as it is asked for.

    Raises:
        NotFound: there is none.
    """
    names = names_from(asked.names, asked.cloud)
    estate = open_estate([source] if source else [], names)
    there = [(host, bridge) for host in estate.hosts for bridge in host.bridges if bridge.flows is not None]
    found = [
        _view(estate, host, bridge)
        for host, bridge in there
        if asked.host in (None, host.name) and asked.bridge in (None, bridge.name)
    ]
    if not found:
        known = ", ".join(f"{host.name} {bridge.name}" for host, bridge in there[:NAMED])
        why = (
            f"of such a host and bridge; there are {known}{' …' if len(there) > NAMED else ''}"
            if known
            else "to read: no dump of them is there, or Open vSwitch does not run or answers root alone"
        )
        raise NotFound("NoFlows", f"{printable(source or LOCAL)} has no flows {why}")
    return found


def _view(estate: Estate, host: Host, bridge: Bridge) -> View:
    printout = bridge.flows
    dump = read_dump(printout.text, printout.file) if printout else Dump(file="-", flows=())
    decoder = Decoder(names=openflow_names(bridge))
    context = context_of(estate, host, bridge, dump.flows, decoder)
    name = "" if host.name == dump.file else host.name
    return View(host=name, bridge=bridge.name, dump=dump, decoder=decoder, context=context, problems=host.problems)


def view_of_flow(text: str) -> View:
    """A flow given on the command line, with nothing around it."""
    dump = read_dump(text, "the flow")
    decoder = Decoder()
    return View(host="", bridge="", dump=dump, decoder=decoder, context=alone("", dump.flows, decoder))


def with_flow(views: list[View], text: str) -> View:
    """The one view that can explain a flow given on the command line.

    Raises:
        Invalid: there are several.
    """
    if len(views) > 1:
        raise Invalid("WhichBridge", "the source has several bridges: name one with --bridge, and its --host")
    return replace(views[0], dump=read_dump(text, "the flow"))


def paired(before: list[View], after: list[View]) -> list[tuple[View, View]]:
    """Bridges that belong together: by host and name, or by name alone where each side is one host.

    A bridge of one side only is compared with an empty one.
    """
    by_host = len({view.host for view in before}) > 1 or len({view.host for view in after}) > 1
    if len(before) == len(after) == 1:
        return [(before[0], after[0])]

    def key(view: View) -> tuple[str, str]:
        return (view.host if by_host else "", view.bridge)

    old, new = {key(view): view for view in before}, {key(view): view for view in after}
    return [
        (old.get(each) or _emptied(new[each]), new.get(each) or _emptied(old[each]))
        for each in dict.fromkeys([*old, *new])
    ]


def _emptied(view: View) -> View:
    return replace(view, dump=replace(view.dump, flows=()))
