"""Laws of local VLANs: one number a network, kept where it can be, whatever somebody wrote into OVSDB."""

from hypothesis import given
from hypothesis import strategies as st

from warren.core.ids import LocalVlan, NetworkId
from warren.pipeline.vlans import FIRST, LAST, local_vlans

network_ids = st.sampled_from([NetworkId(f"net-{number}") for number in range(12)])
numbers = st.integers(-1, 20).map(LocalVlan)
memories = st.lists(st.tuples(network_ids, numbers), max_size=20)


@given(wanted=st.sets(network_ids), remembered=memories)
def test_every_network_has_a_number_of_its_own(
    wanted: set[NetworkId], remembered: list[tuple[NetworkId, LocalVlan]]
) -> None:
    chosen = local_vlans(wanted, remembered)
    assert chosen.keys() == wanted
    assert len(set(chosen.values())) == len(chosen)
    assert all(FIRST <= vlan <= LAST for vlan in chosen.values())


@given(wanted=st.sets(network_ids), more=st.sets(network_ids), remembered=memories)
def test_what_was_chosen_is_kept_when_networks_come_and_go(
    wanted: set[NetworkId], more: set[NetworkId], remembered: list[tuple[NetworkId, LocalVlan]]
) -> None:
    before = local_vlans(wanted, remembered)
    after = local_vlans(more, before.items())
    assert all(after[network] == before[network] for network in wanted & more)


@given(wanted=st.sets(network_ids), remembered=memories, data=st.data())
def test_the_choice_does_not_depend_on_the_order(
    wanted: set[NetworkId], remembered: list[tuple[NetworkId, LocalVlan]], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(remembered))
    assert local_vlans(sorted(wanted), remembered) == local_vlans(sorted(wanted, reverse=True), shuffled)


def test_one_edited_port_is_outvoted_by_the_others() -> None:
    network = NetworkId("net-1")
    remembered = [(network, LocalVlan(7)), (network, LocalVlan(9)), (network, LocalVlan(9))]
    assert local_vlans([network], remembered) == {network: 9}


def test_when_the_numbers_run_out_the_rest_gets_none() -> None:
    many = [NetworkId(f"{number:05}") for number in range(LAST + 5)]
    chosen = local_vlans(many, [])
    assert len(chosen) == LAST
    assert NetworkId(f"{LAST:05}") not in chosen
