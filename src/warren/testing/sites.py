"""Desired states for tests: one network host with a router between two tenant networks and an external one."""

import uuid
from dataclasses import replace

from warren.core.ids import FloatingIpId, MacAddress, NetworkId, PortId, RouterId, SubnetId
from warren.core.state import (
    OWNER_DHCP,
    OWNER_ROUTER_GATEWAY,
    OWNER_ROUTER_INTERFACE,
    Dhcp,
    DhcpHost,
    FixedIp,
    FloatingIp,
    HostState,
    Network,
    NetworkType,
    Port,
    Router,
    StateObject,
    Subnet,
)


def state_of(*objects: StateObject) -> HostState:
    """A state that holds these objects."""
    return HostState({each.key: each for each in objects})


def mac_of(number: int) -> MacAddress:
    """The MAC address of a numbered port."""
    return MacAddress(f"fa:16:3e:00:{number >> 8:02x}:{number & 255:02x}")


class Site:
    """Objects with ids of their own, so that any number of sites fit on one machine.

    red 10.1.0.0/24 and blue 10.2.0.0/24 are tenants' networks, outside 203.0.113.0/24 is external.
    """

    def __init__(self) -> None:
        self.red = self.network("10.1.0", NetworkType.VXLAN)
        self.blue = self.network("10.2.0", NetworkType.GRE)
        self.outside = self.network("203.0.113", NetworkType.FLAT)
        self.red_port = self.port(self.red, 1, OWNER_ROUTER_INTERFACE)
        self.blue_port = self.port(self.blue, 1, OWNER_ROUTER_INTERFACE)
        self.gateway_port = self.port(self.outside, 10, OWNER_ROUTER_GATEWAY)
        self.dhcp_port = self.port(self.red, 2, OWNER_DHCP)
        self.router = Router(
            id=RouterId(str(uuid.uuid4())),
            gateway_port_id=self.gateway_port.id,
            interface_port_ids=(self.red_port.id, self.blue_port.id),
        )
        self.dhcp = Dhcp(network_id=self.red.id, port_id=self.dhcp_port.id)

    def network(self, prefix: str, network_type: NetworkType) -> Network:
        """A network with the subnet `<prefix>.0/24`, whose gateway is `.1`."""
        subnet = Subnet(id=SubnetId(str(uuid.uuid4())), cidr=f"{prefix}.0/24", gateway_ip=f"{prefix}.1")
        return Network(id=NetworkId(str(uuid.uuid4())), network_type=network_type, mtu=1450, subnets=(subnet,))

    def port(self, network: Network, number: int, owner: str = "compute:nova") -> Port:
        """A port with the address `.<number>` on its network's first subnet."""
        subnet = network.subnets[0]
        address = f"{subnet.cidr.rpartition('.')[0]}.{number}"
        return Port(
            id=PortId(str(uuid.uuid4())),
            network_id=network.id,
            mac_address=mac_of(int(address.split(".")[1]) * 256 + number),
            fixed_ips=(FixedIp(subnet_id=subnet.id, ip_address=address),),
            device_owner=owner,
        )

    def network_of(self, port: Port) -> Network:
        """The network that a port is on."""
        return next(each for each in (self.red, self.blue, self.outside) if each.id == port.network_id)

    def floating_ip(self, number: int, fixed: str) -> FloatingIp:
        """The external address `203.0.113.<number>` for a fixed one."""
        return FloatingIp(
            id=FloatingIpId(str(uuid.uuid4())),
            floating_ip_address=f"203.0.113.{number}",
            fixed_ip_address=fixed,
        )

    def dhcp_with(self, *ports: Port) -> Dhcp:
        """The DHCP server of red with a host entry per address of each port."""
        hosts = tuple(
            DhcpHost(port_id=port.id, mac_address=port.mac_address, ip_address=ip.ip_address, subnet_id=ip.subnet_id)
            for port in ports
            for ip in port.fixed_ips
        )
        return replace(self.dhcp, hosts=hosts)

    def state(self, *changed: StateObject) -> HostState:
        """Everything, with some objects changed or added."""
        objects = (
            self.red, self.blue, self.outside, self.red_port, self.blue_port, self.gateway_port, self.dhcp_port,
            self.router, self.dhcp,
        )  # fmt: skip
        return state_of(*objects, *changed)
