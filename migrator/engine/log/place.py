"""I am a place in the binary log of one server."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in the binary log; places of one server can be compared."""

    number: int
    offset: int
    file: str = field(compare=False, default="")

    @classmethod
    def of(cls, file: str, offset: int) -> Position:
        """Make a position of a file's name, whose digits at the end count up, and an offset in it."""
        return cls(int(file.rpartition(".")[2]), offset, file) if file else SOMEWHERE

    def __str__(self) -> str:
        return f"{self.file}:{self.offset}" if self.file else "a place that is known by its GTIDs"


SOMEWHERE = Position(0, 0)
"""Before every place: where to begin is known by GTIDs only."""
