"""The Networking API as the lab's steps use it: a client like any other, over HTTP, with a token.

Every change says the `openstack` command that does the same. Owns no state but its token; knows nothing of the server's
code.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

import msgspec
import urllib3

from warren.core.errors import Refused, Rejected, Unreachable

T = TypeVar("T")
Say = Callable[[str], None]

_TIMEOUT_S: Final = 10.0


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """A network, as far as the lab looks at it."""

    id: str
    name: str
    project_id: str = ""
    mtu: int = 0
    network_type: str | None = msgspec.field(name="provider:network_type", default=None)
    segmentation_id: int | None = msgspec.field(name="provider:segmentation_id", default=None)
    is_external: bool = msgspec.field(name="router:external", default=False)


class Subnet(msgspec.Struct, frozen=True, kw_only=True):
    """A subnet."""

    id: str
    name: str
    network_id: str
    cidr: str
    gateway_ip: str | None = None


class FixedIp(msgspec.Struct, frozen=True):
    """One address of a port."""

    subnet_id: str
    ip_address: str


class Port(msgspec.Struct, frozen=True, kw_only=True):
    """A port."""

    id: str
    name: str
    network_id: str
    mac_address: str
    status: str
    device_owner: str = ""
    device_id: str = ""
    fixed_ips: tuple[FixedIp, ...] = ()
    host: str = msgspec.field(name="binding:host_id", default="")
    vif_type: str = msgspec.field(name="binding:vif_type", default="")
    vif_details: dict[str, Any] = msgspec.field(name="binding:vif_details", default_factory=dict)

    @property
    def address(self) -> str:
        """Its first address, or nothing."""
        return self.fixed_ips[0].ip_address if self.fixed_ips else ""


class Router(msgspec.Struct, frozen=True, kw_only=True):
    """A router."""

    id: str
    name: str


class FloatingIp(msgspec.Struct, frozen=True, kw_only=True):
    """A floating IP."""

    id: str
    floating_ip_address: str
    fixed_ip_address: str | None = None
    status: str = ""


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """A security group."""

    id: str
    name: str


class GroupRule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule of a security group."""

    id: str
    protocol: str | None = None


class Agent(msgspec.Struct, frozen=True, kw_only=True):
    """An agent as the API lists it."""

    id: str
    host: str
    binary: str
    alive: bool
    admin_state_up: bool


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """Who the client is, where."""

    auth_url: str
    network_url: str
    username: str
    password: str
    project: str


class Client:
    """One user's session. `say` is told the `openstack` command of each change, and nothing for reads."""

    def __init__(self, credentials: Credentials, say: Say = lambda _: None) -> None:
        self._credentials = credentials
        self._say = say
        self._http = urllib3.PoolManager(timeout=_TIMEOUT_S, retries=False)
        self._token = ""

    # Changes.

    def create_network(self, name: str, *, port_security: bool = True) -> Network:
        """A tenant network."""
        self._say(f"openstack network create {name}{'' if port_security else ' --disable-port-security'}")
        body: dict[str, object] = {"name": name} if port_security else {"name": name, "port_security_enabled": False}
        return self._create("network", body, Network)

    def create_external_network(self, name: str, physical_network: str) -> Network:
        """A flat external network on a physical one."""
        self._say(
            f"openstack network create {name} --external --provider-network-type flat "
            f"--provider-physical-network {physical_network}"
        )
        body = {
            "name": name,
            "router:external": True,
            "provider:network_type": "flat",
            "provider:physical_network": physical_network,
        }
        return self._create("network", body, Network)

    def create_subnet(
        self, name: str, network: Network, cidr: str, gateway_ip: str, *, pool: tuple[str, str] | None = None
    ) -> Subnet:
        """A subnet with DHCP; with `pool`, as an external network has it: no DHCP, and addresses from `pool` only."""
        range_ = f"--subnet-range {cidr} --gateway {gateway_ip}"
        only = f" --no-dhcp --allocation-pool start={pool[0]},end={pool[1]}" if pool else ""
        self._say(f"openstack subnet create {name} --network {network.name} {range_}{only}")
        body = {"name": name, "network_id": network.id, "ip_version": 4, "cidr": cidr, "gateway_ip": gateway_ip}
        if pool:
            body |= {"enable_dhcp": False, "allocation_pools": [{"start": pool[0], "end": pool[1]}]}
        return self._create("subnet", body, Subnet)

    def create_router(self, name: str) -> Router:
        """A router without interfaces."""
        self._say(f"openstack router create {name}")
        return self._create("router", {"name": name}, Router)

    def set_gateway(self, router: Router, external: Network) -> None:
        """Give a router its gateway."""
        self._say(f"openstack router set {router.name} --external-gateway {external.name}")
        body = {"router": {"external_gateway_info": {"network_id": external.id}}}
        self._request("PUT", f"/v2.0/routers/{router.id}", body)

    def clear_gateway(self, router: Router) -> None:
        """Take a router's gateway away."""
        self._say(f"openstack router unset {router.name} --external-gateway")
        self._request("PUT", f"/v2.0/routers/{router.id}", {"router": {"external_gateway_info": None}})

    def add_interface(self, router: Router, subnet: Subnet) -> None:
        """Join a subnet to a router, with the subnet's gateway address."""
        self._say(f"openstack router add subnet {router.name} {subnet.name}")
        self._request("PUT", f"/v2.0/routers/{router.id}/add_router_interface", {"subnet_id": subnet.id})

    def remove_interface(self, router: Router, port: Port) -> None:
        """Take one interface of a router away."""
        self._say(f"openstack router remove port {router.name} {port.id}")
        self._request("PUT", f"/v2.0/routers/{router.id}/remove_router_interface", {"port_id": port.id})

    def create_port(self, name: str, network: Network, host: str) -> Port:
        """An instance's port, bound to a host."""
        self._say(f"openstack port create {name} --network {network.name} --host {host} --device-owner compute:lab")
        body = {
            "name": name,
            "network_id": network.id,
            "binding:host_id": host,
            "device_owner": "compute:lab",
            "device_id": name,
        }
        return self._create("port", body, Port)

    def allow(self, group: Group, protocol: str, port: int | None = None) -> None:
        """Let a protocol in from everywhere."""
        where = f" --dst-port {port}" if port else ""
        self._say(f"openstack security group rule create {group.name} --ingress --protocol {protocol}{where}")
        rule = {"security_group_id": group.id, "direction": "ingress", "ethertype": "IPv4", "protocol": protocol}
        body: dict[str, object] = {**rule, "port_range_min": port, "port_range_max": port} if port else {**rule}
        self._create("security_group_rule", body, GroupRule)

    def create_group(self, name: str, *, remote_is_itself: bool) -> Group:
        """A security group, with or without a rule that lets its own members in."""
        self._say(f"openstack security group create {name}")
        group = self._create("security_group", {"name": name}, Group)
        if remote_is_itself:
            self._say(f"openstack security group rule create {name} --ingress --remote-group {name}")
            rule = {"security_group_id": group.id, "direction": "ingress", "remote_group_id": group.id}
            self._create("security_group_rule", {**rule, "ethertype": "IPv4"}, GroupRule)
        return group

    def set_groups(self, port_id: str, *groups: Group) -> None:
        """Exchange the security groups of a port."""
        self._say(f"openstack port set {port_id} --no-security-group --security-group {groups[0].name}")
        self._request("PUT", f"/v2.0/ports/{port_id}", {"port": {"security_groups": [group.id for group in groups]}})

    def create_floating_ip(self, external: Network, port: Port) -> FloatingIp:
        """A floating IP that leads to a port."""
        self._say(f"openstack floating ip create {external.name} --port {port.name}")
        return self._create("floatingip", {"floating_network_id": external.id, "port_id": port.id}, FloatingIp)

    def set_agent(self, agent: Agent, *, is_in_service: bool) -> None:
        """Drain an agent, or put it back into service."""
        self._say(f"openstack network agent set {'--enable' if is_in_service else '--disable'} {agent.id}")
        self._request("PUT", f"/v2.0/agents/{agent.id}", {"agent": {"admin_state_up": is_in_service}})

    def delete(self, kind: str, identity: str) -> None:
        """Delete one object; that it is gone already is no error. `kind` is singular: `network`, `floatingip`."""
        command = {"floatingip": "floating ip"}.get(kind, kind.replace("_", " "))
        self._say(f"openstack {command} delete {identity}")
        self._request("DELETE", f"/v2.0/{_path(kind)}s/{identity}", accept=(204, 404))

    # Reads.

    def networks(self, **filters: str) -> list[Network]:
        return self._list("network", filters, Network)

    def subnets(self, **filters: str) -> list[Subnet]:
        return self._list("subnet", filters, Subnet)

    def ports(self, **filters: str) -> list[Port]:
        return self._list("port", filters, Port)

    def routers(self, **filters: str) -> list[Router]:
        return self._list("router", filters, Router)

    def floating_ips(self, **filters: str) -> list[FloatingIp]:
        return self._list("floatingip", filters, FloatingIp)

    def groups(self, **filters: str) -> list[Group]:
        return self._list("security_group", filters, Group)

    def rules(self, **filters: str) -> list[GroupRule]:
        return self._list("security_group_rule", filters, GroupRule)

    def agents(self) -> list[Agent]:
        return self._list("agent", {}, Agent)

    def everything(self) -> dict[str, list[dict[str, Any]]]:
        """Networks, ports, routers and floating IPs as the API answers them."""
        kinds = ("networks", "ports", "routers", "floatingips")
        return {kind: self._request("GET", f"/v2.0/{kind}")[kind] for kind in kinds}

    def port(self, identity: str) -> Port:
        """One port.

        Raises:
            Refused: there is none.
        """
        answer = self._request("GET", f"/v2.0/ports/{identity}")
        return msgspec.convert(answer["port"], Port)

    # The wire.

    def _create(self, kind: str, body: Mapping[str, object], cls: type[T]) -> T:
        answer = self._request("POST", f"/v2.0/{_path(kind)}s", {kind: body}, accept=(201,))
        return msgspec.convert(answer[kind], cls)

    def _list(self, kind: str, filters: Mapping[str, str], cls: type[T]) -> list[T]:
        query = f"?{urlencode(filters)}" if filters else ""
        answer = self._request("GET", f"/v2.0/{_path(kind)}s{query}")
        return msgspec.convert(answer[f"{kind}s"], list[cls])  # type: ignore[valid-type]

    def _request(
        self, method: str, path: str, body: object = None, accept: Sequence[int] = (200, 201, 204)
    ) -> dict[str, Any]:
        """One call, with a new token when the old one has expired.

        Raises:
            Refused: the API answered no; its sentence.
            Rejected: it answered something that is no answer of this API.
            Unreachable: no answer.
        """
        for has_fresh_token in (False, True):
            if has_fresh_token or not self._token:
                self._token = self._issue_token()
            response = self._send(method, self._credentials.network_url + path, body, {"X-Auth-Token": self._token})
            if response.status != 401:
                break
        if response.status not in accept:
            raise _refusal(method, path, response)
        return msgspec.json.decode(response.data) if response.data and response.status != 404 else {}

    def _issue_token(self) -> str:
        who = self._credentials
        user = {"name": who.username, "password": who.password, "domain": {"id": "default"}}
        auth = {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"name": who.project, "domain": {"id": "default"}}},
        }
        response = self._send("POST", f"{who.auth_url}/auth/tokens", {"auth": auth}, {})
        if response.status != 201:
            raise _refusal("POST", "/auth/tokens", response)
        return response.headers["X-Subject-Token"]

    def _send(self, method: str, url: str, body: object, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        content = None if body is None else msgspec.json.encode(body)
        try:
            return self._http.request(
                method, url, body=content, headers={"Content-Type": "application/json", **headers}
            )
        except urllib3.exceptions.HTTPError as error:
            raise Unreachable(f"The server at {url} does not answer: {error}") from error


def wait_until(condition: Callable[[], T | None], what: str, within_s: float, every_s: float = 0.02) -> T:
    """Ask again and again until there is an answer that is true.

    Raises:
        Unreachable: there was none in time; `what` says what was waited for.
    """
    deadline = time.monotonic() + within_s
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise Unreachable(f"{what} did not happen within {within_s:g} s")
        time.sleep(every_s)


def _path(kind: str) -> str:
    return kind.replace("_", "-")


def _refusal(method: str, path: str, response: urllib3.BaseHTTPResponse) -> Refused | Rejected:
    try:
        error = msgspec.json.decode(response.data)
        fault = error.get("NeutronError") or error["error"]
        return Refused(str(fault.get("type", response.status)), f"{method} {path}: {fault['message']}")
    except (msgspec.DecodeError, KeyError, AttributeError, TypeError):
        return Rejected(f"{method} {path} was answered with {response.status}: {response.data[:200]!r}")
