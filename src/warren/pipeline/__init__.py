"""br-int, br-tun and the physical bridges: tables declared as data, flows rendered from HostState. Pure."""
