"""I turn looks at the rows of production into findings: found, not found, not looked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from migrator.schema.conversions import NO_NULL
from migrator.schema.lint.facts import DataAnswer
from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject, TableChange
from migrator.schema.lossy import (
    CHECK_FAILED,
    DUPLICATE,
    NO_PARENT,
    NO_PARTITION,
    RENUMBERS,
    DataCheck,
    data_checks,
)

SILENT_LOSS = "SILENT_LOSS"

_BY_ERRNO = {
    NO_NULL: "SET_NOT_NULL",
    DUPLICATE: "ADD_UNIQUE",
    NO_PARENT: "ADD_FK",
    NO_PARTITION: "PARTITION_DROP",
    RENUMBERS: SILENT_LOSS,
    **dict.fromkeys(CHECK_FAILED.values(), "ADD_CHECK"),
}


def doubts_about_rows(
    rule: Rule, subject: Subject, *, usual: Level, found: Level = Level.ERROR
) -> Iterator[Finding]:
    """Yield a finding for each data check of a rule: of level `found` when there is a row, else `usual`."""
    for change in subject.changes:
        answers = {
            (answer.subject, answer.having): answer
            for answer in subject.facts.answers
            if answer.table == change.place
        }
        for check in checks_of(subject, change):
            if code_of(change, check) != rule.code:
                continue
            answer = answers.get((check.subject, check.having))
            caught = answer is not None and answer.found
            finding = rule.finding(
                change.name,
                f"table {change.name!r}, {check.subject}: {_outcome(check, answer)}",
                check.subject.replace("'", ""),
                level=found if caught else usual,
                rows=_recorded(answer),
            )
            # A row that the server refuses is there whoever is content with it.
            yield replace(finding, hard=caught and not check.silent)


def checks_of(subject: Subject, change: TableChange) -> tuple[DataCheck, ...]:
    """List what is to be looked for in a table's rows; their SQL is made for no table in particular."""
    return data_checks(change.before, change.after, "", "t", subject.renames.columns.get(change.place))


def code_of(change: TableChange, check: DataCheck) -> str:
    """Return the code of the rule that a data check belongs to."""
    if check.silent:
        return SILENT_LOSS
    for old, new in change.delta.columns_changed:
        if check.subject == f"column {old.name!r}" and {old.type.base, new.type.base} <= {"enum", "set"}:
            return _BY_ERRNO.get(check.errno or 0, "ENUM_SET")
    return _BY_ERRNO.get(check.errno or 0, "NARROWING")


def _outcome(check: DataCheck, answer: DataAnswer | None) -> str:
    what = "the server would change it without a word" if check.silent else "the server would refuse it"
    if check.errno == RENUMBERS:
        what = "the server would number it anew"
    if answer is not None and answer.found:
        shown = f" ({answer.sample})" if answer.sample else ""
        return f"production has a row with {check.having}{shown}: {what}"
    if answer is not None and answer.complete:
        return f"no row has {check.having} now; one that is written before the deployment would stop it"
    reason = f", and whether there is one is not known: {answer.reason}" if answer is not None else ""
    return f"a row may have {check.having}: {what}{reason}"


def _recorded(answer: DataAnswer | None) -> dict[str, object]:
    if answer is None:
        return {"looked": False}
    return {"looked": True, "complete": answer.complete, "found": answer.found, "sample": answer.sample}
