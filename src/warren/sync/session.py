"""What an agent knows of its desired state, and what each message does to it. Holds no socket, reads no clock.

Theory of operation. A connection is a new conversation: the agent says (epoch, revision) of what it has, the server
answers with a snapshot, or resumes with deltas. Each delta names the revision that it starts from, so one that was
heard before changes nothing and one that comes too early is noticed. Whatever does not fit ends the conversation:
the next one starts without a resume point and so with a snapshot. The epoch names the server's database; after a
restore from a backup revisions count anew under another epoch, and nothing of the old one is resumed.

Law: whatever is duplicated, reordered or lost, the state held is one that the server had at `state.revision`.
"""

from dataclasses import dataclass
from enum import Enum

from warren.core.errors import Rejected
from warren.core.state import HostState
from warren.sync.messages import Delta, Keepalive, Snapshot, StateMessage, decode_objects, encode_objects


class Heard(Enum):
    """What a message did."""

    ADOPTED = "the state is a newer one"
    UNCHANGED = "nothing to do"
    OUT_OF_STEP = "it does not follow from what is held: ask again, for a snapshot"


@dataclass(slots=True)
class AgentSession:
    """The agent's half of the protocol. `state` is None until the first snapshot was heard or remembered."""

    epoch: str | None = None
    state: HostState | None = None
    resumable: bool = True
    """Whether the next conversation may resume; false once something did not fit."""

    def resume_point(self) -> tuple[str, int] | None:
        """(epoch, revision) to open a conversation with; None asks for a snapshot."""
        if self.epoch is None or self.state is None or not self.resumable:
            return None
        return self.epoch, self.state.revision

    def received(self, message: StateMessage) -> Heard:
        """Take one message in.

        Raises:
            Rejected: an object in it cannot be read; nothing was taken.
        """
        if isinstance(message, Snapshot):
            return self._snapshot(message)
        if self.state is None or message.epoch != self.epoch:
            return self._lost_step()
        if isinstance(message, Keepalive):
            return Heard.UNCHANGED if message.revision <= self.state.revision else self._lost_step()
        return self._delta(message, self.state)

    def remembered(self) -> Snapshot:
        """What is held, as the snapshot that a later process starts from.

        Raises:
            Rejected: nothing is held.
        """
        if self.epoch is None or self.state is None:
            raise Rejected("there is no state to remember yet")
        return Snapshot(epoch=self.epoch, revision=self.state.revision, objects=encode_objects(self.state.objects))

    def _snapshot(self, message: Snapshot) -> Heard:
        """The server's word on everything. Only one older than what is held is doubted, once."""
        held = self.state if message.epoch == self.epoch else None
        if held is not None and self.resumable and message.revision < held.revision:
            return self._lost_step()
        state = HostState(objects=decode_objects(message.objects), revision=message.revision)
        self.epoch, self.state, self.resumable = message.epoch, state, True
        return Heard.UNCHANGED if state == held else Heard.ADOPTED

    def _delta(self, message: Delta, held: HostState) -> Heard:
        if message.revision <= held.revision:
            return Heard.UNCHANGED
        if message.since != held.revision:
            return self._lost_step()
        deleted = frozenset(message.delete)
        objects = {key: obj for key, obj in held.objects.items() if key not in deleted}
        objects |= decode_objects(message.set)
        self.state = HostState(objects=objects, revision=message.revision)
        return Heard.ADOPTED

    def _lost_step(self) -> Heard:
        self.resumable = False
        return Heard.OUT_OF_STEP
