"""Flows of one bridge, and what its ports are kept from, by ovs-ofctl. The only module that starts it.

Written as one OpenFlow 1.4 bundle, read back as OpenFlow 1.0 with NXM: what is compared is what a plain
`ovs-ofctl dump-flows` shows. Source: ovs-ofctl(8); the spelling is proved by tests/ovs/test_flows_on_a_switch.py.
"""

import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from warren.core.errors import Rejected, Unreachable
from warren.core.ids import OfPort
from warren.pipeline.flow import Flow, FlowKey
from warren.reconcile.plan import Plan

_LINE: Final = re.compile(
    r"\s*(?:cookie=(?P<cookie>0x[0-9a-f]+), )?(?:table=(?P<table>\d+), )?(?P<rest>.*?) ?actions=(?P<actions>.*)"
)
_AGES: Final = ("idle_age=", "hard_age=")
_OPTION: Final = re.compile(
    r"(?:(?:idle_timeout|hard_timeout|importance)=\d+"
    r"|send_flow_rem|no_packet_counts|no_byte_counts|check_overlap|reset_counts)$"
)
_NO_ANSWER: Final = ("failed to connect", "is not a bridge or a socket", "Connection refused", "No such file")
_DEFAULT_PRIORITY: Final = 32768
_PORT: Final = re.compile(r"^ *(\d+)\(.*\n +config: +([^\d\n]+)$", re.MULTILINE)
"""A port that is not free, in `dump-ports-desc`; the others' configuration is 0."""
LIFTED_BY: Final[Mapping[str, str]] = {
    "PORT_DOWN": "up",
    "NO_STP": "stp",
    "NO_RECV": "receive",
    "NO_RECV_STP": "receive-stp",
    "NO_FLOOD": "flood",
    "NO_FWD": "forward",
    "NO_PACKET_IN": "packet-in",
}
"""What a port may be kept from (OpenFlow 1.0, `ofp_port_config`) -> the word of `ovs-ofctl mod-port` that ends it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfctlSwitch:
    """One bridge of one ovs-vswitchd, by the management socket in its run directory."""

    bridge: str
    rundir: Path = Path("/run/openvswitch")
    timeout_s: float = 10.0

    @property
    def target(self) -> str:
        return f"unix:{self.rundir}/{self.bridge}.mgmt"

    def installed(self) -> dict[FlowKey, Flow]:
        """Read back every flow, learned ones included. Counters and ages are not state and not read.

        Raises:
            Unreachable: no such bridge, or no answer within `timeout_s`.
            Rejected: OVS printed a line that cannot be read; it is in the message.
        """
        dump = self._run("-O", "OpenFlow10", "--no-names", "--no-stats", "dump-flows", self.target)
        lines = (line for line in dump.splitlines() if not line.startswith(("NXST_FLOW reply", "OFPST_FLOW reply")))
        return {flow.key: flow for flow in map(parse_flow, lines)}

    def apply(self, plan: Plan[FlowKey, Flow]) -> None:
        """Make all changes of the plan at once, or none: a frame sees the tables before or after, nothing between.

        A flow whose actions alone change keeps its duration and counters.

        Raises:
            Unreachable: no such bridge, or no answer within `timeout_s`; what was applied is then unknown.
            Rejected: OVS refused a flow; nothing was changed.
        """
        if plan:
            lines = "\n".join(flow_mods(plan))
            self._run("-O", "OpenFlow14", "--bundle", "add-flows", self.target, "-", stdin=lines)

    def kept_from(self) -> dict[OfPort, frozenset[str]]:
        """What `mod-port` keeps ports from, by words of `LIFTED_BY`; ports that are free are left out.

        Raises:
            Unreachable: as `installed`.
        """
        ports = self._run("-O", "OpenFlow10", "--no-names", "dump-ports-desc", self.target)
        return {OfPort(int(number)): frozenset(words.split()) for number, words in _PORT.findall(ports)}

    def free(self, port: OfPort, words: Iterable[str]) -> None:
        """Let a port do what it was kept from. Raises as `apply` does."""
        for word in words:
            self._run("-O", "OpenFlow10", "mod-port", self.target, str(port), LIFTED_BY[word])

    def _run(self, *arguments: str, stdin: str = "") -> str:
        try:
            done = subprocess.run(
                ["ovs-ofctl", *arguments],
                input=stdin,
                capture_output=True,
                text=True,
                timeout=self.timeout_s,
                check=False,
            )
        except FileNotFoundError as error:
            raise Unreachable("ovs-ofctl is not installed: apt-get install openvswitch-switch") from error
        except subprocess.TimeoutExpired as error:
            raise Unreachable(f"{self.bridge}: ovs-vswitchd did not answer within {self.timeout_s} s") from error
        if done.returncode == 0:
            return done.stdout
        message = f"{self.bridge}: {' '.join(done.stderr.split()) or f'ovs-ofctl ended with {done.returncode}'}"
        raise Unreachable(message) if any(text in message for text in _NO_ANSWER) else Rejected(message)


def flow_mods(plan: Plan[FlowKey, Flow]) -> Iterator[str]:
    """The plan as lines of `ovs-ofctl add-flows`.

    `modify_strict` leaves cookie and timeouts as they are (OpenFlow 1.4, 6.4), so it serves only where actions differ.
    """
    for flow in plan.remove.values():
        yield f"delete_strict table={flow.table},{_match(flow)}"
    for flow in plan.add.values():
        yield f"add {_body(flow)}"
    for installed, desired in plan.change.values():
        keeps = installed.cookie == desired.cookie and installed.options == desired.options
        verb = "modify_strict" if keeps else "add"
        yield f"{verb} {_body(desired)}"


def _match(flow: Flow) -> str:
    return f"priority={flow.priority}" + (f",{flow.match}" if flow.match else "")


def _body(flow: Flow) -> str:
    options = f"{flow.options}," if flow.options else ""
    return f"table={flow.table},cookie={flow.cookie:#x},{options}{_match(flow)} actions={flow.actions}"


def parse_flow(line: str) -> Flow:
    """One line of `ovs-ofctl -O OpenFlow10 --no-names --no-stats dump-flows`.

    Raises:
        Rejected: the line has another form.
    """
    found = _LINE.fullmatch(line)
    if found is None:
        raise Rejected(f"ovs-ofctl printed a flow that cannot be read: {line.strip()!r}")
    options, match = _split(found["rest"])
    priority = _DEFAULT_PRIORITY
    if match.startswith("priority="):
        text, _, match = match.partition(",")
        priority = int(text.removeprefix("priority="))
    return Flow(
        table=int(found["table"] or 0),
        priority=priority,
        match=match,
        actions=found["actions"],
        cookie=int(found["cookie"] or "0", 16),
        options=options,
    )


def _split(rest: str) -> tuple[str, str]:
    """`hard_timeout=300, idle_age=5, priority=1,in_port=1` -> (`hard_timeout=300`, `priority=1,in_port=1`)."""
    parts = rest.replace(", ", " ").split()
    options = [part for part in parts if _OPTION.match(part)]
    matches = [part for part in parts if not _OPTION.match(part) and not part.startswith(_AGES)]
    if len(matches) > 1:
        raise Rejected(f"ovs-ofctl printed a flow that cannot be read: {rest!r}")
    return ",".join(options), matches[0] if matches else ""
