"""What could not be understood, and where it stands."""

from dataclasses import dataclass

from warren.inspect.parse.text import printable


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One place in an input that this version cannot read. Lines and columns count from 1; line 0 is all of it."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        place = f":{self.line}:{self.column}" if self.line else ""
        return f"{printable(self.file)}{place}: {self.message}"


class Unreadable(ValueError):
    """Raised inside the parser at an offset of the text under way; becomes a `Problem` at its edge."""

    def __init__(self, message: str, offset: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
