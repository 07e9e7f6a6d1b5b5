from hypothesis import given
from hypothesis import strategies as st

from warren.core import names
from warren.core.ids import PortId
from warren.namespaces import zones

PORTS = st.uuids().map(lambda each: PortId(str(each)))
IN_USE = st.dictionaries(PORTS.map(names.qbr), st.integers(0, 65535))


@given(st.sets(PORTS), IN_USE)
def test_no_two_ports_share_a_zone_and_none_is_a_local_vlan(ports: set[PortId], in_use: dict[str, int]) -> None:
    assigned = zones.assign(ports, in_use)
    assert assigned.keys() == ports
    assert len(set(assigned.values())) == len(ports)
    assert all(zones.FIRST <= zone <= 65535 for zone in assigned.values())


@given(st.sets(PORTS), st.sets(PORTS), st.sets(PORTS))
def test_a_port_keeps_its_zone_whatever_comes_and_goes(
    staying: set[PortId], going: set[PortId], coming: set[PortId]
) -> None:
    before = zones.assign(staying | going, {})
    after = zones.assign(staying | coming, {names.qbr(port): zone for port, zone in before.items()})
    assert {port: after[port] for port in staying} == {port: before[port] for port in staying}


@given(st.sets(PORTS, max_size=4), st.sets(PORTS, min_size=1, max_size=8))
def test_ports_whose_drawn_zone_is_taken_get_another(ports: set[PortId], late: set[PortId]) -> None:
    drawn = zones.assign(late, {})
    holders = dict(zip(sorted(ports), drawn.values(), strict=False))
    assigned = zones.assign(ports | late, {names.qbr(port): zone for port, zone in holders.items()})
    assert {port: assigned[port] for port in holders} == holders
    assert len(set(assigned.values())) == len(ports | late)


def test_the_last_zone_is_followed_by_the_first() -> None:
    port = PortId("0")
    (zone,) = zones.assign([port], {}).values()
    others = {PortId(f"p{number:05}"): number for number in range(zone, 65536)}
    in_use = {names.qbr(other): number for other, number in others.items()}
    assert zones.assign([port, *others], in_use)[port] == zones.FIRST
