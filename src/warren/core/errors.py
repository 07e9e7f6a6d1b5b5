"""Every exception this project raises on purpose.

WarrenError
├── Refused            the request is wrong; nothing changed          -> HTTP 4xx, exit status 2
│   ├── Invalid        400
│   ├── Forbidden      403
│   ├── NotFound       404
│   └── Conflict       409
├── DriverError        the world did not do what was asked            -> stage stays out of sync, retried
│   ├── Unreachable    could not talk to it
│   └── Rejected       it answered no
├── Unmet              something this machine must have is missing    -> said with the mend, nothing changed
└── Impossible         our own invariant is broken                    -> crash, HTTP 500, never retried

A message is one sentence; where the reader can do something about it, it names what.
"""


class WarrenError(Exception):
    """Root of every error raised on purpose."""


class Refused(WarrenError):
    """The request is wrong; nothing changed.

    `kind` is the error type that Networking API clients see (`NetworkNotFound`, `IpAddressInUse`, ...).
    """

    status = 400

    def __init__(self, kind: str, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.detail = detail


class Invalid(Refused):
    """HTTP 400: the request does not say what can be done."""


class Forbidden(Refused):
    """HTTP 403: the caller may not do this."""

    status = 403


class NotFound(Refused):
    """HTTP 404: there is no such thing, or the caller may not know of it."""

    status = 404


class Conflict(Refused):
    """HTTP 409: it contradicts what is there."""

    status = 409


class DriverError(WarrenError):
    """The world did not do what was asked of it."""


class Unreachable(DriverError):
    """No answer: the daemon, socket or server could not be talked to."""


class Rejected(DriverError):
    """It answered no, or answered something that cannot be read."""


class Unmet(WarrenError):
    """This machine lacks something that the command needs; the message says what and the mend."""


class Impossible(WarrenError):
    """An invariant of our own is broken."""
