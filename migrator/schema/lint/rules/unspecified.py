"""I tell what the engine would refuse for a reason that no other rule knows."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject


def check(subject: Subject) -> Iterator[Finding]:
    looked_at = {answer.table for answer in subject.facts.answers if answer.found}
    for refusal in subject.facts.refusals:
        if refusal.code or (refusal.of_rows and refusal.table in looked_at):
            continue  # its own rule tells
        yield RULE.finding(refusal.table, f"table {refusal.table!r}: {refusal.sentence}", advice=refusal.hint)


RULE = Rule(
    code="UNSPECIFIED",
    levels=(Level.ERROR,),
    advice="Make this change in another way.",
    check=check,
    hard=True,
)
