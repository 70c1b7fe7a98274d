"""I am somebody's word that a finding may be lived with, for a reason."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from migrator.schema.lint.finding import Finding


@dataclass(frozen=True, slots=True)
class Suppression:
    """What is not to count: findings of one rule in a database, of one subject, or of one element of it.

    With `number` it holds for that deploy request only.
    """

    id: str
    code: str
    reason: str
    author: str
    created_at: datetime
    subject: str = ""
    element: str = ""
    number: int | None = None

    def covers(self, finding: Finding, number: int | None) -> bool:
        """Whether it is about this finding of a deploy request, or of none."""
        return (
            self.code == finding.code
            and self.subject in ("", finding.subject)
            and self.element in ("", finding.element)
            and self.number in (None, number)
        )


def suppress(
    findings: Iterable[Finding], suppressions: Iterable[Suppression], number: int | None = None
) -> tuple[Finding, ...]:
    """Return the findings with the reason in each that is suppressed; what is hard stays as it is."""
    known = sorted(suppressions, key=lambda each: (each.created_at, each.id))
    return tuple(_suppressed(finding, known, number) for finding in findings)


def _suppressed(finding: Finding, known: list[Suppression], number: int | None) -> Finding:
    word = next((each for each in known if each.covers(finding, number)), None)
    if word is None or finding.hard:
        return replace(finding, suppressed="")
    return replace(finding, suppressed=f"{word.reason} ({word.author})")
