"""I look for columns that go although something that stays is computed from them."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject
from migrator.schema.lossy import mentioned
from migrator.schema.model import Table


def check(subject: Subject) -> Iterator[Finding]:
    for change in subject.changes:
        gone = {column.key: column.name for column in change.delta.columns_dropped}
        gone |= {old.key: old.name for old, new in change.delta.columns_changed if old.key != new.key}
        for what, element, expression in _computed(change.after):
            for key in sorted(mentioned(expression) & gone.keys()):
                if change.after.column(key) is None:
                    yield RULE.finding(
                        change.name,
                        f"table {change.name!r}: {what} is computed from column {gone[key]!r}, which goes",
                        element,
                        column_name=gone[key],
                    )


def _computed(table: Table) -> Iterator[tuple[str, str, str]]:
    for column in table.columns:
        if column.generated is not None:
            yield f"column {column.name!r}", f"column {column.name}", column.generated.expression
        if column.default is not None and "`" in column.default:
            yield f"the default of {column.name!r}", f"column {column.name}", column.default
    for index in table.indexes:
        for part in index.parts:
            if part.expression is not None:
                yield f"index {index.name!r}", f"index {index.name}", part.expression
    for rule in table.checks:
        yield f"CHECK ({rule.expression})", f"check {rule.expression}", rule.expression
    if table.partitioning is not None:
        yield "the partition of a row", "partitioning", table.partitioning.text.partition("\n")[0]


RULE = Rule(
    code="GENERATED_DEP",
    levels=(Level.ERROR,),
    advice="Drop or change what is computed from the column in the same deploy request.",
    check=check,
)
