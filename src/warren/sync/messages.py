"""What travels between server and agent, as JSON.

Server to agent, one line each on a long-lived response to
`GET /agent/v1/hosts/<host>/state?agent=…&epoch=…&revision=…`: a `snapshot` first (or, where the server can resume from
the revision asked for, a `delta` or `keepalive` at once), then `delta` after `delta`, and a `keepalive` when nothing
happened for a while. Agent to server: a `Report` by `POST /agent/v1/hosts/<host>/report`.

Law: applying every delta gives what a fresh snapshot gives.
"""

from collections.abc import Mapping
from typing import Final, TypeAlias

import msgspec

from warren.core.errors import Rejected
from warren.core.state import KINDS, StateObject, kind_of


class Snapshot(msgspec.Struct, frozen=True, tag_field="type", tag="snapshot"):
    """Everything that the host should be."""

    epoch: str
    revision: int
    objects: dict[str, msgspec.Raw]


class Delta(msgspec.Struct, frozen=True, tag_field="type", tag="delta"):
    """What changed from revision `since` (that of the message before, or the one resumed from): set and deleted."""

    epoch: str
    since: int
    revision: int
    set: dict[str, msgspec.Raw] = {}
    delete: tuple[str, ...] = ()


class Keepalive(msgspec.Struct, frozen=True, tag_field="type", tag="keepalive"):
    """Nothing happened; the connection lives. `revision` is that of the message before."""

    epoch: str
    revision: int


StateMessage: TypeAlias = Snapshot | Delta | Keepalive


class ObjectStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the host read back about one object (`port/<id>`, `router/<id>`, `dhcp/<network>`).

    `status` is `wired` (read back as desired), `absent` (no interface here) or `error` with its `reason`.
    """

    status: str
    reason: str = ""


class Report(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an agent says of its host. Sent when something changed and every `report_interval_s` as a sign of life.

    `objects` holds what changed since the report before, or, with `complete`, everything: what is not in it is then no
    longer on the host.
    """

    revision: int
    version: str
    started_at: float
    roles: tuple[str, ...] = ()
    vtep_ip: str = ""
    tunnel_types: tuple[str, ...] = ()
    datapath_type: str = ""
    plug: str = "hybrid"
    bridge_mappings: dict[str, str] = {}
    complete: bool = False
    objects: dict[str, ObjectStatus] = {}
    errors: tuple[str, ...] = ()
    """What keeps the host from its desired state at the moment, a sentence each."""


_messages: msgspec.json.Decoder[StateMessage] = msgspec.json.Decoder(StateMessage)
_reports = msgspec.json.Decoder(Report)
_object_decoders = {kind: msgspec.json.Decoder(cls) for kind, cls in KINDS.items()}
encode = msgspec.json.Encoder().encode
UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding raises for bytes that are no JSON, no UTF-8, or brackets within brackets without end."""


def encode_objects(objects: Mapping[str, StateObject]) -> dict[str, msgspec.Raw]:
    """Objects as the `objects` or `set` of a message."""
    return {key: msgspec.Raw(encode(obj)) for key, obj in objects.items()}


def decode_objects(raw: Mapping[str, msgspec.Raw]) -> dict[str, StateObject]:
    """The inverse of `encode_objects`. Kinds that this version does not know are left out (newer server).

    Raises:
        Rejected: an object of a known kind does not have its shape.
    """
    try:
        return {
            key: _object_decoders[kind_of(key)].decode(value)
            for key, value in raw.items()
            if kind_of(key) in _object_decoders
        }
    except UNREADABLE as error:
        raise Rejected(f"the server sent an object that this agent cannot read: {error}") from error


def decode_message(line: bytes) -> StateMessage:
    """One line of the state stream.

    Raises:
        Rejected: it is not one.
    """
    try:
        return _messages.decode(line)
    except UNREADABLE as error:
        raise Rejected(f"this is not a state message: {error}") from error


def decode_report(body: bytes) -> Report:
    """The body of a report.

    Raises:
        Rejected: it is not one.
    """
    try:
        return _reports.decode(body)
    except UNREADABLE as error:
        raise Rejected(f"this is not an agent's report: {error}") from error
