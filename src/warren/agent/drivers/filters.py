"""Security groups in the host's own namespace: sets, iptables and ip6tables, each read once and written once.

Sets before the rules that name them, rules before sets that nothing names any more; a table changes at once, so there
is no moment without rules.
"""

from collections.abc import Mapping

from warren.agent.drivers import conntrack, ipset, iptables, sysctl
from warren.core.errors import DriverError, Rejected
from warren.core.state import HostState
from warren.namespaces import Key, Kind, Setting
from warren.namespaces.groups import CHAIN_OF, HOST, TO_HOST, closed, severed
from warren.reconcile.plan import Plan


class Filters:
    """What security groups need on the host that the calling thread is on."""

    def installed(self) -> dict[Key, Setting]:
        """Read back Warren's chains and sets; the sysctls only where there are chains: else they are not ours."""
        found = {
            Key(HOST, kind, name): Setting(value=lines)
            for version, kind in CHAIN_OF.items()
            for name, lines in iptables.installed(version).items()
        }
        if found:
            found |= {Key(HOST, Kind.SYSCTL, path): Setting(value=sysctl.read(path)) for path in TO_HOST}
        return found | {Key(HOST, Kind.SET, name): Setting(value=value) for name, value in ipset.installed().items()}

    def apply(self, changes: Plan[Key, Setting]) -> dict[Key, str]:
        """Apply a plan; what failed, by key. Where sets failed, the rules that may name them are not tried."""
        failed: dict[Key, str] = {}
        for key, setting in changes.add.items():
            if key.kind is Kind.SYSCTL:
                _write_sysctl(key, setting.value, failed)
        for key, (_, new) in changes.change.items():
            if key.kind is Kind.SYSCTL:
                _write_sysctl(key, new.value, failed)
        sets = _of(changes, Kind.SET)
        try:
            ipset.apply(sets)
        except DriverError as error:
            return failed | {Key(HOST, Kind.SET, name): str(error) for name in (*sets.add, *sets.change)}
        for version, kind in CHAIN_OF.items():
            chains = _of(changes, kind)
            try:
                refused = iptables.apply_closed(chains, version, closed)
                failed |= {Key(HOST, kind, name): why for name, why in refused.items()}
            except DriverError as error:
                failed |= {Key(HOST, kind, name): str(error) for name in (*chains.add, *chains.change, *chains.remove)}
        try:
            ipset.destroy(sets.remove)
        except DriverError as error:
            failed |= {Key(HOST, Kind.SET, name): str(error) for name in sets.remove}
        return failed

    def cut(self, state: HostState, installed: Mapping[Key, Setting]) -> int:
        """End connections that the rules of `state` do not allow; how many. Call it when rules have changed."""
        by_connection = {each.connection: each for each in conntrack.tracked()}
        ended = severed(state, installed, by_connection)
        conntrack.forget(by_connection[each] for each in ended)
        return len(ended)


def _of(changes: Plan[Key, Setting], kind: Kind) -> Plan[str, str]:
    return Plan(
        add={key.name: setting.value for key, setting in changes.add.items() if key.kind is kind},
        change={key.name: (old.value, new.value) for key, (old, new) in changes.change.items() if key.kind is kind},
        remove={key.name: setting.value for key, setting in changes.remove.items() if key.kind is kind},
    )


def _write_sysctl(key: Key, value: str, failed: dict[Key, str]) -> None:
    try:
        sysctl.write(key.name, value)
    except Rejected as error:
        is_absent = sysctl.read(key.name) == sysctl.ABSENT
        failed[key] = f"{error}; load the module with `modprobe br_netfilter`" if is_absent else str(error)
