"""Desired state -> namespaces, in what real packets do not show."""

from dataclasses import replace

import pytest

from warren.core import names
from warren.core.errors import Rejected
from warren.core.ids import SubnetId
from warren.core.state import FixedIp, HostState, Route, Subnet
from warren.namespaces import Key, Kind, Setting, links, owner_of, render, rules, servers
from warren.reconcile.plan import plan
from warren.testing.sites import Site


def kinds(found: dict[Key, Setting], kind: Kind, namespace: str) -> dict[str, str]:
    return {key.name: each.value for key, each in found.items() if key.kind is kind and key.namespace == namespace}


def routes(site: Site, state: HostState) -> dict[str, str]:
    return kinds(render(state), Kind.ROUTE, names.router_namespace(site.router.id))


def file(site: Site, state: HostState, name: str) -> list[str]:
    key = Key(names.dhcp_namespace(site.red.id), Kind.FILE, name)
    return servers(state, "/run/x")[key].value.splitlines()


def test_a_router_without_gateway_translates_nothing() -> None:
    site = Site()
    found = render(site.state(replace(site.router, gateway_port_id=None)))
    chains = kinds(found, Kind.CHAIN, names.router_namespace(site.router.id))
    assert not any(value for name, value in chains.items() if name.rpartition("/")[2].startswith("warren-"))


@pytest.mark.parametrize("forwards", [True, False])
def test_an_interface_by_itself_is_set_as_its_namespace_is(*, forwards: bool) -> None:
    whole = kinds(dict(links.namespace("n", "router/r", forwards=forwards, has_ipv6=False)), Kind.SYSCTL, "n")
    assert links.own_sysctls("qr-1", forwards=forwards) == {
        "net/ipv4/conf/qr-1/forwarding": whole["net/ipv4/ip_forward"],
        "net/ipv4/conf/qr-1/rp_filter": whole["net/ipv4/conf/all/rp_filter"],
    }


def test_a_gateway_without_an_ipv4_address_serves_floating_ips_only() -> None:
    site = Site()
    floating = site.floating_ip(50, "10.1.0.7")
    found = render(site.state(replace(site.gateway_port, fixed_ips=()), replace(site.router, floating_ips=(floating,))))
    chains = kinds(found, Kind.CHAIN, names.router_namespace(site.router.id))
    assert chains["nat/warren-l3-snat"] == "-j warren-l3-float-snat"
    assert "203.0.113.50" in chains["nat/warren-l3-float-snat"]


def test_a_gateway_outside_of_its_subnet_is_reached_on_the_link() -> None:
    site = Site()
    outside = replace(site.outside, subnets=(replace(site.outside.subnets[0], gateway_ip="198.51.100.1"),))
    qg = names.router_gateway(site.gateway_port.id)
    assert routes(site, site.state(outside)) == {"198.51.100.1/32": f"dev {qg}", "default": "via 198.51.100.1"}


def test_further_external_subnets_are_on_the_link_and_ipv6_has_a_default_of_its_own() -> None:
    site = Site()
    further = Subnet(id=SubnetId("further"), cidr="198.51.100.0/24", gateway_ip="198.51.100.1")
    six = Subnet(id=SubnetId("six"), cidr="2001:db8::/64", gateway_ip="2001:db8::1")
    other_six = Subnet(id=SubnetId("other"), cidr="2001:db8:1::/64")
    outside = replace(site.outside, subnets=(*site.outside.subnets, further, six, other_six))
    port = replace(
        site.gateway_port, fixed_ips=(*site.gateway_port.fixed_ips, FixedIp(subnet_id=six.id, ip_address="2001:db8::5"))
    )
    state = site.state(outside, port)
    assert routes(site, state) == {
        "198.51.100.0/24": f"dev {names.router_gateway(port.id)}",
        "default": "via 203.0.113.1",
        "::/0": "via 2001:db8::1",
    }
    sysctls = kinds(render(state), Kind.SYSCTL, names.router_namespace(site.router.id))
    assert sysctls["net/ipv6/conf/all/disable_ipv6"] == "0"


def test_an_external_subnet_without_gateway_gives_no_default() -> None:
    site = Site()
    assert (
        routes(site, site.state(replace(site.outside, subnets=(replace(site.outside.subnets[0], gateway_ip=None),))))
        == {}
    )


def test_an_extra_default_route_stands_instead_of_the_subnets() -> None:
    site = Site()
    router = replace(site.router, routes=(Route(destination="0.0.0.0/0", nexthop="10.1.0.9"),))
    assert routes(site, site.state(router))["default"] == "via 10.1.0.9"


def test_what_the_state_does_not_have_yet_is_left_out() -> None:
    site = Site()
    whole = site.state().objects
    lone = HostState({key: whole[key] for key in (site.router.key, site.dhcp.key, site.red_port.key)})
    assert {key.kind for key in render(lone)} == {Kind.NAMESPACE, Kind.SYSCTL, Kind.LOOKUP, Kind.CHAIN}
    assert servers(lone, "/run/x") == {}


def test_a_port_that_is_administratively_down_has_its_link_down() -> None:
    site = Site()
    found = render(site.state(replace(site.red_port, admin_state_up=False)))
    links = kinds(found, Kind.LINK, names.router_namespace(site.router.id))
    assert links[names.router_interface(site.red_port.id)].endswith(" down")
    assert links[names.router_interface(site.blue_port.id)].endswith(" up")


@pytest.mark.parametrize(
    "hostname", ["", "-x", "a,b", "a\nfa:16:3e:00:00:09,10.1.0.9", "tag:x", "a b", "ä", "x" * 64, "a-"]
)
def test_a_hostname_that_is_none_never_reaches_dnsmasq(hostname: str) -> None:
    site = Site()
    port = site.port(site.red, 7)
    (host,) = site.dhcp_with(port).hosts
    state = site.state(replace(site.dhcp, hosts=(replace(host, hostname=hostname),)))
    assert file(site, state, "host") == [f"{port.mac_address},10.1.0.7,host-10-1-0-7.warren.internal"]
    assert file(site, state, "addn_hosts") == ["10.1.0.7\thost-10-1-0-7.warren.internal host-10-1-0-7"]


def test_a_good_hostname_is_kept_without_its_domain() -> None:
    site = Site()
    port = site.port(site.red, 7)
    hosts = tuple(replace(each, hostname="web-1.example.org") for each in site.dhcp_with(port).hosts)
    assert file(site, site.state(replace(site.dhcp, hosts=hosts)), "host")[0].endswith(",web-1.warren.internal")


def test_without_name_servers_and_gateway_clients_ask_the_server_and_get_no_router() -> None:
    site = Site()
    bare = replace(site.red.subnets[0], gateway_ip=None)
    tag = f"tag:subnet-{bare.id}"
    options = file(site, site.state(replace(site.red, subnets=(bare,))), "opts")
    assert options == [f"{tag},option:dns-server,10.1.0.2", f"{tag},option:router"]


def test_neighbouring_subnets_are_on_the_link_and_a_default_of_their_own_is_kept() -> None:
    site = Site()
    own = replace(site.red.subnets[0], host_routes=(Route(destination="0.0.0.0/0", nexthop="10.1.0.99"),))
    sibling = Subnet(id=SubnetId("sibling"), cidr="10.8.0.0/24", enable_dhcp=False)
    six = Subnet(id=SubnetId("six"), cidr="2001:db8::/64")
    options = file(site, site.state(replace(site.red, subnets=(own, sibling, six))), "opts")
    assert options[1:3] == [
        f"tag:subnet-{own.id},{option},0.0.0.0/0,10.1.0.99,10.8.0.0/24,0.0.0.0"
        for option in ("option:classless-static-route", "249")
    ]


def test_a_network_without_a_subnet_to_serve_has_no_dnsmasq() -> None:
    site = Site()
    off = replace(site.red.subnets[0], enable_dhcp=False)
    state = site.state(replace(site.red, subnets=(off,)))
    assert servers(state, "/run/x") == {}
    assert Kind.ROUTE not in {key.kind for key in render(state) if key.namespace.startswith("qdhcp-")}


def test_a_namespaces_name_tells_its_owner() -> None:
    assert [owner_of(name) for name in ("qrouter-1", "qdhcp-2", "other")] == ["router/1", "dhcp/2", ""]


SAVED = """# Generated by iptables-save
*filter
:FORWARD ACCEPT [0:0]
:docker - [0:0]
:warren-FORWARD - [0:0]
:warren-empty - [0:0]
-A FORWARD -j docker
-A FORWARD -j warren-FORWARD
-A docker -j DROP
-A warren-FORWARD -s 192.0.2.0/24 -p vrrp -j ACCEPT
-A warren-FORWARD -p tcp -m comment --comment "rule -p x" -j ACCEPT
COMMIT
# Completed
"""


def test_only_warrens_chains_and_the_jumps_to_them_are_read() -> None:
    assert rules.read(SAVED, {"vrrp": 112}.__getitem__) == {
        "filter/FORWARD": f"{rules.BEHIND}\n-j warren-FORWARD",
        "filter/warren-FORWARD": '-s 192.0.2.0/24 -p 112 -j ACCEPT\n-p tcp -m comment --comment "rule -p x" -j ACCEPT',
        "filter/warren-empty": "",
    }


def test_a_jump_behind_somebody_elses_rule_is_moved_to_the_front_at_once() -> None:
    present = rules.read(SAVED.replace(" -p vrrp", ""), int)
    desired = {**present, "filter/FORWARD": "-j warren-FORWARD"}
    assert rules.transaction(plan(desired, present)) == (
        "*filter\n-D FORWARD -j warren-FORWARD\n-I FORWARD 1 -j warren-FORWARD\nCOMMIT\n"
    )
    in_front = SAVED.replace("-A FORWARD -j docker\n", "").replace("-A docker", "-A FORWARD -j docker\n-A docker")
    assert rules.read(in_front, {"vrrp": 112}.__getitem__)["filter/FORWARD"] == "-j warren-FORWARD"


def test_what_is_no_iptables_text_is_refused() -> None:
    with pytest.raises(Rejected, match="cannot be read"):
        rules.read("*filter\nsomething else\n", int)


def test_a_transaction_declares_before_it_names_and_deletes_last() -> None:
    desired = {"filter/FORWARD": "-j warren-new", "filter/warren-new": "-j ACCEPT", "nat/warren-n": ""}
    present = {"filter/FORWARD": "-j warren-old", "filter/warren-old": "-j DROP", "filter/INPUT": "-j warren-old"}
    text = rules.transaction(plan(desired, present))
    assert text.splitlines() == [
        "*filter",
        ":warren-new - [0:0]",
        ":warren-old - [0:0]",
        "-D FORWARD -j warren-old",
        "-D INPUT -j warren-old",
        "-A warren-new -j ACCEPT",
        "-I FORWARD 1 -j warren-new",
        "-X warren-old",
        "COMMIT",
        "*nat",
        ":warren-n - [0:0]",
        "COMMIT",
    ]
    assert rules.chain_at(text, 6) == "filter/warren-new"
    assert [rules.chain_at(text, line) for line in (0, 2, 9, 99)] == [None] * 4


def test_with_host_routes_the_default_is_among_them() -> None:
    site = Site()
    own = replace(site.red.subnets[0], host_routes=(Route(destination="172.16.0.0/12", nexthop="10.1.0.9"),))
    options = file(site, site.state(replace(site.red, subnets=(own,))), "opts")
    assert options[1].endswith("option:classless-static-route,172.16.0.0/12,10.1.0.9,0.0.0.0/0,10.1.0.1")


def test_without_snat_only_floating_ips_and_their_hairpin_are_translated() -> None:
    site = Site()
    found = render(site.state(replace(site.router, enable_snat=False)))
    chains = kinds(found, Kind.CHAIN, names.router_namespace(site.router.id))
    assert chains["filter/warren-l3-FORWARD"] == ""
    assert [line.split()[:2] for line in chains["nat/warren-l3-snat"].splitlines()] == [
        ["-j", "warren-l3-float-snat"],
        ["-m", "mark"],
    ]


def test_a_dhcp_server_has_no_way_out_by_a_gateway_that_it_cannot_reach() -> None:
    site = Site()
    red = replace(site.red, subnets=(replace(site.red.subnets[0], gateway_ip="192.0.2.1"),))
    assert kinds(render(site.state(red)), Kind.ROUTE, names.dhcp_namespace(red.id)) == {}
