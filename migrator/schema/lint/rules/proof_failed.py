"""I tell that the change could not be proved on the scratch server."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject


def check(subject: Subject) -> Iterator[Finding]:
    if subject.facts.proof_failed:
        yield RULE.finding("", subject.facts.proof_failed)


RULE = Rule(
    code="PROOF_FAILED",
    levels=(Level.ERROR,),
    advice="Make this change in other steps on the branch.",
    check=check,
    hard=True,
)
