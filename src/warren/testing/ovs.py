"""A private Open vSwitch with the dummy datapath: real ovsdb-server and ovs-vswitchd, no root, nothing shared.

Everything is in one temporary directory and ends with it. Needs the programs of `openvswitch-switch` only.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from warren.agent.drivers.jsonrpc import Connection
from warren.core.errors import Rejected, Unmet, Unreachable

SCHEMA: Final = Path("/usr/share/openvswitch/vswitch.ovsschema")
START_TIMEOUT_S: Final = 30.0
_PATH: Final = ":/usr/sbin:/sbin"


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = START_TIMEOUT_S) -> None:
    """Return as soon as the condition holds.

    Raises:
        Unreachable: it did not within `timeout_s`.
    """
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise Unreachable(f"waited {timeout_s} s in vain until {what}")
        time.sleep(0.005)


@dataclass(slots=True, kw_only=True)
class UnixControl:
    """A daemon's control socket (ovs-appctl(8)): one connection for many commands, some 5,000 a second."""

    path: Path
    timeout_s: float = 30.0
    _connection: Connection | None = None

    def __call__(self, command: str, *arguments: str) -> str:
        """The command's answer.

        Raises:
            Rejected: the daemon says that the command is wrong.
            Unreachable: no daemon, or no answer.
        """
        if self._connection is None:
            self._connection = Connection(f"unix:{self.path}", self.timeout_s)
        try:
            return str(self._connection.call(command, list(arguments)))
        except Unreachable:
            self.close()
            raise

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@dataclass(slots=True, kw_only=True)
class PrivateOvs:
    """One ovsdb-server and one ovs-vswitchd of our own."""

    directory: Path
    environment: Mapping[str, str]
    _processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _control: UnixControl | None = None

    @property
    def db(self) -> str:
        """OVSDB remote, as `ovs-vsctl --db=` takes it."""
        return f"unix:{self.directory}/db.sock"

    @property
    def appctl(self) -> UnixControl:
        """Commands to ovs-vswitchd."""
        if self._control is None:
            self._control = UnixControl(path=self.directory / "vswitchd.ctl")
        return self._control

    def vsctl(self, *arguments: str) -> str:
        return self.run("ovs-vsctl", f"--db={self.db}", "--timeout=30", *arguments)

    def ofctl(self, *arguments: str, stdin: str = "") -> str:
        return self.run("ovs-ofctl", *arguments, stdin=stdin)

    def run(self, *command: str, stdin: str = "") -> str:
        """Run a program that finds this switch by itself; what it printed.

        Raises:
            Rejected: it failed; what it said is in the message.
        """
        done = subprocess.run(
            command, input=stdin, capture_output=True, text=True, env=self.environment, timeout=30, check=False
        )
        if done.returncode:
            raise Rejected(f"{' '.join(command[:3])}: {done.stderr.strip()}")
        return done.stdout

    def trace(self, bridge: str, flow: str) -> str:
        """`ofproto/trace`: what would happen to a frame."""
        return self.appctl("ofproto/trace", bridge, flow)

    def datapath_ports(self) -> dict[int, str]:
        """Datapath port number -> interface name, to read the `Datapath actions` of a trace."""
        shown = re.findall(r"^\s+(\S+) \d+/(\d+):", self.appctl("dpif/show"), re.MULTILINE)
        return {int(number): name for name, number in shown}

    def start_ovsdb(self) -> None:
        self._start("ovsdb-server", "ovsdb.ctl", str(self.directory / "conf.db"), f"--remote=p{self.db}")
        wait_until(lambda: _listens(self.directory / "db.sock"), "ovsdb-server listens")

    def start_vswitchd(self) -> None:
        """Start ovs-vswitchd and wait until it has made what the database asks for."""
        self._start("ovs-vswitchd", "vswitchd.ctl", self.db, "--enable-dummy=override", "--disable-system")
        self.vsctl("--no-wait", "init")
        self.vsctl("set", "Open_vSwitch", ".", "external_ids:started=yes")
        self.vsctl("remove", "Open_vSwitch", ".", "external_ids", "started")

    def stop_vswitchd(self, signal_number: int = signal.SIGKILL) -> None:
        """End ovs-vswitchd, by default as a crash does; its flows are gone with it."""
        if self._control is not None:
            self._control.close()
            self._control = None
        self._end("ovs-vswitchd", signal_number)
        for socket_path in self.directory.glob("*.mgmt"):
            socket_path.unlink()

    def stop_ovsdb(self, signal_number: int = signal.SIGKILL) -> None:
        """End ovsdb-server; its database stays in its file."""
        self._end("ovsdb-server", signal_number)
        (self.directory / "db.sock").unlink(missing_ok=True)

    def stop(self) -> None:
        """End both daemons, whatever state they are in."""
        self.stop_vswitchd()
        self.stop_ovsdb()

    def _start(self, program: str, control: str, *arguments: str) -> None:
        (self.directory / control).unlink(missing_ok=True)
        with (self.directory / f"{program}.log").open("ab") as log:
            self._processes[program] = subprocess.Popen(
                [program, *arguments, "--no-chdir", f"--unixctl={self.directory / control}", "-vconsole:warn"],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _end(self, program: str, signal_number: int) -> None:
        process = self._processes.pop(program, None)
        if process is not None:
            process.send_signal(signal_number)
            process.wait(timeout=10)


def _listens(path: Path) -> bool:
    """Whether somebody takes connections; a socket's file is there a moment earlier."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


@contextmanager
def private_ovs() -> Iterator[PrivateOvs]:
    """A running private Open vSwitch, gone on exit.

    Raises:
        Unmet: Open vSwitch is not installed.
    """
    # Short, because the path of a Unix socket has at most 107 bytes.
    directory = Path(tempfile.mkdtemp(prefix="wovs-", dir="/tmp"))
    ovs = PrivateOvs(directory=directory, environment=_environment(directory))
    try:
        _create_database(ovs)
        ovs.start_ovsdb()
        ovs.start_vswitchd()
        yield ovs
    finally:
        ovs.stop()
        shutil.rmtree(directory, ignore_errors=True)


def _environment(directory: Path) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OVS_")}
    inherited["PATH"] = inherited.get("PATH", "/usr/bin:/bin") + _PATH
    places = dict.fromkeys(("OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVS_SYSCONFDIR"), str(directory))
    return inherited | places


def _create_database(ovs: PrivateOvs) -> None:
    mend = "apt-get install openvswitch-switch"
    if not SCHEMA.exists() or shutil.which("ovs-vswitchd", path=ovs.environment["PATH"]) is None:
        raise Unmet(f"Open vSwitch is not installed: {mend}")
    ovs.run("ovsdb-tool", "create", str(ovs.directory / "conf.db"), str(SCHEMA))
