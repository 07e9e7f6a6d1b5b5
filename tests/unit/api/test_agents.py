"""Agents: their reports and streams, and what binding and status make of them."""

import threading
from pathlib import Path

import msgspec
import urllib3
from tests.unit.api.conftest import WIRED, state_of, with_subnet

from warren.sync.messages import ObjectStatus
from warren.testing.api_server import Agent, ApiServer, Client, api_server


def test_a_port_is_active_when_its_host_read_the_wiring_back_and_not_before(
    admin: Client, compute: Agent, network_host: Agent
) -> None:
    network, _ = with_subnet(admin)
    port = admin.create("port", network_id=network["id"], binding__host_id="compute1")
    assert (port["status"], port["binding:vif_type"]) == ("DOWN", "ovs")
    assert port["binding:vif_details"]["ovs_hybrid_plug"] is True
    assert port["binding:vif_details"]["datapath_type"] == "netdev"
    key = f"port/{port['id']}"

    def status() -> str:
        return str(admin.call("GET", f"ports/{port['id']}").body["port"]["status"])

    network_host.report({key: WIRED}, roles=("network",))
    assert status() == "DOWN", "another host's word counts for nothing"
    for said, expected in (("wired", "ACTIVE"), ("absent", "DOWN"), ("error", "ERROR"), ("wired", "ACTIVE")):
        compute.report({key: ObjectStatus(status=said, reason="no such bridge" if said == "error" else "")})
        assert status() == expected
    compute.report({}, complete=True)
    assert status() == "DOWN", "what a complete report leaves out is not there"


def test_the_reason_of_an_error_is_in_the_ports_and_the_agents_status(admin: Client, compute: Agent) -> None:
    network, _ = with_subnet(admin)
    port = admin.create("port", network_id=network["id"], binding__host_id="compute1")["id"]
    compute.report({f"port/{port}": ObjectStatus(status="error", reason="br-int is gone")}, errors=("br-int is gone",))
    assert admin.call("GET", f"ports/{port}").body["port"]["binding:vif_details"]["reason"] == "br-int is gone"
    (row,) = admin.list("agents?host=compute1")
    assert row["configurations"]["errors"] == ["br-int is gone"]
    assert row["configurations"]["objects_in_error"] == {f"port/{port}": "br-int is gone"}


def test_a_host_that_cannot_filter_is_never_given_a_secured_port(server: ApiServer, admin: Client) -> None:
    agent = server.agent("direct1", 9)
    agent.report(plug="ovs")
    network, _ = with_subnet(admin)
    refused = admin.create("port", network_id=network["id"], binding__host_id="direct1")
    assert refused["binding:vif_type"] == "binding_failed"
    assert "cannot filter" in refused["binding:vif_details"]["reason"]
    opened = admin.create("port", network_id=network["id"], binding__host_id="direct1", port_security_enabled=False)
    assert opened["binding:vif_details"]["ovs_hybrid_plug"] is False
    assert [key for key in state_of(agent)[0] if key.startswith("port/")] == [f"port/{opened['id']}"]
    for is_secured, vif_type in ((True, "binding_failed"), (False, "ovs")):
        body = {"port": {"port_security_enabled": is_secured, "security_groups": []}}
        changed = admin.call("PUT", f"ports/{opened['id']}", body).body["port"]
        assert changed["binding:vif_type"] == vif_type
    agent.close()


def test_a_port_on_a_host_without_an_agent_is_bound_when_the_agent_appears(server: ApiServer, admin: Client) -> None:
    network, _ = with_subnet(admin)
    port = admin.create("port", network_id=network["id"], binding__host_id="late1")
    assert port["binding:vif_type"] == "binding_failed"
    assert "no agent" in port["binding:vif_details"]["reason"]
    agent = server.agent("late1", 10)
    agent.report()
    assert admin.call("GET", f"ports/{port['id']}").body["port"]["binding:vif_type"] == "ovs"
    agent.close()


def test_an_agents_credential_is_good_for_its_own_host_only(server: ApiServer, compute: Agent, alice: Client) -> None:
    http = urllib3.PoolManager(retries=False)
    path = f"{server.url}/agent/v1/hosts/network"
    report = msgspec.json.encode(compute.identity)
    for headers, status in [
        ({}, 401),
        ({"X-Auth-Token": alice.token}, 401),
        ({"Authorization": f"Bearer {alice.token}"}, 403),
        (compute.headers, 403),
    ]:
        assert http.request("GET", f"{path}/state", headers=headers).status == status
        assert http.request("POST", f"{path}/report", body=report, headers=headers).status == status
    path = f"{server.url}/agent/v1/hosts/compute1"
    for garbage in (b"{", b'{"version": "\xff"}', b'{"unknown": "\xff"}', b'{"unknown": ' + b"[" * 100_000):
        assert http.request("POST", f"{path}/report", body=garbage, headers=compute.headers).status == 400, garbage[:30]
    endless = http.request(
        "GET", f"{path}/state?revision={'9' * 5000}", headers=compute.headers, preload_content=False, timeout=5
    )
    assert endless.status == 200
    endless.close()
    for wrong in (
        {"vtep_ip": "everywhere"},
        {"vtep_ip": "224.0.0.1"},
        {"vtep_ip": "127.0.0.1"},
        {"plug": "magic"},
        {"started_at": 1e30},
    ):
        assert compute.report(**wrong) == 400, wrong
    token = compute.headers["Authorization"].removeprefix("Bearer ")
    assert http.request("GET", f"{server.url}/v2.0/ports", headers={"X-Auth-Token": token}).status == 401
    http.clear()


def test_a_host_has_the_roles_that_its_credential_gives_it_and_no_router_by_its_word_alone(
    server: ApiServer, admin: Client
) -> None:
    stolen = server.agent("stolen1", 12)
    assert stolen.report() == 204
    for roles in (("network",), ("compute", "network"), ("compute", "anything")):
        assert stolen.report(roles=roles) == 403
    forged = {"Authorization": stolen.headers["Authorization"].replace("compute.", "network.")}
    path = f"{server.url}/agent/v1/hosts/stolen1/report"
    refused = urllib3.request("POST", path, body=msgspec.json.encode(stolen.identity), headers=forged, retries=False)
    assert refused.status == 403
    assert "report.refused host=stolen1" in server.log.read_text()
    (row,) = admin.list("agents?host=stolen1")
    assert row["configurations"]["roles"] == ["compute"]
    refused = urllib3.request(
        "POST",
        path,
        body=msgspec.json.encode(msgspec.structs.replace(stolen.identity, roles=("compute", "network"))),
        headers=stolen.headers,
        retries=False,
    )
    message = msgspec.json.decode(refused.data)["error"]["message"]
    assert "gives it the role compute, not network" in message
    assert "`warren server agent-token stolen1 --role compute --role network`" in message
    stolen.close()


def test_a_stream_tells_changes_and_resumes_where_it_was_left(admin: Client, server: ApiServer) -> None:
    agent = server.agent("stream1", 11)
    agent.report()
    stream = agent.stream()
    snapshot = msgspec.json.decode(stream.readline())
    assert snapshot["type"] == "snapshot"
    network, _ = with_subnet(admin)
    port = admin.create("port", network_id=network["id"], binding__host_id="stream1")["id"]
    delta = msgspec.json.decode(stream.readline())
    assert (delta["type"], delta["since"]) == ("delta", snapshot["revision"])
    assert {f"port/{port}", f"network/{network['id']}"} <= set(delta["set"])
    stream.close()
    admin.call("DELETE", f"ports/{port}")
    stream = agent.stream(delta["epoch"], delta["revision"])
    resumed = msgspec.json.decode(stream.readline())
    assert (resumed["type"], resumed["since"]) == ("delta", delta["revision"])
    assert f"port/{port}" in resumed["delete"]
    stream.close()
    for epoch, revision in (("another", delta["revision"]), (delta["epoch"], 10**9), (delta["epoch"], -1)):
        stream = agent.stream(epoch, revision)
        assert msgspec.json.decode(stream.readline())["type"] == "snapshot"
        stream.close()
    agent.close()


def test_a_stream_without_news_says_so_at_once(tmp_path: Path) -> None:
    """Who resumes knows by that that the server is there; a dry run waits for it."""
    with api_server(tmp_path, keepalive_s=3600) as server:
        agent = server.agent("stream1", 11)
        agent.report()
        known = msgspec.json.decode(agent.stream().readline())
        first = msgspec.json.decode(agent.stream(known["epoch"], known["revision"]).readline())
        assert (first["type"], first["revision"]) == ("keepalive", known["revision"])
        agent.close()


def begun(stream: urllib3.BaseHTTPResponse) -> urllib3.BaseHTTPResponse:
    assert stream.status == 200
    assert msgspec.json.decode(stream.readline())["type"] == "snapshot"
    return stream


def test_a_second_agent_of_a_host_is_refused_and_spoken_of_while_the_first_lives(
    server: ApiServer, admin: Client
) -> None:
    first, second = server.agent("twice1", 20), server.agent("twice1", 21)
    assert first.report(started_at=1.0) == 204
    had = begun(first.stream(agent="1.0"))

    def come_back() -> None:
        had.read()
        begun(first.stream(agent="1.0"))

    living = threading.Thread(target=come_back)
    living.start()
    refused = second.stream(agent="2.0")
    living.join()
    assert refused.status == 409
    sentence = "host twice1 has another agent, at 127.0.0.1, that is alive: stop one of the two"
    assert sentence in msgspec.json.decode(refused.read())["error"]["message"]
    assert second.report(started_at=2.0) == 409
    assert second.stream(agent="2.0").status == 409, "nor is the first asked again"
    assert first.report(started_at=1.0, errors=("br-int is gone",)) == 204
    (row,) = admin.list("agents?host=twice1")
    assert row["configurations"]["tunneling_ip"] == "10.9.0.20"
    said, of_the_second = row["configurations"]["errors"]
    assert said == "br-int is gone"
    assert "a second agent of host twice1, at 127.0.0.1, is refused" in of_the_second
    assert "agent.second host=twice1" in server.log.read_text()
    begun(server.agent("twice1", 20).stream(agent=""))  # a dry run, beside it
    first.close()
    second.close()


def test_an_agent_that_is_started_again_has_its_host_at_once_also_where_the_old_connection_still_stands(
    server: ApiServer,
) -> None:
    """The one before it was killed, which ends its stream, or lost its power, which ends nothing."""
    agent = server.agent("again1", 22)
    for number in range(20):
        begun(agent.stream(agent=f"{number}")).close()
    silent = begun(server.agent("again1", 22).stream(agent="20"))
    begun(agent.stream(agent="21"))
    assert agent.report(started_at=21.0) == 204
    silent.close()
    agent.close()
