"""I am a rule: its code, how serious it can be, its check and its advice."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.subject import Subject


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; the sentence that it is stands at the head of its file.

    `levels` are those that its findings can have, the usual one first. `number` is its number among the rules
    about changes. A rule that is `hard` cannot be suppressed. One that is `binding` holds for what a changed
    table had before, too: such a change could not be carried out.
    """

    code: str
    levels: tuple[Level, ...]
    advice: str
    check: Callable[[Subject], Iterable[Finding]]
    number: str = ""
    hard: bool = False
    binding: bool = False

    def finding(
        self,
        subject: str,
        sentence: str,
        element: str = "",
        *,
        level: Level | None = None,
        advice: str = "",
        **facts: Any,
    ) -> Finding:
        """Make a finding of this rule, of its usual level unless said otherwise."""
        level = level or self.levels[0]
        assert level in self.levels, f"{self.code} has no level {level}"
        return Finding(self.code, level, subject, sentence, advice or self.advice, element, facts, self.hard)
