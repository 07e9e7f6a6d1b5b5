"""Routers, DHCP servers and security groups on a host, rendered from HostState. Pure.

Out come links, addresses, routes, iptables text and dnsmasq files.
"""
