"""Identities as types: an id or number that can be confused with another has a type of its own."""

from typing import NewType

HostName = NewType("HostName", str)
NetworkId = NewType("NetworkId", str)
SubnetId = NewType("SubnetId", str)
PortId = NewType("PortId", str)
RouterId = NewType("RouterId", str)
FloatingIpId = NewType("FloatingIpId", str)
GroupId = NewType("GroupId", str)

MacAddress = NewType("MacAddress", str)
"""Six lower-case hexadecimal octets with colons, `fa:16:3e:00:00:01`."""

LocalVlan = NewType("LocalVlan", int)
"""1..4094, the number of a network on one host only (`Port.tag` on br-int)."""

SegmentationId = NewType("SegmentationId", int)
"""VXLAN VNI (24 bits, RFC 7348) or GRE key (32 bits, RFC 2890)."""

OfPort = NewType("OfPort", int)
"""OpenFlow port number on one bridge, 1..0xfeff."""
