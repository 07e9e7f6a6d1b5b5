"""Which ends of veth pairs belong together, where indexes of different namespaces are the same."""

from collections.abc import Mapping

from warren.inspect.path.pairs import veth_pairs
from warren.inspect.snapshot.model import Host, Link, Namespace


def end(name: str, index: int, peer: int, *, where: str = "", number: int | None = 0) -> Link:
    return Link(name=name, index=index, peer_index=peer, peer_namespace=where, peer_namespace_id=number)


def pairs(**namespaces: tuple[Link, ...]) -> Mapping[str, str]:
    """Interface -> interface."""
    host = Host(name="h", namespaces=tuple(Namespace(name=name, links=links) for name, links in namespaces.items()))
    return {link: other.name for (_, link), (_, other) in veth_pairs(host).items()}


def test_an_end_with_one_candidate_leaves_the_others_theirs() -> None:
    """As of a distributed router: `fg` and `rfp` have the same two indexes."""
    found = pairs(
        router=(end("rfp", 3, 2),), outside=(end("fpr", 2, 3), end("fg", 3, 2, number=1)), world=(end("eth0", 2, 3),)
    )
    assert found == {"rfp": "fpr", "fpr": "rfp", "fg": "eth0", "eth0": "fg"}


def test_where_two_could_be_the_other_end_neither_is_taken() -> None:
    assert pairs(a=(end("a", 2, 3),), b=(end("b", 3, 2),), c=(end("c", 3, 2),)) == {}


def test_the_name_of_the_other_namespace_decides() -> None:
    found = pairs(a=(end("a", 2, 3, where="c"),), b=(end("b", 3, 2),), c=(end("c", 3, 2),))
    assert found == {"a": "c", "c": "a"}


def test_an_end_whose_other_is_elsewhere_is_no_pair_with_its_neighbour() -> None:
    assert pairs(a=(end("x", 2, 3), end("y", 3, 2))) == {}
    assert pairs(a=(end("x", 2, 3, number=None), end("y", 3, 2, number=None))) == {"x": "y", "y": "x"}
