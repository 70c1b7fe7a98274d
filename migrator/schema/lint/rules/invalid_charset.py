"""I refuse character sets that are not among those allowed."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.changes import character_set_of
from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject
from migrator.schema.model import Table


def check(subject: Subject) -> Iterator[Finding]:
    allowed = subject.settings.character_sets
    for table in subject.tables:
        default = character_set_of(table.collation) if table.collation else ""
        if default and default not in allowed:
            yield _finding(table, default, "its default", "", allowed)
        for column in table.columns:
            charset = character_set_of(column.collation) if column.collation else ""
            if charset and charset not in allowed:
                yield _finding(table, charset, f"column {column.name!r}", f"column {column.name}", allowed)


def _finding(table: Table, charset: str, what: str, element: str, allowed: tuple[str, ...]) -> Finding:
    return RULE.finding(
        table.name,
        f"table {table.name!r}: the character set of {what} is {charset}, which is not among: "
        f"{', '.join(allowed)}",
        element,
        charset_name=charset,
    )


RULE = Rule(
    code="INVALID_CHARSET",
    levels=(Level.ERROR,),
    advice="Take utf8mb4, or allow this character set in the setting lint.character_sets.",
    check=check,
)
