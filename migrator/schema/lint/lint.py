"""I run all rules over a schema and the change that made it, and put what they say in order."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache

from migrator.schema.lint import rules as package
from migrator.schema.lint.finding import RANK, Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject
from migrator.schema.renames import NONE

_SERIOUS = frozenset({Level.ERROR, Level.CONFIRM})


@cache
def rules() -> tuple[Rule, ...]:
    """Return every rule, by code."""
    modules = (importlib.import_module(f"{package.__name__}.{info.name}") for info in _modules())
    return tuple(sorted((module.RULE for module in modules), key=lambda rule: rule.code))


def _modules() -> Iterable[pkgutil.ModuleInfo]:
    return pkgutil.iter_modules(package.__path__)


def lint(subject: Subject) -> tuple[Finding, ...]:
    """Return what all rules find, in an order that depends on nothing but the findings.

    What was the same before the change is debt: it is no more than a warning. Only rules that are binding
    hold for the debt of tables that are changed.
    """
    found: dict[str, Finding] = {}
    for rule in rules():
        said = list(rule.check(subject))
        if any(finding.level in _SERIOUS for finding in said):
            said = _without_debt(rule, subject, said)
        for finding in said:
            former = found.get(finding.key)
            if former is None or _order(finding) < _order(former):
                found[finding.key] = finding
    for finding in _refused(subject, tuple(found.values())):
        found[finding.key] = finding
    return tuple(sorted(found.values(), key=_order))


def _refused(subject: Subject, found: Iterable[Finding]) -> Iterator[Finding]:
    """Yield what the engine refuses by a rule that saw no error: the engine has the last word."""
    told = {(finding.code, finding.subject) for finding in found if finding.level is Level.ERROR}
    for refusal in subject.facts.refusals:
        if refusal.code and (refusal.code, refusal.table) not in told:
            sentence = f"table {refusal.table!r}: {refusal.sentence}"
            yield Finding(refusal.code, Level.ERROR, refusal.table, sentence, refusal.hint, hard=True)


def concerning(findings: Iterable[Finding], subject: Subject) -> tuple[Finding, ...]:
    """Leave out what is said of things that the change does not touch and that is no more than a warning."""
    return tuple(
        finding
        for finding in findings
        if finding.level in _SERIOUS or not finding.subject or finding.subject in subject.touched
    )


def _without_debt(rule: Rule, subject: Subject, said: list[Finding]) -> list[Finding]:
    """Make warnings of what the rule would have said before the change."""
    if subject.before is subject.after:
        return said
    former = replace(
        subject,
        after=subject.before,
        operations=(),
        facts=subject.facts.without_change(),
        renames=NONE,
        whole=True,
    )
    debt = {finding.key for finding in rule.check(former)}
    return [
        replace(finding, level=Level.WARNING)
        if finding.level in _SERIOUS
        and finding.key in debt
        and not (rule.binding and finding.subject in subject.touched)
        else finding
        for finding in said
    ]


def _order(finding: Finding) -> tuple[int, str, str, str, str]:
    return RANK[finding.level], finding.subject, finding.code, finding.element, finding.sentence
