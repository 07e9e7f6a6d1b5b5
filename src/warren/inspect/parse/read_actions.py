"""Text of actions -> values. A table from action name to its reader; no reader guesses."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from warren.inspect.parse import actions as a
from warren.inspect.parse import fields as f
from warren.inspect.parse import values
from warren.inspect.parse.fields import BY_NAME
from warren.inspect.parse.match import VLAN_PRESENT, read_port, read_value, terms_of
from warren.inspect.parse.problem import Unreadable
from warren.inspect.parse.text import MAX_DEPTH, printable, split_list, unquote


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What numbers the names in a `--names` dump stand for."""

    ports: Mapping[str, int]
    tables: Mapping[str, int]


NO_NAMES: Final = Names(ports={}, tables={})

_MAX_NESTED_CHARACTERS: Final = 1_000_000
"""Depth times length: a message has at most 64 KiB, and each level costs another look at what is inside."""
_HEAD: Final = re.compile(r"([A-Za-z_][A-Za-z_0-9]*)\s*([:(]?)")
_SUBFIELD: Final = re.compile(r"([A-Za-z_][A-Za-z_0-9]*)(?:\[(?:([0-9]{1,4})(?:\.\.([0-9]{1,4}))?)?\])?")


def action_texts(text: str) -> Iterator[tuple[str, int]]:
    """Each action as it is printed, and the offset of its item in the list; `drop` is none."""
    return ((word, offset) for item, offset in split_list(text) if (word := item.strip()) not in {"drop", ""})


def read_actions(
    text: str, names: Names = NO_NAMES, depth: int = 0, known: dict[str, a.Action] | None = None
) -> tuple[a.Action, ...]:
    """Actions in their order; `drop` is the empty tuple.

    Args:
        text: as printed.
        names: what the names in it stand for.
        depth: how many actions it stands inside of.
        known: what single actions were read to, for the next text with them.

    Raises:
        Unreadable: with the offset in `text`.
    """
    if depth > MAX_DEPTH:
        raise Unreadable(f"actions are nested more than {MAX_DEPTH} deep")
    if depth * len(text) > _MAX_NESTED_CHARACTERS:
        raise Unreadable("these nested actions are longer than an OpenFlow message can be")
    found: list[a.Action] = []
    for word, offset in action_texts(text):
        action = known.get(word) if known is not None else None
        if action is not None:
            found.append(action)
            continue
        try:
            action = _read_one(word, names, depth)
        except Unreadable as error:
            raise Unreadable(error.message, offset + text[offset:].find(word[:1])) from None
        except ValueError as error:
            raise Unreadable(f"in the action '{printable(word, 60)}': {error}", offset) from None
        found.append(action)
        if known is not None:
            known[word] = action
    return tuple(found)


@dataclass(slots=True)
class _Call:
    """One action as it stands: `name(inside)`, `name:inside` or a word, then what follows its bracket."""

    name: str
    form: str
    inside: str
    after: str
    names: Names
    depth: int

    def items(self) -> list[str]:
        return [item.strip() for item, _ in split_list(self.inside)]

    def pairs(self) -> list[tuple[str, str]]:
        """The items as (key, value); a plain word or a nested call is (word, "")."""
        return [_pair(item) for item in self.items()]

    def nested(self) -> tuple[a.Action, ...]:
        return read_actions(self.inside, self.names, self.depth + 1)

    def port(self, text: str) -> a.Port:
        number = read_port(text, self.names.ports)
        return unquote(text) if number < 0 else number

    def table(self, text: str) -> a.TableId:
        if text.isdecimal():
            number = values.number(text)
            if number > 255:
                raise ValueError("a table's number is at most 255")
            return number
        name = unquote(text)
        return self.names.tables.get(name, name)

    def subfield_or_number(self, text: str) -> "int | a.Subfield":
        return values.number(text) if text[:1].isdigit() else subfield(text)


def _pair(item: str) -> tuple[str, str]:
    bracket = item.find("(")
    equals = item.find("=")
    if equals < 0 or 0 <= bracket < equals:
        return item, ""
    return item[:equals].strip(), item[equals + 1 :].strip()


def _read_one(word: str, names: Names, depth: int) -> a.Action:
    head = _HEAD.match(word)
    if head is None:
        return _bare(word, names)
    name, form = head[1], head[2]
    inside, after = word[head.end() :], ""
    if form == "(":
        closing = _closing(word, head.end())
        inside, after = word[head.end() : closing], word[closing + 1 :]
    reader = _READERS.get(name)
    if reader is None:
        return _bare(word, names)
    if after and name != "check_pkt_larger":
        raise ValueError(f"'{printable(after, 20)}' stands behind its bracket")
    return reader(_Call(name, form, inside.strip(), after, names, depth))


def _closing(word: str, start: int) -> int:
    """The offset of the bracket that closes the one before `start`."""
    depth = 1
    for found in re.finditer(r'[()]|"[^"]*"', word[start:]):
        depth += {"(": 1, ")": -1}.get(found[0], 0)
        if depth == 0:
            return start + found.start()
    raise ValueError("a bracket is not closed")


def _bare(word: str, names: Names) -> a.Action:
    """A port alone: `LOCAL`, `in_port`, `3` or the name of a port."""
    number = read_port(word, names.ports)
    if number < 0:
        raise ValueError("no action is called so")
    return a.Output(port=number)


def subfield(text: str) -> a.Subfield:
    """`NXM_NX_REG6[0..15]`, `reg6[3]`, `eth_src[]` or `eth_src`."""
    found = _SUBFIELD.fullmatch(text.strip())
    field = BY_NAME.get(found[1]) if found else None
    if found is None or field is None:
        raise ValueError(f"no field is called {printable(text, 40)}")
    if found[2] is None:
        return a.Subfield(field, 0, field.bits)
    start = int(found[2])
    end = int(found[3]) if found[3] else start
    if not start <= end < field.bits:
        raise ValueError(f"{field.name} has bits 0 to {field.bits - 1}")
    return a.Subfield(field, start, end - start + 1)


def set_bits(target: a.Subfield, value: int, mask: int) -> a.Action:
    """Write `value` under `mask` to a subfield; both count from the subfield's first bit."""
    field = target.field
    if target.start == 0 and field in (f.NW_TOS, f.IP_DSCP, f.NW_ECN, f.VLAN_PCP, f.IN_PORT_OXM):
        (term,) = terms_of(field, 0, field.bits, value, mask)
        return a.SetField(field=term.cell, value=term.value, mask=term.mask)
    return a.SetField(field=field, value=(value & mask) << target.start, mask=mask << target.start)


def _load(call: _Call) -> a.Action:
    value, target = _arrow(call.inside)
    into = subfield(target)
    number = into.field.format.read(value) if into.is_whole and not value[:1].isdigit() else values.number(value)
    if number >> into.bits:
        raise ValueError(f"{target} has {into.bits} bits")
    return set_bits(into, number, (1 << into.bits) - 1)


def _set_field(call: _Call) -> a.Action:
    value, target = _arrow(call.inside)
    into = subfield(target)
    if into.field.format is values.PORT:
        number = read_port(value, call.names.ports)
        if number < 0:
            raise ValueError("no port is called so here")
        return set_bits(into, number & into.field.mask, into.field.mask)
    if not into.is_whole:
        number, mask = values.number(value), (1 << into.bits) - 1
    else:
        number, mask = read_value(into.field, value)
    return set_bits(into, number, mask)


def _arrow(text: str) -> tuple[str, str]:
    left, arrow, right = text.partition("->")
    if not arrow:
        raise ValueError("'->' is missing")
    return left.strip(), right.strip()


def _move(call: _Call) -> a.Action:
    source, target = map(subfield, _arrow(call.inside))
    if source.bits != target.bits:
        raise ValueError(f"{source.bits} bits do not fit {target.bits}")
    return a.Move(source=source, target=target)


def _modify(name: str, mask: int | None = None) -> Callable[[_Call], a.Action]:
    field = BY_NAME[name]

    def read(call: _Call) -> a.Action:
        value = field.format.read(call.inside)
        kept = field.mask if mask is None else mask
        if value & ~kept:
            raise ValueError(f"{call.name} does not take {printable(call.inside, 20)}")
        return a.SetField(field=field, value=value, mask=kept)

    return read


def _vlan_id(call: _Call) -> a.Action:
    vid = values.number(call.inside)
    if vid > 0xFFF:
        raise ValueError("a VLAN id has 12 bits")
    return a.SetVlan(vid=vid)


def _vlan_priority(call: _Call) -> a.Action:
    pcp = values.number(call.inside)
    if pcp > 7:
        raise ValueError("a VLAN priority has 3 bits")
    return a.SetVlan(pcp=pcp)


def _write_metadata(call: _Call) -> a.Action:
    value, mask = read_value(f.METADATA, call.inside)
    return a.SetField(field=f.METADATA, value=value, mask=mask)


def _output(call: _Call) -> a.Action:
    if call.form == "(":
        given = dict(call.pairs())
        return a.Output(port=call.port(given.get("port", "")), max_len=values.number(given.get("max_len", "0")))
    if "[" in call.inside or (call.inside in BY_NAME and call.inside != "in_port"):
        return a.OutputField(source=subfield(call.inside))
    return a.Output(port=call.port(call.inside))


def _controller(call: _Call) -> a.Action:
    if call.form == "(":
        return a.Controller(arguments=tuple(call.items()))
    return a.Controller(arguments=(f"max_len={values.number(call.inside)}",) if call.inside else ("max_len=65535",))


def _enqueue(call: _Call) -> a.Action:
    port, _, queue = call.inside.rpartition(":" if call.form == ":" else ",")
    return a.Enqueue(port=call.port(port.strip()), queue=values.number(queue.strip()))


def _resubmit(call: _Call) -> a.Action:
    if call.form == ":":
        return a.Resubmit(port=None if call.inside == "in_port" else call.port(call.inside))
    port, table, ct, *rest = [*call.inside.split(","), "", "", ""]
    if any(rest) or ct not in ("", "ct"):
        raise ValueError("resubmit takes a port, a table and 'ct'")
    return a.Resubmit(
        port=call.port(port) if port and port != "in_port" else None,
        table=call.table(table) if table else None,
        ct=ct == "ct",
    )


_LEARN_NUMBERS: Final = {
    "priority": "priority",
    "cookie": "cookie",
    "idle_timeout": "idle_timeout_s",
    "hard_timeout": "hard_timeout_s",
    "fin_idle_timeout": "fin_idle_timeout_s",
    "fin_hard_timeout": "fin_hard_timeout_s",
    "limit": "limit",
}


def _learn(call: _Call) -> a.Action:
    table: a.TableId = 1
    numbers: dict[str, int] = {}
    flags: list[str] = []
    result: a.Subfield | None = None
    specs: list[a.LearnSpec] = []
    for item in call.items():
        key, value = _pair(item)
        if key == "table":
            table = call.table(value)
        elif key in _LEARN_NUMBERS:
            numbers[_LEARN_NUMBERS[key]] = values.number(value)
        elif item in {"send_flow_rem", "delete_learned"}:
            flags.append(item)
        elif key == "result_dst":
            result = subfield(value)
        else:
            specs.append(_learn_spec(item, key, value))
    return a.Learn(table=table, specs=tuple(specs), result_dst=result, flags=tuple(flags), **numbers)


def _learn_spec(item: str, key: str, value: str) -> a.LearnSpec:
    if item.startswith("load:"):
        source, target = _arrow(item[5:])
        if source[:1].isdigit():
            return a.LearnSpec(kind="load", target=subfield(target), source=None, value=values.number(source))
        return a.LearnSpec(kind="load", target=subfield(target), source=subfield(source))
    if item.startswith("output:"):
        return a.LearnSpec(kind="output", target=None, source=subfield(item[7:]))
    target_field = subfield(key)
    if not value:
        return a.LearnSpec(kind="match", target=target_field, source=target_field)
    if _SUBFIELD.fullmatch(value) and value.partition("[")[0] in BY_NAME:
        return a.LearnSpec(kind="match", target=target_field, source=subfield(value))
    is_number = not target_field.is_whole or value.startswith("0x")
    number = values.number(value) if is_number else target_field.field.format.read(value)
    return a.LearnSpec(kind="match", target=target_field, source=None, value=number)


def _ct(call: _Call) -> a.Action:
    zone: int | a.Subfield = 0
    table: a.TableId | None = None
    nat: a.Nat | None = None
    noted: tuple[a.Action, ...] = ()
    alg = ""
    flags: set[str] = set()
    for key, value in call.pairs():
        if key in {"commit", "force"} and not value:
            flags.add(key)
        elif key == "zone":
            zone = call.subfield_or_number(value)
        elif key == "table":
            table = call.table(value)
        elif key == "alg":
            alg = value
        elif key == "nat" or key.startswith("nat("):
            nat = _nat(key)
        elif key.startswith("exec(") and key.endswith(")"):
            noted = read_actions(key[5:-1], call.names, call.depth + 1)
        else:
            raise ValueError(f"ct knows no '{printable(key, 40)}'")
    return a.Ct(
        zone=zone,
        commit="commit" in flags,
        force="force" in flags,
        table=table,
        nat=nat,
        exec=noted,
        alg=alg,
    )


def _nat(text: str) -> a.Nat:
    if text in {"nat", "nat()"}:
        return a.Nat()
    kind, addresses, ports = "", "", ""
    flags: list[str] = []
    for item, _ in split_list(text[4:-1]):
        key, _, value = item.strip().partition("=")
        if key in {"src", "dst"}:
            kind = key
            addresses, ports = _nat_target(value)
        elif item in {"random", "hash", "persistent"}:
            flags.append(item)
        else:
            raise ValueError(f"nat knows no '{printable(item, 40)}'")
    return a.Nat(kind=kind, addresses=addresses, ports=ports, flags=tuple(flags))


def _nat_target(text: str) -> tuple[str, str]:
    """`10.0.0.1-10.0.0.9:80-90`, `[2001:db8::1]:80` or `2001:db8::1` as (addresses, ports)."""
    if text.startswith("["):
        addresses, _, ports = text.rpartition("]")
        return addresses[1:].replace("[", "").replace("]", ""), ports.lstrip(":")
    if text.count(":") == 1:
        addresses, _, ports = text.partition(":")
        return addresses, ports
    return text, ""


def _nested(call: _Call) -> a.Action:
    return a.Nested(name=call.name, actions=call.nested())


def _conjunction(call: _Call) -> a.Action:
    id_text, _, rest = call.inside.partition(",")
    clause, _, n_clauses = rest.strip().partition("/")
    return a.Conjunction(
        id=values.number(id_text.strip()), clause=values.number(clause), n_clauses=values.number(n_clauses)
    )


def _check_pkt_larger(call: _Call) -> a.Action:
    if not call.after.startswith("->"):
        raise ValueError("'->' is missing")
    return a.CheckPktLarger(size_bytes=values.number(call.inside), target=subfield(call.after[2:]))


def _dec_ttl(call: _Call) -> a.Action:
    return a.DecTtl(ids=tuple(values.number(item) for item in call.items())) if call.form else a.DecTtl()


def _ethertype(call: _Call) -> int:
    return values.number(call.inside)


def _named(call: _Call) -> a.Action:
    if not call.form:
        return a.Named(name=call.name, form="")
    arguments = tuple(call.items()) if call.form == "(" else (call.inside,)
    return a.Named(name=call.name, arguments=arguments, form=call.form)


def _bundle(call: _Call) -> a.Action:
    """`members:1,2` may be names of ports."""
    head, colon, members = call.inside.rpartition("members:")
    ports = [a.port_word(call.port(item.strip())) for item, _ in split_list(members)]
    arguments = [item.strip() for item, _ in split_list(head)] if colon else []
    return a.Named(name=call.name, arguments=(*arguments, f"{colon}{','.join(ports)}"))


def _sample(call: _Call) -> a.Action:
    """`sampling_port=` may be a name."""
    words = (
        f"{key}={a.port_word(call.port(value))}" if key == "sampling_port" else f"{key}={value}" if value else key
        for key, value in call.pairs()
    )
    return a.Named(name=call.name, arguments=tuple(words))


def _set_vlan_vid(call: _Call) -> a.Action:
    """OpenFlow 1.1's own action: does not push a tag."""
    return a.SetField(field=f.VLAN_VID, value=values.number(call.inside) | VLAN_PRESENT, mask=0x1FFF)


_READERS: Final[Mapping[str, Callable[[_Call], a.Action]]] = {
    "output": _output,
    "controller": _controller,
    "CONTROLLER": _controller,
    "enqueue": _enqueue,
    "group": lambda call: a.Group(id=values.number(call.inside)),
    "resubmit": _resubmit,
    "goto_table": lambda call: a.GotoTable(table=call.table(call.inside)),
    "load": _load,
    "set_field": _set_field,
    "move": _move,
    "mod_dl_src": _modify("dl_src"),
    "mod_dl_dst": _modify("dl_dst"),
    "mod_nw_src": _modify("nw_src"),
    "mod_nw_dst": _modify("nw_dst"),
    "mod_nw_tos": _modify("ip_tos_byte", 0xFC),
    "mod_nw_ecn": _modify("ip_tos_byte", 0x03),
    "mod_nw_ttl": _modify("nw_ttl"),
    "mod_tp_src": _modify("tp_src"),
    "mod_tp_dst": _modify("tp_dst"),
    "set_tunnel": _modify("tun_id"),
    "set_tunnel64": _modify("tun_id"),
    "set_mpls_label": _modify("mpls_label"),
    "set_mpls_tc": _modify("mpls_tc"),
    "set_mpls_ttl": _modify("mpls_ttl"),
    "mod_vlan_vid": _vlan_id,
    "mod_vlan_pcp": _vlan_priority,
    "set_vlan_vid": _set_vlan_vid,
    "set_vlan_pcp": lambda call: a.SetField(field=f.VLAN_TCI, value=values.number(call.inside) << 13, mask=0xE000),
    "strip_vlan": lambda _call: a.PopVlan(),
    "pop_vlan": lambda _call: a.PopVlan(),
    "push_vlan": lambda call: a.PushVlan(ethertype=_ethertype(call)),
    "push_mpls": lambda call: a.PushMpls(ethertype=_ethertype(call)),
    "pop_mpls": lambda call: a.PopMpls(ethertype=_ethertype(call)),
    "push": lambda call: a.Push(source=subfield(call.inside)),
    "pop": lambda call: a.Pop(target=subfield(call.inside)),
    "dec_ttl": _dec_ttl,
    "learn": _learn,
    "ct": _ct,
    "clone": _nested,
    "write_actions": _nested,
    "conjunction": _conjunction,
    "check_pkt_larger": _check_pkt_larger,
    "write_metadata": _write_metadata,
    "bundle": _bundle,
    "bundle_load": _bundle,
    "sample": _sample,
    **dict.fromkeys(
        (
            "clear_actions",
            "ct_clear",
            "debug_recirc",
            "debug_slow",
            "dec_mpls_ttl",
            "dec_nsh_ttl",
            "decap",
            "delete_field",
            "encap",
            "exit",
            "fin_timeout",
            "meter",
            "multipath",
            "note",
            "pop_queue",
            "set_queue",
        ),
        _named,
    ),
}
ACTION_NAMES: Final = frozenset(_READERS) | {"drop"}
"""What an action is called that names more than a port."""
