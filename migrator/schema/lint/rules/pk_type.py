"""I want primary keys to be of types that are short and do not run out."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.conversions import character_bytes
from migrator.schema.lint.columns import length
from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject

_TEXT_BYTES_MAX = 64


def check(subject: Subject) -> Iterator[Finding]:
    allowed = subject.settings.key_types
    for table in subject.tables:
        for part in table.primary_key.parts if table.primary_key else ():
            column = table.column(part.column) if part.column else None
            if column is None:
                continue
            kind = column.type.base + (" unsigned" if column.type.unsigned else "")
            size = length(column) * character_bytes(column.collation)
            if kind not in allowed:
                said = f"is {kind.upper()}, which is not among: {', '.join(allowed)}"
            elif column.type.base in ("char", "varchar") and size > _TEXT_BYTES_MAX:
                said = f"takes up to {size} bytes, in every index of the table"
            else:
                continue
            yield RULE.finding(
                table.name,
                f"table {table.name!r}: column {column.name!r} of the primary key {said}",
                f"column {column.name}",
                column_name=column.name,
            )


RULE = Rule(
    code="PK_TYPE",
    levels=(Level.WARNING,),
    advice="Take BIGINT UNSIGNED, or BINARY(16) for identifiers made elsewhere; keep long texts in a unique "
    "key.",
    check=check,
)
