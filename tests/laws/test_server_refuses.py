"""Nothing that a client can send makes the server fail: it is taken, or refused with a sentence."""

import contextlib
import json
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from warren.core.errors import Refused
from warren.core.ids import HostName
from warren.server import model
from warren.server.attributes.attribute import on_create, on_update, shown
from warren.server.context import Context, Offer, PhysicalNetwork
from warren.server.identity import api as identity
from warren.server.identity.directory import Directory, Project, User
from warren.server.identity.secrets import hash_password
from warren.server.identity.tokens import Claims, issue, verify
from warren.server.policy import Caller
from warren.server.query import parse_query, select
from warren.server.resources import RESOURCES, ApiResource
from warren.server.rules import reports, routers
from warren.server.snapshot import Change, Snapshot
from warren.sync.messages import Report

SECRET: Final = b"s" * 32
DIRECTORY: Final = Directory(
    users=(User(id="u", name="ann", password_hash=hash_password("x"), roles={"p": frozenset({"admin"})}),),
    projects=(Project(id="p", name="red"),),
)
CONTEXT: Final = Context(
    caller=Caller(user_id="u", project_id="p", roles=frozenset({"admin"})),
    at="2026-11-23T07:00:00Z",
    alive=frozenset({HostName("h1")}),
    offer=Offer(physical_networks={"public": PhysicalNetwork(name="public")}),
)
HOST: Final = Report(
    revision=0, version="1", started_at=0.0, roles=("network",), vtep_ip="10.9.0.1", tunnel_types=("vxlan",)
)
NAMED: Final = {resource.name: resource for resource in RESOURCES}


def peopled() -> Snapshot:
    """A database with one of everything."""
    now = Snapshot()
    now = now.after(reports.report(now, CONTEXT, HostName("h1"), HOST).change)
    flat = {"provider:network_type": "flat", "provider:physical_network": "public", "router:external": True}
    outside, now = made(now, "network", flat)
    _, now = made(now, "subnet", {"network_id": outside, "ip_version": 4, "cidr": "203.0.113.0/24"})
    inside, now = made(now, "network", {})
    subnet, now = made(now, "subnet", {"network_id": inside, "ip_version": 4, "cidr": "10.0.0.0/24"})
    port, now = made(now, "port", {"network_id": inside, "binding:host_id": "h1"})
    router, now = made(now, "router", {"external_gateway_info": {"network_id": outside}})
    now = now.after(routers.add_interface(now, CONTEXT, router, {"subnet_id": subnet})[1])
    _, now = made(now, "floatingip", {"floating_network_id": outside, "port_id": port})
    group, now = made(now, "security_group", {"name": "g"})
    _, now = made(now, "security_group_rule", {"security_group_id": group, "direction": "ingress"})
    return now


def made(now: Snapshot, name: str, body: dict[str, Any]) -> tuple[str, Snapshot]:
    create = NAMED[name].create
    assert create
    resource_id, change = create(now, CONTEXT, on_create(NAMED[name].table, body, CONTEXT.caller))
    return resource_id, now.after(change)


NOW: Final = peopled()
IDS: Final = sorted(key.id for key in NOW.all_keys())

nasty_texts = [
    "", "x" * 300, "\x00", "\ud800", "é", "10.0.0.0/24", "10.0.0.5", "10.0.0.0/0", "255.255.255.255", "fd00::/64",
    "fa:16:3e:00:00:01", "01:00:00:00:00:00", "tcp", "ingress", "IPv4", "vxlan", "flat", "public", "h1",
    "network:dhcp", "-1", "1e999", "true", "None",
]  # fmt: skip
nasty_numbers = [-1, 0, 1, 4, 80, 2**31, 2**64, 10**400, 0.5, 1e300]
members = ["network_id", "subnet_id", "ip_address", "start", "end", "destination", "nexthop", "enable_snat", "x"]
texts = st.sampled_from(nasty_texts)
scalars = st.none() | st.booleans() | st.sampled_from(nasty_numbers) | texts | st.sampled_from(IDS)
objects = st.dictionaries(st.sampled_from(members), scalars, max_size=3)
values = scalars | objects | st.lists(scalars | objects, max_size=3)


def sent(value: Any) -> Any:
    """The value as it comes out of a request's body, if it can be in one."""
    try:
        return msgspec.json.decode(json.dumps(value))
    except (msgspec.DecodeError, UnicodeEncodeError):
        reject()


def check(change: Change) -> None:
    """What a rule answers can be stored, read back, and shown."""
    after = NOW.after(change)
    for key, value in change.values.items():
        if value is not None:
            assert msgspec.json.decode(msgspec.json.encode(value), type=type(value)) == value
            assert all(isinstance(claim.value, str) for claim in value.claims())
        if value is not None and key.kind in NAMED and key.kind != "agent":
            msgspec.json.encode(shown(NAMED[key.kind].table, after, value, CONTEXT.caller, frozenset()))


def plausible(resource: ApiResource) -> dict[str, Any]:
    """A body that would be taken, to be spoilt."""
    network = next(one.id for one in NOW.all(model.Network) if not one.is_external)
    outside = next(one.id for one in NOW.all(model.Network) if one.is_external)
    group = next(one.id for one in NOW.all(model.SecurityGroup))
    bodies: dict[str, dict[str, Any]] = {
        "subnet": {"network_id": network, "ip_version": 4, "cidr": "10.7.0.0/24"},
        "port": {"network_id": network},
        "floatingip": {"floating_network_id": outside},
        "security_group_rule": {"security_group_id": group, "direction": "ingress", "protocol": "udp"},
    }
    return bodies.get(resource.name, {})


@settings(max_examples=120, deadline=None)
@given(st.sampled_from([one for one in RESOURCES if one.create]), st.data())
def test_any_create_is_taken_or_refused(resource: ApiResource, data: st.DataObject) -> None:
    names = [name for name, one in resource.table.items() if one.on_create]
    spoilt = data.draw(st.dictionaries(st.sampled_from(names), values, max_size=3))
    body = sent(data.draw(st.sampled_from([{**plausible(resource), **spoilt}, spoilt, None, [], "text", 7])))
    create = resource.create
    assert create
    with contextlib.suppress(Refused):
        check(create(NOW, CONTEXT, on_create(resource.table, body, CONTEXT.caller))[1])


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(RESOURCES), st.data())
def test_any_update_or_delete_is_taken_or_refused(resource: ApiResource, data: st.DataObject) -> None:
    names = [name for name, one in resource.table.items() if one.on_update] or ["name"]
    body = sent(data.draw(st.dictionaries(st.sampled_from(names), values, max_size=3)))
    for one in sorted(NOW.all(resource.cls), key=lambda one: str(one.id)):
        with contextlib.suppress(Refused):
            check(resource.update(NOW, CONTEXT, one.id, on_update(resource.table, body, CONTEXT.caller)))
        with contextlib.suppress(Refused):
            check(resource.delete(NOW, CONTEXT, one.id))


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(RESOURCES), st.data())
def test_any_query_is_answered_or_refused(resource: ApiResource, data: st.DataObject) -> None:
    names = [*resource.table, "sort_key", "sort_dir", "limit", "marker", "fields", "page_reverse", "nothing"]
    parameters = data.draw(st.lists(st.tuples(st.sampled_from(names), texts | st.sampled_from(names)), max_size=4))
    found = [] if resource.name == "agent" else NOW.all(resource.cls)
    with contextlib.suppress(Refused):
        select(NOW, resource.table, found, parse_query(resource.table, parameters, CONTEXT.caller))


@settings(max_examples=80, deadline=None)
@given(values | st.dictionaries(st.sampled_from(["subnet_id", "port_id", "x"]), values, max_size=2))
def test_any_body_of_a_router_interface_is_taken_or_refused(value: Any) -> None:
    router = next(one.id for one in NOW.all(model.Router))
    for ask in (routers.add_interface, routers.remove_interface):
        with contextlib.suppress(Refused):
            check(ask(NOW, CONTEXT, router, sent(value))[1])


words = ["auth", "identity", "methods", "password", "user", "name", "id", "domain", "scope", "project", "unscoped"]
logins = st.recursive(
    scalars | st.just("ann") | st.just(["password"]),
    lambda inner: st.dictionaries(st.sampled_from(words), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(logins, logins)
def test_any_login_is_refused_unless_it_is_right(body: Any, scope: Any) -> None:
    user = {"name": "ann", "domain": {"id": "default"}, "password": "x"}
    shaped = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}
    for tried in (body, shaped):
        with contextlib.suppress(Refused):
            assert identity.authenticate(DIRECTORY, sent(tried), 0.0, 60).user.name == "ann"


@settings(max_examples=60)
@given(st.text(max_size=40), st.integers(0, 2**21))
def test_only_the_servers_own_tokens_are_valid_and_only_while_they_live(garbage: str, at: int) -> None:
    claims = Claims(user="u", project="p", issued=0, expires=2**20, audit="a")
    token = issue(SECRET, claims)
    foreign = msgspec.structs.replace(claims, project="another")
    forged = [garbage, f"{garbage}.{token}", token + garbage, token.replace(".", ""), issue(b"z" * 32, claims)]
    for tried in (issue(SECRET, foreign), *(one for one in forged if one != token)):
        with pytest.raises(Refused):
            verify(SECRET, DIRECTORY, tried, 0.0)
    if at < claims.expires:
        assert verify(SECRET, DIRECTORY, token, at).user.name == "ann"
    else:
        with pytest.raises(Refused):
            verify(SECRET, DIRECTORY, token, at)
