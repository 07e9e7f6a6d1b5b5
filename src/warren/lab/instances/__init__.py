"""Instances: what a tenant boots. A network namespace with a DHCP client and an ssh server, or a real guest of QEMU."""

from warren.lab.instances.instance import Instance, Kind, find, load_all

__all__ = ["Instance", "Kind", "find", "load_all"]
