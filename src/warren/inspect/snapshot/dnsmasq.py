"""dnsmasq's `--dhcp-hostsfile` -> what it would answer (dnsmasq(8), `--dhcp-host`)."""

from collections.abc import Iterator

from warren.inspect.snapshot.model import DhcpEntry
from warren.inspect.snapshot.text import Page, ip_of, mac_of


def read_hosts(page: Page) -> tuple[DhcpEntry, ...]:
    """Lines of MAC address, optional `set:`, `tag:` and `id:` words, host name, address."""
    return tuple(_entries(page))


def _entries(page: Page) -> Iterator[DhcpEntry]:
    for number, line in page.lines():
        words = [word for word in line.strip().split(",") if word and not word.startswith(("set:", "tag:", "id:"))]
        if line.startswith("#"):
            continue
        if not words or not mac_of(words[0]):
            page.complain(number, 1, "this is not a line of a dnsmasq hosts file that names a MAC address")
            continue
        addresses = [ip_of(word.strip("[]")) for word in words[1:] if _is_address(word)]
        names = [word for word in words[1:] if not _is_address(word) and word != "ignore"]
        for address in addresses or [""]:
            yield DhcpEntry(mac=mac_of(words[0]), ip=address, hostname=names[0] if names else "")


def _is_address(word: str) -> bool:
    return word.startswith("[") or (word.count(".") == 3 and word.replace(".", "").isdecimal())
