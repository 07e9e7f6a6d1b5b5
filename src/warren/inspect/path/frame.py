"""An Ethernet frame on its way: addresses, tag, tunnel id, and the ARP or IP packet in it."""

from dataclasses import dataclass
from typing import Final

from warren.inspect.filter.packet import IpPacket

BROADCAST: Final = "ff:ff:ff:ff:ff:ff"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arp:
    """An ARP request (1) or reply (2) for IPv4 (RFC 826)."""

    operation: int
    sender_mac: str
    sender_ip: str
    target_mac: str
    target_ip: str

    def __str__(self) -> str:
        if self.operation == 1:
            return f"ARP who has {self.target_ip}? tell {self.sender_ip}"
        return f"ARP {self.sender_ip} is at {self.sender_mac}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """`vlan` 0 is no tag; `tunnel_id` is metadata of a frame that came by a tunnel."""

    source: str
    destination: str
    payload: Arp | IpPacket
    vlan: int = 0
    tunnel_id: int = 0

    @property
    def is_to_many(self) -> bool:
        """Broadcast or multicast."""
        return bool(int(self.destination[:2] or "0", 16) & 1)

    def __str__(self) -> str:
        tag = f" VLAN {self.vlan}" if self.vlan else ""
        return f"{self.source} > {self.destination}{tag} {self.payload}"


def request(*, sender_mac: str, sender_ip: str, target_ip: str) -> Frame:
    """A broadcast ARP request."""
    arp = Arp(
        operation=1, sender_mac=sender_mac, sender_ip=sender_ip, target_mac="00:00:00:00:00:00", target_ip=target_ip
    )
    return Frame(source=sender_mac, destination=BROADCAST, payload=arp)


def answer(asked: Arp, mac: str) -> Frame:
    """The unicast reply of whoever has the address."""
    arp = Arp(
        operation=2, sender_mac=mac, sender_ip=asked.target_ip, target_mac=asked.sender_mac, target_ip=asked.sender_ip
    )
    return Frame(source=mac, destination=asked.sender_mac, payload=arp)
