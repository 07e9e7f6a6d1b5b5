"""The agent's configuration: every wrong word is answered with one sentence that says what to write instead."""

from ipaddress import IPv4Interface
from pathlib import Path

import pytest

from warren.agent.config import PhysicalNetwork, parse_config, read_config
from warren.core.errors import Invalid
from warren.core.state import NetworkType, Plug

MINIMAL = """
host = "compute1"
[server]
url = "http://127.0.0.1:9696"
[tunnel]
local_ip = "10.9.0.2/24"
"""

FULL = """
host = "network1"
roles = ["compute", "network"]
state_dir = "/srv/warren"
plug = "ovs"
audit_interval_s = 5
report_interval_s = 2.5
[server]
url = "unix:///run/warren/agents.sock"
token_file = "/etc/warren/agent.token"
[tunnel]
local_ip = "10.9.0.3/16"
types = ["gre"]
interface = "eth0"
[ovs]
db = "unix:/tmp/db.sock"
datapath_type = "netdev"
[physical_networks.public]
bridge = "br-ex"
interface = "eth1"
[physical_networks.lab]
bridge = "br-lab"
[metrics]
listen = "127.0.0.1:9697"
"""


def test_what_is_not_said_has_the_documented_default() -> None:
    config = parse_config(MINIMAL, "agent.toml")
    assert (config.host, config.roles, config.plug) == ("compute1", ("compute",), Plug.HYBRID)
    assert (config.audit_interval_s, config.report_interval_s) == (60.0, 10.0)
    assert config.state_dir == Path("/var/lib/warren")
    assert config.ovs.db == "unix:/run/openvswitch/db.sock"
    assert config.tunnel.types == (NetworkType.VXLAN, NetworkType.GRE)
    assert config.physical_networks == ()
    assert config.metrics_listen is None


def test_every_key_is_heard() -> None:
    config = parse_config(FULL, "agent.toml")
    assert (config.roles, config.plug, config.audit_interval_s) == (("compute", "network"), Plug.OVS, 5.0)
    assert config.server.url == "unix:///run/warren/agents.sock"
    assert config.server.token_file == Path("/etc/warren/agent.token")
    assert (config.tunnel.local_ip, config.tunnel.interface) == (IPv4Interface("10.9.0.3/16"), "eth0")
    assert config.tunnel.types == (NetworkType.GRE,)
    assert config.ovs.datapath_type == "netdev"
    assert config.physical_networks == (
        PhysicalNetwork(name="lab", bridge="br-lab", interface=None),
        PhysicalNetwork(name="public", bridge="br-ex", interface="eth1"),
    )
    assert config.bridge_mappings == {"lab": "br-lab", "public": "br-ex"}
    assert config.metrics_listen == ("127.0.0.1", 9697)


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ('host = "compute1"', "", "agent.toml: host is missing: add it"),
        ('host = "compute1"', "host = 7", "agent.toml: host must be a name without spaces and slashes, not 7"),
        ('host = "compute1"', 'hots = "compute1"', "agent.toml: host is missing: add it"),
        (
            "[server]",
            "audit_intervall_s = 5\n[server]",
            "agent.toml: audit_intervall_s is not a key of the configuration: did you mean 'audit_interval_s'?",
        ),
        (
            "[server]",
            "audit_interval_s = 0\n[server]",
            "agent.toml: audit_interval_s must be a number of seconds above 0, not 0",
        ),
        ("[server]", "plug = true\n[server]", "agent.toml: plug must be one of hybrid, ovs, not True"),
        (
            "[server]",
            'roles = ["storage"]\n[server]',
            "agent.toml: roles must be a list of some of compute, network, not ['storage']",
        ),
        ("[server]", 'state_dir = "here"\n[server]', "agent.toml: state_dir must be an absolute path, not 'here'"),
        (
            'url = "http://127.0.0.1:9696"',
            'url = "127.0.0.1:9696"',
            (
                "agent.toml: server.url must be a URL like http://10.0.0.1:9696, https://… or "
                "unix:///run/warren/agents.sock, not '127.0.0.1:9696'"
            ),
        ),
        *(
            (
                "http://127.0.0.1:9696",
                url,
                (
                    "agent.toml: server.url must be a URL like http://10.0.0.1:9696, https://… or "
                    f"unix:///run/warren/agents.sock, not '{url}'"
                ),
            )
            for url in ("http://10.0.0.1:99999", "http://10.0.0.1:web", "http://[fd00::1", "ftp://10.0.0.1")
        ),
        (
            "[tunnel]",
            "[physical_networks.public]\nbridge='br-int'\n[tunnel]",
            (
                "agent.toml: physical_networks.public.bridge must be another bridge than Warren's own "
                "(br-int, br-phy, br-tun), not 'br-int'"
            ),
        ),
        (
            '"10.9.0.2/24"',
            '"10.9.0.2"',
            (
                "agent.toml: tunnel.local_ip must be an IPv4 address with its prefix length, like 10.9.0.2/24, "
                "not '10.9.0.2'"
            ),
        ),
        (
            "[tunnel]",
            "[tunnel]\ninterface = 'averylonginterface'",
            (
                "agent.toml: tunnel.interface must be an interface's name of at most 15 characters, "
                "not 'averylonginterface'"
            ),
        ),
        (
            "[tunnel]",
            "[physical_networks.public]\n[tunnel]",
            "agent.toml: physical_networks.public.bridge is missing: add it",
        ),
        (
            "[tunnel]",
            "[metrics]\nlisten='0.0.0.0:80'\n[tunnel]",
            "agent.toml: metrics.listen must be a loopback address and port, like 127.0.0.1:9697, not '0.0.0.0:80'",
        ),
        (
            "[tunnel]",
            "[ovs]\ndb='/run/db.sock'\n[tunnel]",
            "agent.toml: ovs.db must be an OVSDB connection like unix:/run/openvswitch/db.sock, not '/run/db.sock'",
        ),
    ],
)
def test_a_wrong_key_or_value_is_named_with_its_mend(before: str, after: str, sentence: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_config(MINIMAL.replace(before, after), "agent.toml")
    assert str(refused.value) == sentence


def test_a_value_where_a_table_belongs_is_named() -> None:
    text = 'host = "a"\ntunnel = "gre"\n[server]\nurl = "http://x"\n'
    with pytest.raises(Invalid, match=r"tunnel must be a table \(\[tunnel\] with keys below it\), not 'gre'"):
        parse_config(text, "agent.toml")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"nothing\.toml cannot be read"):
        read_config(tmp_path / "nothing.toml")
