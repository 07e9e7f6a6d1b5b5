"""The desired state that an agent keeps, out of a capture -> `HostState`."""

from collections.abc import Mapping

from warren.core.errors import Rejected
from warren.core.state import HostState
from warren.inspect.parse.problem import Problem
from warren.inspect.snapshot.model import Estate, Printout
from warren.sync.messages import Snapshot, decode_message, decode_objects


def intents(estate: Estate) -> tuple[Mapping[str, HostState], tuple[Problem, ...]]:
    """Host -> its desired state, of the hosts whose capture has one; and what could not be read."""
    found: dict[str, HostState] = {}
    problems: list[Problem] = []
    for host in estate.hosts:
        if host.intent is None:
            continue
        try:
            found[host.name] = state_of(host.intent)
        except Rejected as error:
            problems.append(Problem(file=f"{host.name}/{host.intent.file}", line=1, column=1, message=str(error)))
    return found, tuple(problems)


def state_of(text: Printout) -> HostState:
    """The state in an agent's `state.json`, one `snapshot` message.

    Raises:
        Rejected: it is none.
    """
    message = decode_message(text.text.strip().encode())
    if not isinstance(message, Snapshot):
        raise Rejected("this is not the desired state that an agent keeps")
    return HostState(objects=decode_objects(message.objects), revision=message.revision)
