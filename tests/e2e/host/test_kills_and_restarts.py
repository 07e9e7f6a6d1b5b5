"""What a host keeps when its agent, its switch, its database or the server is killed, and when everything is lost."""

import subprocess
import time

import pytest
from tests.e2e.host.estate import PATIENCE_S, SOON_S, START_OVSDB, Estate, at_rest, wait_for

from warren.lab import control, processes

pytestmark = pytest.mark.root


def test_an_agent_that_is_killed_and_started_again_loses_no_packet_and_touches_no_flow(estate: Estate) -> None:
    before = {host: estate.flow_ages(host) for host in ("network", "compute1", "compute2")}
    learned = {key for key in before["compute1"] if key[1] == "20" and "dl_dst=fa:16" in key[2]}
    assert learned, "nothing was learned, so nothing can be lost"
    ping = estate.first.place(estate.lab)
    running = subprocess.Popen(
        ping.command(["ping", "-q", "-i", "0.001", "-c", "3000", estate.second.address]),
        env=ping.environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    for host in before:
        estate.kill_agent(host)
        estate.start_agent(host)
    said, _ = running.communicate(timeout=60)
    assert "3000 packets transmitted, 3000 received, 0% packet loss" in said
    for host, ages in before.items():
        after = estate.flow_ages(host)
        assert after.keys() >= ages.keys()
        assert all(after[key] > age for key, age in ages.items()), f"a flow of {host} was added anew"


def test_a_switch_that_is_killed_and_started_again_is_as_before_within_two_seconds(estate: Estate) -> None:
    tables = {key for key in estate.flow_ages("compute1") if key[1] != "20"}
    estate.kill_vswitchd("compute1")
    estate.start_vswitchd("compute1")
    returned_at = time.monotonic()
    estate.wait_for_ping(SOON_S)
    assert time.monotonic() - returned_at < SOON_S
    assert {key for key in estate.flow_ages("compute1") if key[1] != "20"} == tables


def test_a_network_host_whose_switch_was_killed_routes_and_serves_again(estate: Estate) -> None:
    estate.kill_vswitchd("network")
    estate.start_vswitchd("network")
    estate.wait_for_world()


def test_a_database_server_that_is_killed_and_started_again_is_watched_and_repaired_as_before(estate: Estate) -> None:
    compute = estate.host("compute2")
    estate.kill_ovsdb("compute2")
    compute.must("rm", "-f", "/run/openvswitch/db.sock")
    compute.must(*START_OVSDB)
    with estate.logs("compute2", "ovsdb.repair", "tag=99"):
        compute.must("ovs-vsctl", "--timeout=20", "set", "Port", f"qvo{estate.second.port_id[:11]}", "tag=99")
    estate.wait_for_ping(PATIENCE_S)


def test_a_host_is_rebuilt_from_its_disk_while_the_server_is_away(estate: Estate) -> None:
    server = estate.lab.living(estate.lab.path / "server.pid")
    assert server is not None
    processes.end_one(server, estate.lab.lab_id)
    try:
        assert " 0% packet loss" in estate.pings("-i", "0.01", "-c", "100").stdout
        estate.kill_agent("compute1")
        estate.kill_vswitchd("compute1")
        estate.start_vswitchd("compute1")
        assert estate.pings("-c", "1", "-W", "0.5").returncode != 0, "a switch without flows passes nothing"
        estate.start_agent("compute1")
        estate.wait_for_ping(PATIENCE_S)
    finally:
        control.run_server(estate.lab)
        control.wait_for_agents(estate.lab, control.wait_for_server(estate.lab))


def everything_lost(estate: Estate) -> None:
    """As after a reboot: no namespace, no dnsmasq, no flow; only what is on disk, OVSDB included."""
    network = estate.host("network")
    for namespace in (estate.router_namespace, estate.dhcp_namespace):
        for pid in network.run("ip", "netns", "pids", namespace).stdout.split():
            network.run("kill", "-9", pid)
        network.run("ip", "netns", "delete", namespace)
    estate.kill_vswitchd("network")
    estate.start_vswitchd("network")
    for bridge in ("br-tun", "br-ex"):
        network.must("ovs-vsctl", "del-br", bridge)


def test_a_host_that_lost_everything_is_as_before_although_its_agent_is_killed_again_and_again(estate: Estate) -> None:
    before = at_rest(estate)
    estate.kill_agent("network")
    everything_lost(estate)
    for wait_s in (0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7):
        control.run_agent(estate.lab, estate.host("network"))
        time.sleep(wait_s)  # not a wait for anything: the moment of the kill is what varies
        estate.kill_agent("network")
    estate.start_agent("network")
    wait_for(before, estate)
    estate.wait_for_world()
