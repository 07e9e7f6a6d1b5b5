"""The protocol between server and agents, without sockets. Pure."""
