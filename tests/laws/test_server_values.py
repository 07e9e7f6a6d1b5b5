"""Laws of the server's pure values: persistent mappings, snapshots' indexes, the choice of addresses, paging."""

import sys
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warren.core.errors import Conflict
from warren.core.ids import GroupId, HostName, MacAddress, NetworkId, PortId, SegmentationId, SubnetId
from warren.core.state import FixedIp, Group, NetworkType
from warren.server import ipam, model
from warren.server.attributes.attribute import on_create
from warren.server.attributes.network import NETWORK as NETWORK_TABLE
from warren.server.attributes.port import PORT
from warren.server.context import Context, Offer
from warren.server.hostview import host_state
from warren.server.indexes import INDEXES, PAIRINGS
from warren.server.model import Key, Pool
from warren.server.persistent import PersistentMap
from warren.server.policy import Caller
from warren.server.query import parse_query, select
from warren.server.rules import networks
from warren.server.snapshot import Change, Snapshot

NETWORK = NetworkId("n")
CALLER = Caller(user_id="u", project_id="p", roles=frozenset({"admin"}))


@given(st.lists(st.dictionaries(st.integers(0, 400), st.none() | st.sampled_from("abc"), max_size=20), max_size=8))
def test_a_persistent_mapping_is_a_mapping_and_none_before_it_changes(changes: list[dict[int, str | None]]) -> None:
    plain: dict[int, str] = {}
    kept = [(PersistentMap[int, str](), dict(plain))]
    for change in changes:
        plain = {key: value for key, value in {**plain, **change}.items() if value is not None}
        kept.append((kept[-1][0].with_changes(change), dict(plain)))
    for persistent, expected in kept:
        assert dict(persistent) == expected
        assert len(persistent) == len(expected)
        assert all((key in persistent) == (key in expected) for key in range(401))


def port(number: int, subnet: model.Subnet, address: int, host: str = "") -> model.Port:
    return model.Port(
        id=PortId(f"p{number}"),
        project_id="p",
        network_id=NETWORK,
        mac_address=MacAddress(f"fa:16:3e:00:{number // 256:02x}:{number % 256:02x}"),
        fixed_ips=(FixedIp(subnet_id=subnet.id, ip_address=str(IPv4Address(address))),),
        host=host,  # type: ignore[arg-type]
        vif_type=model.VIF_OVS if host else model.VIF_UNBOUND,
        security_groups=(GroupId(f"g{address % 2}"),),
        name=host,
    )


def network(number: int) -> model.Network:
    return model.Network(
        id=NetworkId(f"n{number}"),
        project_id="p",
        network_type=NetworkType.VXLAN,
        mtu=1450,
        segmentation_id=SegmentationId(number),
    )


SUBNET = model.Subnet(
    id=SubnetId("s"),
    project_id="p",
    network_id=NETWORK,
    cidr="10.0.0.0/23",
    gateway_ip="10.0.0.1",
    allocation_pools=(Pool(start="10.0.0.2", end="10.0.0.100"), Pool(start="10.0.0.120", end="10.0.1.254")),
)
FIRST = int(IPv4Address("10.0.0.0"))


@settings(max_examples=60)
@given(st.sets(st.integers(0, 511)), st.integers(0, 511))
def test_the_address_given_is_the_lowest_free_one_of_the_pools(scattered: set[int], filled: int) -> None:
    taken = scattered | set(range(filled))
    ports = [port(number, SUBNET, FIRST + number) for number in taken]
    now = Snapshot().after(Change.put(SUBNET, *ports))
    in_pools = [*range(2, 101), *range(120, 511)]
    free = next((number for number in in_pools if number not in taken), None)
    assert ipam.first_free(now, SUBNET) == (None if free is None else str(IPv4Address(FIRST + free)))


@settings(max_examples=60)
@given(st.sets(st.integers(1, 200)), st.integers(0, 200))
def test_the_segmentation_id_given_is_the_lowest_free_one_of_the_range(scattered: set[int], filled: int) -> None:
    offer = Offer(segment_ranges={NetworkType.VXLAN: (10, 150)})
    context = Context(caller=CALLER, at="2026-11-23T07:00:00Z", offer=offer)
    taken = scattered | set(range(1, filled))
    now = Snapshot().after(Change.put(*(network(number) for number in taken)))
    free = next((number for number in range(10, 151) if number not in taken), None)
    if free is None:
        with pytest.raises(Conflict):
            networks.create(now, context, on_create(NETWORK_TABLE, {}, CALLER))
    else:
        network_id, change = networks.create(now, context, on_create(NETWORK_TABLE, {}, CALLER))
        assert now.after(change).of(model.Network, network_id).segmentation_id == free


ports_by_number = st.dictionaries(
    st.integers(0, 20), st.none() | st.tuples(st.integers(0, 511), st.sampled_from(["", "a", "b"])), max_size=12
)


@given(st.lists(ports_by_number, max_size=6))
def test_indexes_after_any_changes_are_those_of_a_snapshot_made_at_once(
    changes: list[dict[int, tuple[int, str] | None]],
) -> None:
    step_by_step = Snapshot()
    values: dict[Key, model.Resource | None] = {}
    for change in changes:
        step = {
            Key("port", f"p{number}"): None if said is None else port(number, SUBNET, FIRST + said[0], said[1])
            for number, said in change.items()
        }
        values.update(step)
        step_by_step = step_by_step.after(Change(step))
    at_once = Snapshot().after(Change({key: value for key, value in values.items() if value is not None}))
    assert step_by_step.all_keys() == at_once.all_keys()
    for index in INDEXES:
        assert dict(step_by_step.index(index)) == dict(at_once.index(index))
    for pairing in PAIRINGS:
        pairs: Any = at_once.index(pairing.of)
        halves = {pair[pairing.half] for pair in pairs}
        assert dict(step_by_step.index(pairing)) == {
            half: {pair[1 - pairing.half] for pair in pairs if pair[pairing.half] == half} for half in halves
        }


def test_nothing_keeps_a_snapshot_because_a_host_was_told_of_it() -> None:
    group = model.SecurityGroup(id=GroupId("g"), project_id="p")
    rule = model.SecurityGroupRule(
        id="r", project_id="p", security_group_id=group.id, direction="ingress", remote_group_id=group.id
    )
    member = replace(port(1, SUBNET, FIRST, "h"), security_groups=(group.id,))
    now = Snapshot().after(Change.put(group, rule, member))
    held = sys.getrefcount(now)
    told = host_state(now, HostName("h"))["group/g"]
    assert isinstance(told, Group)
    assert (len(told.rules), len(told.members)) == (1, 1)
    assert sys.getrefcount(now) == held


@given(
    st.dictionaries(st.integers(0, 40), st.sampled_from(["a", "b", "c"])),
    st.integers(1, 7),
    st.sampled_from(["asc", "desc"]),
)
def test_pages_one_after_another_are_the_whole_list_once_and_back_again(
    names: dict[int, str], limit: int, direction: str
) -> None:
    ports = [port(number, SUBNET, FIRST + number, name) for number, name in names.items()]
    now = Snapshot().after(Change.put(*ports))
    order = [("sort_key", "name"), ("sort_dir", direction)]

    def page(*more: tuple[str, str]) -> list[model.Port]:
        asked = parse_query(PORT, [*order, *more], CALLER)
        return list(select(now, PORT, now.all(model.Port), asked).resources)

    whole = page()
    forward: list[model.Port] = []
    while found := page(("limit", str(limit)), *([("marker", forward[-1].id)] if forward else [])):
        forward += found
    back = [("limit", str(limit)), ("page_reverse", "True")]
    backward = whole[-1:]
    while backward and (found := page(*back, ("marker", backward[0].id))):
        backward = [*found, *backward]
    assert [one.id for one in forward] == [one.id for one in whole] == [one.id for one in backward]
    assert [one.name for one in whole] == sorted(names.values(), reverse=direction == "desc")
