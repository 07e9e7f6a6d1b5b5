"""Lists: filters, order, fields, pages."""

from tests.unit.api.conftest import with_subnet

from warren.testing.api_server import Client


def test_lists_are_filtered_sorted_cut_and_paged(alice: Client) -> None:
    group = alice.create("security_group", "security-groups", name="lists")["id"]
    network, _ = with_subnet(alice)
    here = f"ports?network_id={network['id']}&device_owner="
    names = ["b", "a", "d", "c"]
    ports = {name: alice.create("port", network_id=network["id"], name=name, device_id=f"vm-{name}") for name in names}
    alice.call("PUT", f"ports/{ports['a']['id']}", {"port": {"security_groups": [group]}})
    address = ports["c"]["fixed_ips"][0]["ip_address"]

    def listed(query: str) -> list[str]:
        return [port["name"] for port in alice.list(f"{here}&{query}")]

    assert sorted(listed("name=a&name=d")) == ["a", "d"]
    assert listed(f"fixed_ips=ip_address={address}") == ["c"]
    subnet = f"fixed_ips=subnet_id={ports['c']['fixed_ips'][0]['subnet_id']}"
    assert listed(f"{subnet}&fixed_ips=ip_address={address}") == ["c"], "all that is named must be so"
    assert sorted(listed(f"{subnet}&fixed_ips=ip_address={address}&fixed_ips=ip_address=10.0.0.3")) == ["b", "c"]
    assert listed("fixed_ips=subnet_id=None") == listed("fixed_ips=colour=None") == []
    assert sorted(listed("fixed_ips=ip_address_substr=.0.0.")) == ["a", "b", "c", "d"]
    assert listed(f"{subnet}&fixed_ips=ip_address_substr={address[3:]}") == ["c"]
    assert listed(f"security_groups={group}") == ["a"]
    assert listed("device_id=vm-b&name=a") == []
    assert listed("sort_key=name&sort_dir=desc") == ["d", "c", "b", "a"]
    assert alice.list(f"{here}&name=a&fields=name&fields=id") == [{"name": "a", "id": ports["a"]["id"]}]
    assert alice.call("GET", "ports?colour=red").status == 400
    assert alice.call("GET", f"ports?limit={'9' * 5000}").status == 400
    assert alice.call("GET", "ports?sort_key=fixed_ips").status == 400
    assert alice.call("GET", "ports?limit=many").status == 400
    assert alice.call("GET", f"ports?limit=1&marker={network['id']}").status == 404


def test_pages_follow_each_other_by_their_links(alice: Client) -> None:
    network, _ = with_subnet(alice)
    for name in "abcde":
        alice.create("port", network_id=network["id"], name=name)
    path = f"ports?network_id={network['id']}&device_owner=&sort_key=name&limit=2"
    seen = []
    while path:
        body = alice.call("GET", path).body
        seen.append("".join(port["name"] for port in body["ports"]))
        links = {link["rel"]: link["href"] for link in body.get("ports_links", [])}
        path = links["next"].partition("/v2.0/")[2] if "next" in links else ""
    assert seen == ["ab", "cd", "e"]
    before = alice.call("GET", links["previous"].partition("/v2.0/")[2]).body
    assert [port["name"] for port in before["ports"]] == ["c", "d"]
