"""I say which renames cannot be deployed as they are, and the way out."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.lint.finding import Finding, Level
from migrator.schema.model import Schema
from migrator.schema.plan import OperationKind, Plan, referenced
from migrator.schema.renames import Renames

CODE = "TABLE_RENAME"


def exchanged(base: Schema, branch: Schema, renames: Renames) -> Iterator[Finding]:
    """Refuse renames by which a table gets the name that another one had, or a column that of another."""
    for each in renames.reused:
        what, where = ("column", f"table {each.table!r}: ") if each.table else ("table", "")
        yield _refusal(
            each.table or each.old,
            f"{where}{what} {each.old!r} was renamed to {each.new!r}, and one of these names belongs to "
            f"one {what} before and to another after: what is in them would be mixed up",
            f"column {each.old}" if each.table else "table",
        )
    for old, new in renames.tables.items():
        if old in branch.tables or new in base.tables:
            yield _refusal(
                old,
                f"table {old!r} was renamed to {new!r}, and one of these names belongs to "
                "one table before and to another after",
            )


def not_alone(plan: Plan) -> Iterator[Finding]:
    """Refuse renames of tables that are changed as well, or that other changes of the plan refer to."""
    for operation in plan.operations:
        if operation.kind is not OperationKind.RENAME:
            continue
        said = f"table {operation.former!r} is renamed to {operation.table!r}"
        if len(operation.statements) > 1:
            yield _refusal(operation.former, f"{said} and changed as well")
        for other in plan.operations:
            if other is not operation and operation.touched & (
                referenced(other.before) | referenced(other.after)
            ):
                yield _refusal(
                    operation.former, f"{said}, and table {other.table!r}, which refers to it, is changed"
                )


def _refusal(table: str, sentence: str, element: str = "table") -> Finding:
    advice = "deploy the renaming in a deploy request of its own, and the rest in another one"
    return Finding(CODE, Level.ERROR, table, sentence, advice, element, hard=True)
