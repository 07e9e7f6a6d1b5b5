"""What hosts are told: deltas add up to a fresh snapshot, and only the hosts concerned are told."""

import random
from collections import Counter
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from warren.core.errors import Refused
from warren.core.ids import HostName
from warren.core.state import Deployment, TunnelMode, kind_of
from warren.server import model
from warren.server.attributes.attribute import Table, on_create, on_update
from warren.server.attributes.floating_ip import FLOATING_IP
from warren.server.attributes.network import NETWORK
from warren.server.attributes.port import PORT
from warren.server.attributes.router import ROUTER
from warren.server.attributes.security_group import SECURITY_GROUP, SECURITY_GROUP_RULE
from warren.server.attributes.subnet import SUBNET
from warren.server.context import Context, Offer, PhysicalNetwork
from warren.server.hostview import host_state, object_at
from warren.server.indexes import PORTS_BY_DEVICE
from warren.server.placement import place_all
from warren.server.policy import Caller
from warren.server.rules import agents, floating_ips, networks, ports, reports, routers, security_groups, subnets
from warren.server.snapshot import Change, Snapshot
from warren.server.touch import touched
from warren.sync.feed import HostFeed
from warren.sync.messages import Delta, ObjectStatus, Report
from warren.sync.messages import Snapshot as WholeState

HOSTS = tuple(HostName(name) for name in ("network1", "network2", "compute1", "compute2", "compute3"))
CALLER = Caller(user_id="u", project_id="p", roles=frozenset({"admin"}))
OFFER = Offer(physical_networks={"public": PhysicalNetwork(name="public")})
SEEN: Counter[str] = Counter()


class World:
    """A database that changes by the rules only, and what a listening agent on each host would hold."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.now = Snapshot()
        self.heard, self.unheard = self.now, Change()
        self.alive = frozenset(HOSTS)
        self.feeds = {host: HostFeed.begin("e", 0, host_state(self.now, host)) for host in HOSTS}
        self.stale: dict[HostName, set[str]] = {host: set() for host in HOSTS}
        self.held = {host: (0, dict(feed.objects)) for host, feed in self.feeds.items()}

    @property
    def context(self) -> Context:
        return Context(caller=CALLER, at="2026-11-23T07:00:00Z", alive=self.alive, offer=OFFER)

    def commit(self, change: Change) -> None:
        """A revision, that is heard of at once, or, as another server's, with others after it as if they were one."""
        self.now, self.unheard = self.now.after(change, self.now.revision + 1), self.unheard.then(change)
        if self.random.random() < 0.7:
            self.hear()

    def hear(self) -> None:
        for host, keys in touched(self.heard, self.now, self.unheard, HOSTS).items():
            if host in self.stale:
                self.stale[host] |= keys
        self.heard, self.unheard = self.now, Change()

    def listen(self, host: HostName) -> None:
        """The host's agent hears what is new, whenever it comes to it."""
        self.hear()
        keys, self.stale[host] = self.stale[host], set()
        self.feeds[host].change(self.now.revision, {key: object_at(self.now, host, key) for key in keys})
        revision, objects = self.held[host]
        news = self.feeds[host].news("e", revision)
        if isinstance(news, WholeState):
            self.held[host] = (news.revision, dict(news.objects))
        elif isinstance(news, Delta):
            SEEN["delta"] += 1
            SEEN.update(f"set {kind_of(key)}" for key in news.set)
            SEEN.update(f"delete {kind_of(key)}" for key in news.delete)
            assert news.since == revision
            kept = {key: raw for key, raw in objects.items() if key not in news.delete}
            self.held[host] = (news.revision, {**kept, **news.set})

    def check(self) -> None:
        for host in HOSTS:
            self.listen(host)
            fresh = HostFeed.begin("e", 0, host_state(self.now, host)).objects
            _, held = self.held[host]
            assert {key: bytes(raw) for key, raw in held.items()} == {key: bytes(raw) for key, raw in fresh.items()}

    def any_of(self, cls: type[model.Resource]) -> str:
        """The id of some resource, or of none at all."""
        ids = sorted(resource.id for resource in self.now.all(cls))
        return self.random.choice(ids) if ids else "none"


def step(world: World, name: str) -> None:
    """One request, of whatever kind; refusals change nothing."""
    try:
        world.commit(STEPS[name](world))
        SEEN[name] += 1
    except Refused:
        SEEN[f"refused {name}"] += 1


def _create(table: Table, rule: Callable[..., tuple[str, Change]], **body: object) -> Callable[[World], Change]:
    def ask(world: World) -> Change:
        values = {name: value(world) if callable(value) else value for name, value in body.items()}
        asked = on_create(table, {k.replace("__", ":"): v for k, v in values.items()}, CALLER)
        return rule(world.now, world.context, asked)[1]

    return ask


def _update(table: Table, cls: type, rule: Callable[..., Change], **body: object) -> Callable[[World], Change]:
    def ask(world: World) -> Change:
        values = {name: value(world) if callable(value) else value for name, value in body.items()}
        asked = on_update(table, {k.replace("__", ":"): v for k, v in values.items()}, CALLER)
        return rule(world.now, world.context, world.any_of(cls), asked)

    return ask


def _delete(cls: type, rule: Callable[..., Change]) -> Callable[[World], Change]:
    return lambda world: rule(world.now, world.context, world.any_of(cls))


def _report(world: World) -> Change:
    host = world.random.choice(HOSTS)
    objects = {
        f"port/{world.any_of(model.Port)}": ObjectStatus(status=world.random.choice(["wired", "absent", "error"]))
    }
    said = Report(
        revision=world.now.revision,
        version="1",
        started_at=0.0,
        roles=("network",) if "network" in host else ("compute",),
        vtep_ip=f"10.9.0.{HOSTS.index(host) + world.random.choice([1, 1, 1, 101])}",
        tunnel_types=("vxlan", "gre"),
        bridge_mappings={"public": "br-ex"},
        plug=world.random.choice(["hybrid", "hybrid", "ovs"]),
        objects=objects,
    )
    return reports.report(world.now, world.context, host, said).change


def _die_or_live(world: World) -> Change:
    world.alive = frozenset(host for host in HOSTS if world.random.random() < 0.7)
    return place_all(world.now, world.context)


def _settings(world: World) -> Change:
    mode = world.random.choice(list(TunnelMode))
    return Change.put(model.Settings(deployment=Deployment(tunnel_mode=mode)))


def _interface(ask: Callable[..., tuple[object, Change]]) -> Callable[[World], Change]:
    return lambda world: ask(
        world.now, world.context, world.any_of(model.Router), {"subnet_id": world.any_of(model.Subnet)}
    )[1]


def _cidr(world: World) -> str:
    return f"10.{world.random.randrange(6)}.0.0/24"


def _host(world: World) -> str:
    return world.random.choice(["", *HOSTS])


def _network(world: World) -> str:
    return world.any_of(model.Network)


def _external(world: World) -> str:
    return next((network.id for network in world.now.all(model.Network) if network.is_external), "none")


def _reachable_port(world: World) -> str:
    """A port that a floating IP may stand before, if there is one."""
    routed = {
        fixed.subnet_id
        for port in world.now.all(model.Port)
        if port.device_owner == "network:router_interface"
        for fixed in port.fixed_ips
    }
    found = [
        port.id
        for port in world.now.all(model.Port)
        if not port.device_owner and any(fixed.subnet_id in routed for fixed in port.fixed_ips)
    ]
    return world.random.choice(found) if found else world.any_of(model.Port)


def _group(world: World) -> str:
    return world.any_of(model.SecurityGroup)


STEPS: dict[str, Callable[[World], Change]] = {
    "report": _report,
    "liveness": _die_or_live,
    "settings": _settings,
    "network": _create(NETWORK, networks.create),
    "external": _create(
        NETWORK,
        networks.create,
        router__external=True,
        provider__network_type="flat",
        provider__physical_network="public",
    ),
    "network name": _update(NETWORK, model.Network, networks.update, name=lambda w: str(w.random.random())),
    "network gone": _delete(model.Network, networks.delete),
    "subnet": _create(SUBNET, subnets.create, network_id=_network, ip_version=4, cidr=_cidr),
    "subnet dhcp": _update(SUBNET, model.Subnet, subnets.update, enable_dhcp=lambda w: w.random.random() < 0.5),
    "subnet gone": _delete(model.Subnet, subnets.delete),
    "port": _create(PORT, ports.create, network_id=_network, binding__host_id=_host),
    "open port": _create(PORT, ports.create, network_id=_network, binding__host_id=_host, port_security_enabled=False),
    "port host": _update(PORT, model.Port, ports.update, binding__host_id=_host),
    "port groups": _update(PORT, model.Port, ports.update, security_groups=lambda w: [_group(w)]),
    "port gone": _delete(model.Port, ports.delete),
    "router": _create(ROUTER, routers.create, external_gateway_info=lambda w: {"network_id": _external(w)}),
    "router plain": _create(ROUTER, routers.create),
    "router gateway": _update(
        ROUTER, model.Router, routers.update, external_gateway_info=lambda w: {"network_id": _external(w)}
    ),
    "router no gateway": _update(ROUTER, model.Router, routers.update, external_gateway_info={}),
    "router name": _update(ROUTER, model.Router, routers.update, name=lambda w: str(w.random.random())),
    "router gone": _delete(model.Router, routers.delete),
    "interface": _interface(routers.add_interface),
    "no interface": _interface(routers.remove_interface),
    "floating": _create(
        FLOATING_IP,
        floating_ips.create,
        floating_network_id=_external,
        port_id=lambda w: w.random.choice([None, _reachable_port(w)]),
    ),
    "floating port": _update(FLOATING_IP, model.FloatingIp, floating_ips.update, port_id=_reachable_port),
    "floating gone": _delete(model.FloatingIp, floating_ips.delete),
    "group": _create(SECURITY_GROUP, security_groups.create, name="g"),
    "group name": _update(
        SECURITY_GROUP, model.SecurityGroup, security_groups.update, name=lambda w: str(w.random.random())
    ),
    "group gone": _delete(model.SecurityGroup, security_groups.delete),
    "rule": _create(
        SECURITY_GROUP_RULE,
        security_groups.create_rule,
        security_group_id=_group,
        direction="ingress",
        remote_group_id=lambda w: w.random.choice([None, _group(w)]),
    ),
    "rule gone": _delete(model.SecurityGroupRule, security_groups.delete_rule),
    "drain": lambda world: agents.update(
        world.now, world.context, world.any_of(model.Agent), {"admin_state_up": world.random.random() < 0.5}
    ),
}

STARTED = (
    ["report"] * 12
    + ["external", "network", "subnet", "subnet", "subnet", "router", "interface"]
    + ["port", "floating"] * 2
)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.lists(st.sampled_from(sorted(STEPS)), min_size=20, max_size=80))
def test_deltas_to_touched_hosts_add_up_to_a_fresh_state(seed: int, names: list[str]) -> None:
    _live(World(seed), names)


def _live(world: World, names: list[str]) -> None:
    """Requests one after another, while agents hear of them or do not."""
    for name in [*STARTED, *names]:
        step(world, name)
        if world.random.random() < 0.3:
            world.listen(world.random.choice(HOSTS))
        if world.random.random() < 0.2:
            world.check()
        _check_promises(world)
    world.check()


def test_a_new_member_of_a_group_is_told_to_hosts_whose_rules_name_the_group() -> None:
    world = World(0)
    for _ in range(12):
        step(world, "report")
    for name in ("network", "subnet", "group", "group"):
        step(world, name)
    named, naming = sorted(group.id for group in world.now.all(model.SecurityGroup) if group.name == "g")
    (network,) = world.now.all(model.Network)
    rule = {"security_group_id": naming, "direction": "ingress", "remote_group_id": named}
    world.commit(_create(SECURITY_GROUP_RULE, security_groups.create_rule, **rule)(world))
    for host, group in (("compute1", naming), ("compute2", named)):
        body = {"network_id": network.id, "binding__host_id": host, "security_groups": [group]}
        world.commit(_create(PORT, ports.create, **body)(world))
        world.check()


def test_a_port_concerns_the_hosts_on_its_network_and_nobody_is_asked_whether_it_does() -> None:
    world = World(0)
    for name in ["report"] * 12 + ["network", "subnet", "network"]:
        step(world, name)
    (dhcp,) = world.now.all(model.Port)
    other = next(network.id for network in world.now.all(model.Network) if network.id != dhcp.network_id)
    for host, network in (("compute1", dhcp.network_id), ("compute2", other), ("compute3", dhcp.network_id)):
        body = {"network_id": network, "binding__host_id": host, "port_security_enabled": False}
        before, change = world.now, _create(PORT, ports.create, **body)(world)
        world.commit(change)
    assert set(touched(before, world.now, change, hosts=())) == {"compute1", "compute3", dhcp.host}


def test_hosts_that_come_to_a_network_at_once_are_peers_and_when_they_leave_it_at_once_they_are_none() -> None:
    world = World(0)
    for name in ["report"] * 12 + ["network"]:
        step(world, name)
    world.commit(Change.put(model.Settings(deployment=Deployment(tunnel_mode=TunnelMode.L2POP))))
    world.check()
    change = Change()
    for host in ("compute1", "compute2"):
        change = change.then(_create(PORT, ports.create, network_id=_network, binding__host_id=host)(world))
    world.commit(change)
    world.check()
    assert "peer/compute2" in world.held[HostName("compute1")][1]
    world.commit(Change.delete(*world.now.all(model.Port)))
    world.check()
    assert "peer/compute2" not in world.held[HostName("compute1")][1]


def _check_promises(world: World) -> None:
    """What no sequence of requests may break."""
    claims = Counter(claim for key in world.now.all_keys() if (one := world.now.at(key)) for claim in one.claims())
    assert all(count == 1 for count in claims.values()), "a value that must be unique is held twice"
    for port in world.now.all(model.Port):
        if port.is_bound and port.plug.value == "ovs" and not port.device_owner.startswith("network:"):
            assert not port.port_security_enabled, "a secured port is bound where nothing filters"
        for fixed in port.fixed_ips:
            assert world.now.get(model.Subnet, fixed.subnet_id), "an address is on a subnet that is gone"
    for router in world.now.all(model.Router):
        own = world.now.find(PORTS_BY_DEVICE, router.id)
        assert {port.host for port in own} <= {router.host}, "a router's port is not where the router is"
    for floating_ip in world.now.all(model.FloatingIp):
        assert floating_ip.port_id is None or world.now.get(model.Port, floating_ip.port_id)


def test_such_requests_reach_every_rule_and_every_kind_of_object() -> None:
    SEEN.clear()
    told = ("deployment", "network", "port", "neighbour", "peer", "group", "router", "dhcp")
    wanted = {*STEPS, *(f"set {kind}" for kind in told), *(f"delete {kind}" for kind in told[1:])}
    for seed in range(200):
        world = World(seed)
        _live(world, world.random.choices(sorted(STEPS), k=60))
        if wanted <= SEEN.keys():
            return
    assert sorted(wanted - SEEN.keys()) == []
