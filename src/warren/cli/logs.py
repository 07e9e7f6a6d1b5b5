"""How the log is written: one line per decision to standard error, as text for people or JSON for machines."""

import contextlib
import logging
import os
from typing import Final

import structlog
from structlog.typing import EventDict, WrappedLogger

LEVELS: Final = ("debug", "info", "warning", "error")
FORMATS: Final = ("text", "json")
STANDARD_ERROR: Final = 2


def start_log(log_format: str, level: str) -> None:
    """Set up logging of the whole process. `log_format` is one of `FORMATS`, `level` one of `LEVELS`."""
    render = structlog.processors.JSONRenderer(ensure_ascii=False) if log_format == "json" else as_text
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=lambda *_: StandardError(),
        cache_logger_on_first_use=True,
    )


class StandardError:
    """Writes lines to standard error, whose failure is nobody's: on a full disk they are lost, and the work goes on."""

    def info(self, line: str) -> None:
        # Not through sys.stderr: what its buffer could not write is tried again at exit, and then the status is 120.
        with contextlib.suppress(OSError):
            os.write(STANDARD_ERROR, f"{line}\n".encode(errors="backslashreplace"))

    debug = warning = error = critical = info


def as_text(_: WrappedLogger, __: str, event: EventDict) -> str:
    """`<time> <level> <event> key=value …`, a value in quotes where it has spaces."""
    trace = event.pop("exception", None)
    head = f"{event.pop('timestamp')} {event.pop('level'):7} {event.pop('event')}"
    line = " ".join([head, *(f"{key}={_word(value)}" for key, value in event.items())])
    return f"{line}\n{trace}" if trace else line


def _word(value: object) -> str:
    text = str(value)
    if not text or any(char.isspace() or char in '"=' for char in text):
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    return text
