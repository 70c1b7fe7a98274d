"""I look at triggers that change: between the old one and the new one, none runs."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject
from migrator.schema.model import CodeKind


def check(subject: Subject) -> Iterator[Finding]:
    old = {code.name: code for code in subject.before.code if code.kind is CodeKind.TRIGGER}
    for code in subject.code(CodeKind.TRIGGER):
        former = old.get(code.name)
        if former is not None and former != code:
            yield RULE.finding(
                code.name,
                f"trigger {code.name!r} of table {code.table!r} changes: it is dropped and created again, "
                "and what is written between sees none",
            )


RULE = Rule(
    code="TRIGGER_GAP",
    number="C24",
    levels=(Level.WARNING,),
    advice="Deploy it when little is written.",
    check=check,
)
