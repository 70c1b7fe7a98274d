"""I ask where a removal and an addition look like one renaming: two schemas alone do not tell which it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from migrator.schema.lint.finding import Finding, Level
from migrator.schema.plan import Operation, Plan

CODE = "RENAME"


def possible_renames(plan: Plan) -> tuple[Finding, ...]:
    """Return a question for each column or table that may have been renamed, and is to be removed."""
    return (*_columns(plan), *_tables(plan))


def _columns(plan: Plan) -> Iterator[Finding]:
    for operation in plan.operations:
        before, after = operation.before, operation.after
        if before is None or after is None:
            continue
        named = {name.lower() for moves in operation.renames.items() for name in moves}
        gone = [
            column
            for column in before.columns
            if after.column(column.name) is None and column.key not in named
        ]
        come = [
            column
            for column in after.columns
            if before.column(column.name) is None and column.key not in named
        ]
        for old in gone:
            alike = [new.name for new in come if replace(new, name=old.name) == old]
            if alike and old.generated is None:
                yield _question(
                    operation.table,
                    f"column {old.name}",
                    f"table {operation.table!r}: if column {old.name!r} was renamed to {alike[0]!r}, know "
                    "that it is deployed as a removal and an addition, and its values are lost",
                    "ALTER TABLE … RENAME COLUMN",
                    {"column_name": old.name},
                )


def _tables(plan: Plan) -> Iterator[Finding]:
    created = [operation for operation in plan.operations if operation.before is None]
    for operation in plan.operations:
        if operation.after is not None or operation.before is None:
            continue
        for other in created:
            if _alike(operation, other):
                yield _question(
                    operation.table,
                    "table",
                    f"if table {operation.table!r} was renamed to {other.table!r}, know that it is deployed "
                    "as a removal and a creation, and its rows are lost",
                    "RENAME TABLE",
                    {},
                )


def _question(table: str, element: str, sentence: str, statement: str, facts: Mapping[str, str]) -> Finding:
    advice = (
        f"if it is a renaming, undo it on the branch and make it there again by {statement} through the "
        "proxy, which keeps what is in it; if that may go, confirm it"
    )
    return Finding(CODE, Level.CONFIRM, table, sentence, advice, element, facts)


def _alike(gone: Operation, come: Operation) -> bool:
    return gone.before is not None and come.after is not None and come.after.same_as(gone.before)
