"""What a flow does, as values. Spellings that mean the same (`load`, `set_field`, `mod_dl_src`) are one value.

Printing is `str(action)`; it reads back to an equal value. Source: ovs-actions(7).
"""

from dataclasses import dataclass
from typing import TypeAlias

from warren.inspect.parse.fields import Field
from warren.inspect.parse.match import quote, value_text
from warren.inspect.parse.values import PORT_NAMES, PORTS

Port: TypeAlias = int | str
"""OpenFlow port number; its name where no map gives it one."""
TableId: TypeAlias = int | str


def port_word(port: Port) -> str:
    """A port as ovs-ofctl writes it."""
    return quote(port) if isinstance(port, str) else PORT_NAMES.get(port, str(port))


@dataclass(frozen=True, slots=True)
class Subfield:
    """`bits` bits of a field from bit `start` on."""

    field: Field
    start: int
    bits: int

    @property
    def is_whole(self) -> bool:
        return self.bits == self.field.bits

    def __str__(self) -> str:
        if self.is_whole:
            return f"{self.field.nxm}[]"
        if self.bits == 1:
            return f"{self.field.nxm}[{self.start}]"
        return f"{self.field.nxm}[{self.start}..{self.start + self.bits - 1}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """To a port, or to NORMAL, FLOOD and so on by their numbers (`values.PORTS`). `max_len` 0: the whole packet."""

    port: Port
    max_len: int = 0

    def __str__(self) -> str:
        if self.max_len:
            return f"output(port={port_word(self.port)},max_len={self.max_len})"
        if isinstance(self.port, int) and self.port in PORT_NAMES and self.port != PORTS["ANY"]:
            return port_word(self.port)
        return f"output:{port_word(self.port)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputField:
    """To the port whose number a field holds."""

    source: Subfield

    def __str__(self) -> str:
        return f"output:{self.source}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Controller:
    """To a controller; `arguments` as they stand (`max_len=128`, `userdata=aa.bb`, `pause`)."""

    arguments: tuple[str, ...]

    def __str__(self) -> str:
        return f"controller({','.join(self.arguments)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Enqueue:
    """To a port through one of its queues."""

    port: Port
    queue: int

    def __str__(self) -> str:
        return f"enqueue:{port_word(self.port)}:{self.queue}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """To a group (`dump-groups`)."""

    id: int

    def __str__(self) -> str:
        return f"group:{self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resubmit:
    """Look up again: in `table` (the same one where `None`), as if the frame had come in by `port`."""

    port: Port | None = None
    table: TableId | None = None
    ct: bool = False

    def __str__(self) -> str:
        port = "" if self.port is None else port_word(self.port)
        if self.table is None and not self.ct:
            return f"resubmit:{port}"
        return f"resubmit({port},{_table_word(self.table)}{',ct' if self.ct else ''})"


@dataclass(frozen=True, slots=True, kw_only=True)
class GotoTable:
    """Look up in a later table, and do nothing after it here."""

    table: TableId

    def __str__(self) -> str:
        return f"goto_table:{_table_word(self.table)}"


def _table_word(table: TableId | None) -> str:
    return "" if table is None else quote(table) if isinstance(table, str) else str(table)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetField:
    """Write the bits of a field under `mask`; `value` has no other bits."""

    field: Field
    value: int
    mask: int

    def __str__(self) -> str:
        name = self.field.name if self.field.name != "ip_tos_byte" else "nw_tos"
        return f"set_field:{value_text(self.field, self.value, self.mask)}->{name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetVlan:
    """Set VLAN id or priority, and push a tag first where the frame has none (`mod_vlan_vid`, `mod_vlan_pcp`)."""

    vid: int | None = None
    pcp: int | None = None

    def __str__(self) -> str:
        return f"mod_vlan_vid:{self.vid}" if self.vid is not None else f"mod_vlan_pcp:{self.pcp}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Copy bits from one field to another."""

    source: Subfield
    target: Subfield

    def __str__(self) -> str:
        return f"move:{self.source}->{self.target}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PushVlan:
    ethertype: int

    def __str__(self) -> str:
        return f"push_vlan:0x{self.ethertype:04x}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PopVlan:
    """`strip_vlan` and `pop_vlan`."""

    def __str__(self) -> str:
        return "pop_vlan"


@dataclass(frozen=True, slots=True, kw_only=True)
class PushMpls:
    ethertype: int

    def __str__(self) -> str:
        return f"push_mpls:0x{self.ethertype:04x}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PopMpls:
    ethertype: int

    def __str__(self) -> str:
        return f"pop_mpls:0x{self.ethertype:04x}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """Save bits on a stack."""

    source: Subfield

    def __str__(self) -> str:
        return f"push:{self.source}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pop:
    """Bring bits back from the stack."""

    target: Subfield

    def __str__(self) -> str:
        return f"pop:{self.target}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DecTtl:
    """Decrement the IP TTL; a packet whose TTL is used up goes to the controllers `ids` and no further."""

    ids: tuple[int, ...] = (0,)

    def __str__(self) -> str:
        return "dec_ttl" if self.ids == (0,) else f"dec_ttl({','.join(map(str, self.ids))})"


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnSpec:
    """One term of a learned flow: `kind` is `match`, `load` or `output`. Either `source` or `value` is given."""

    kind: str
    target: Subfield | None
    source: Subfield | None
    value: int = 0

    def __str__(self) -> str:
        if self.kind == "output":
            return f"output:{self.source}"
        given = self.source if self.source is not None else f"{self.value:#x}"
        if self.kind == "load":
            return f"load:{given}->{self.target}"
        if self.source is None and self.target is not None and self.target.is_whole:
            field = self.target.field
            return f"{field.name}={value_text(field, self.value, field.mask)}"
        return str(self.target) if self.source == self.target else f"{self.target}={given}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Learn:
    """Write a flow into `table`, from what this packet holds."""

    table: TableId
    specs: tuple[LearnSpec, ...]
    priority: int = 32768
    cookie: int = 0
    idle_timeout_s: int = 0
    hard_timeout_s: int = 0
    fin_idle_timeout_s: int = 0
    fin_hard_timeout_s: int = 0
    limit: int = 0
    result_dst: Subfield | None = None
    flags: tuple[str, ...] = ()

    def __str__(self) -> str:
        words = [
            f"table={_table_word(self.table)}",
            *(
                f"{name}={value}"
                for name, value in (
                    ("idle_timeout", self.idle_timeout_s),
                    ("hard_timeout", self.hard_timeout_s),
                    ("fin_idle_timeout", self.fin_idle_timeout_s),
                    ("fin_hard_timeout", self.fin_hard_timeout_s),
                )
                if value
            ),
            *([f"priority={self.priority}"] if self.priority != 32768 else []),
            *([f"cookie={self.cookie:#x}"] if self.cookie else []),
            *self.flags,
            *([f"limit={self.limit}"] if self.limit else []),
            *([f"result_dst={self.result_dst}"] if self.result_dst else []),
            *map(str, self.specs),
        ]
        return f"learn({','.join(words)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Nat:
    """`kind` is `src`, `dst` or, as the connection was committed, empty. Addresses and ports as they stand: `a-b`."""

    kind: str = ""
    addresses: str = ""
    ports: str = ""
    flags: tuple[str, ...] = ()

    def __str__(self) -> str:
        if not self.kind:
            return "nat"
        addresses = f"[{self.addresses}]" if self.ports and ":" in self.addresses else self.addresses
        target = f"{self.kind}={addresses}" if self.addresses else self.kind
        ports = f":{self.ports}" if self.ports else ""
        return f"nat({','.join((target + ports, *self.flags))})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ct:
    """Through the connection tracker; with `table`, a second packet goes on there with its state known."""

    zone: "int | Subfield" = 0
    commit: bool = False
    force: bool = False
    table: TableId | None = None
    nat: Nat | None = None
    exec: "tuple[Action, ...]" = ()
    alg: str = ""

    def __str__(self) -> str:
        words = [
            *(["commit"] if self.commit else []),
            *(["force"] if self.force else []),
            *([f"table={_table_word(self.table)}"] if self.table is not None else []),
            *([f"zone={self.zone}"] if self.zone else []),
            *([str(self.nat)] if self.nat is not None else []),
            *([f"exec({print_actions(self.exec)})"] if self.exec else []),
            *([f"alg={self.alg}"] if self.alg else []),
        ]
        return f"ct({','.join(words)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Nested:
    """`clone(…)` or `write_actions(…)`."""

    name: str
    actions: "tuple[Action, ...]"

    def __str__(self) -> str:
        return f"{self.name}({print_actions(self.actions) if self.actions else ''})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conjunction:
    """Dimension `clause` of `n_clauses` of a conjunctive match."""

    id: int
    clause: int
    n_clauses: int

    def __str__(self) -> str:
        return f"conjunction({self.id},{self.clause}/{self.n_clauses})"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckPktLarger:
    """Set one bit to whether the packet is larger than `size_bytes`."""

    size_bytes: int
    target: Subfield

    def __str__(self) -> str:
        return f"check_pkt_larger({self.size_bytes})->{self.target}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """An action whose arguments are kept as they stand: nothing here has to know more of it."""

    name: str
    arguments: tuple[str, ...] = ()
    form: str = "("
    """What follows the name: `(` a list, `:` one argument, nothing."""

    def __str__(self) -> str:
        if not self.form:
            return self.name
        given = ",".join(self.arguments)
        return f"{self.name}:{given}" if self.form == ":" else f"{self.name}({given})"


Action: TypeAlias = (
    Output
    | OutputField
    | Controller
    | Enqueue
    | Group
    | Resubmit
    | GotoTable
    | SetField
    | SetVlan
    | Move
    | PushVlan
    | PopVlan
    | PushMpls
    | PopMpls
    | Push
    | Pop
    | DecTtl
    | Learn
    | Ct
    | Nested
    | Conjunction
    | CheckPktLarger
    | Named
)


def print_actions(actions: tuple[Action, ...]) -> str:
    """A list of actions as text; the empty list is `drop`."""
    return ",".join(map(str, actions)) if actions else "drop"
