"""I am what a check says: a code, how serious it is, what is wrong and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

PAGE = "docs/lint.md"


class Level(StrEnum):
    """How serious a finding is: ERROR blocks, CONFIRM must be confirmed, the others are told."""

    ERROR = "error"
    CONFIRM = "confirm"
    WARNING = "warning"
    INFO = "info"


RANK = {level: rank for rank, level in enumerate(Level)}
"""The most serious level first."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check says of one thing.

    `subject` is the name of the table, view or routine, empty for the schema; `element` the part of it it is
    about. `facts` are further fields of a lint entry of the API. `suppressed` is the reason that somebody
    gave for living with it; what is `hard` cannot be suppressed.
    """

    code: str
    level: Level
    subject: str
    sentence: str
    advice: str = ""
    element: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    hard: bool = False
    suppressed: str = ""

    @property
    def key(self) -> str:
        """What it is known by when somebody confirms or suppresses it."""
        return f"{self.code}:{self.subject}:{self.element}"

    @property
    def told(self) -> str:
        """What is wrong and what to do about it, for people."""
        advice = f"{self.advice[:1].upper()}{self.advice[1:]}"
        return f"{self.sentence}. {advice}" if advice else self.sentence

    @property
    def blocks(self) -> bool:
        """Whether nothing can be deployed while it stands."""
        return self.level is Level.ERROR and not self.suppressed

    @property
    def asks(self) -> bool:
        """Whether somebody must confirm it first."""
        return self.level is Level.CONFIRM and not self.suppressed

    @property
    def docs(self) -> str:
        """Where its rule is explained."""
        return f"{PAGE}#{self.code.lower()}"
