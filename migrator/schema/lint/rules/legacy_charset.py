"""I tell what is not utf8mb4: characters are missing there."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.changes import character_set_of
from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject


def check(subject: Subject) -> Iterator[Finding]:
    for table in subject.tables:
        default = character_set_of(table.collation) if table.collation else ""
        if default and default not in _WIDE and default in subject.settings.character_sets:
            yield RULE.finding(
                table.name,
                f"table {table.name!r}: its default character set is {default}",
                charset_name=default,
            )
        for column in table.columns:
            charset = character_set_of(column.collation) if column.collation else ""
            if (
                charset
                and charset not in _WIDE
                and charset != default
                and charset in (subject.settings.character_sets)
            ):
                yield RULE.finding(
                    table.name,
                    f"table {table.name!r}: the character set of column {column.name!r} is {charset}",
                    f"column {column.name}",
                    column_name=column.name,
                    charset_name=charset,
                )


_WIDE = frozenset({"utf8mb4", "binary", "utf16", "utf32"})

RULE = Rule(
    code="LEGACY_CHARSET",
    levels=(Level.WARNING,),
    advice="Take utf8mb4 for what is new; change what is there in a deploy request of its own.",
    check=check,
)
