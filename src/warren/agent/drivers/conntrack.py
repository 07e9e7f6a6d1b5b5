"""Connection tracking entries that must not outlive the rule that made them. The only module that starts conntrack."""

from warren.agent.drivers.command import run
from warren.core.errors import Rejected

NOTHING_FOUND = "0 flow entries have been deleted"


def forget_address(address: str) -> None:
    """Delete every connection that was translated to or from an address outside."""
    for side in ("--orig-dst", "--reply-dst"):
        delete(side, address)


def forget_unanswered() -> None:
    """Delete connections without an answer yet.

    A sender that began before its translation was there would keep the untranslated entry for as long as it goes on.
    """
    for line in run(["conntrack", "-L"]).splitlines():
        if "[UNREPLIED]" in line:
            delete(*_original(line))


def delete(*arguments: str) -> None:
    """`conntrack -D`; that nothing matches is no error."""
    try:
        run(["conntrack", "-D", *arguments])
    except Rejected as error:
        if NOTHING_FOUND not in str(error):
            raise


def _original(line: str) -> list[str]:
    """Arguments that select the entry which `conntrack -L` printed, by the original direction of its tuple."""
    words = line.split()
    fields = dict(word.split("=", 1) for word in reversed(words) if "=" in word)
    names = {"src": "-s", "dst": "-d", "sport": "--sport", "dport": "--dport", "id": "--icmp-id", "zone": "-w"}
    names |= {"type": "--icmp-type", "code": "--icmp-code"}
    return [
        "-p",
        words[0],
        *(part for name, option in names.items() if name in fields for part in (option, fields[name])),
    ]
