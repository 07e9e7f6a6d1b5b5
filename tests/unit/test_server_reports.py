"""What an agent's report changes at once: who can do something from now on is given it."""

from typing import Any

import msgspec
import pytest

from warren.core.ids import HostName
from warren.server import model
from warren.server.attributes.attribute import Table, on_create
from warren.server.attributes.network import NETWORK
from warren.server.attributes.port import PORT
from warren.server.attributes.subnet import SUBNET
from warren.server.context import Context, Offer, PhysicalNetwork
from warren.server.policy import Caller
from warren.server.rules import networks, ports, reports, subnets
from warren.server.snapshot import Change, Snapshot
from warren.sync.messages import Report

HOST = HostName("h1")
CALLER = Caller(user_id="u", project_id="p", roles=frozenset({"admin"}))
OFFER = Offer(physical_networks={"public": PhysicalNetwork(name="public")})
CONTEXT = Context(caller=CALLER, at="2026-11-23T07:00:00Z", alive=frozenset({HOST}), offer=OFFER)
WHOLE = Report(
    revision=0,
    version="1",
    started_at=0.0,
    roles=("network",),
    vtep_ip="10.9.0.1",
    tunnel_types=("vxlan",),
    bridge_mappings={"public": "br-ex"},
)


def made(now: Snapshot, table: Table, create: Any, **body: object) -> tuple[str, Snapshot]:
    resource_id, change = create(now, CONTEXT, on_create(table, body, CALLER))
    return resource_id, now.after(change)


def reported(now: Snapshot, **differences: Any) -> Snapshot:
    said = msgspec.structs.replace(WHOLE, **differences)
    return now.after(reports.report(now, CONTEXT, HOST, said).change)


FLAT = {"provider:network_type": "flat", "provider:physical_network": "public"}


@pytest.mark.parametrize(
    ("lacks", "network"), [({"tunnel_types": ()}, {}), ({"bridge_mappings": {}}, FLAT), ({"plug": "ovs"}, {})]
)
def test_a_binding_that_failed_for_what_a_host_could_not_do_is_made_when_it_can(
    lacks: dict[str, Any], network: dict[str, Any]
) -> None:
    now = reported(Snapshot(), **lacks)
    network_id, now = made(now, NETWORK, networks.create, **network)
    port_id, now = made(now, PORT, ports.create, network_id=network_id, **{"binding:host_id": HOST})
    assert now.of(model.Port, port_id).vif_type == model.VIF_BINDING_FAILED
    assert reported(now).of(model.Port, port_id).is_bound


def test_a_dhcp_server_without_a_host_goes_to_the_one_that_is_for_networks_from_now_on() -> None:
    now = reported(Snapshot(), roles=("compute",))
    network_id, now = made(now, NETWORK, networks.create)
    _, now = made(now, SUBNET, subnets.create, network_id=network_id, ip_version=4, cidr="10.0.0.0/24")
    (server,) = now.all(model.Port)
    assert server.host == ""
    assert reported(now).of(model.Port, server.id).host == HOST


def test_an_agent_whose_rows_were_deleted_is_in_service_again_when_it_reports() -> None:
    now = reported(Snapshot())
    now = now.after(Change.delete(*now.all(model.Agent)))
    network_id, now = made(now, NETWORK, networks.create)
    _, now = made(now, SUBNET, subnets.create, network_id=network_id, ip_version=4, cidr="10.0.0.0/24")
    (server,) = now.all(model.Port)
    assert server.host == ""
    assert reported(now).of(model.Port, server.id).host == HOST
