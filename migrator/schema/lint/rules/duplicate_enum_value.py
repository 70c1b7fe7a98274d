"""I look for members of ENUM and SET that are there twice, or are equal in the column's collation."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.conversions import members
from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject


def check(subject: Subject) -> Iterator[Finding]:
    for table in subject.tables:
        for column in table.columns:
            if column.type.base not in ("enum", "set"):
                continue
            exact = (column.collation or "").endswith("_bin") or column.collation == "binary"
            seen: set[str] = set()
            for member in members(column):
                same = member if exact else member.casefold()
                if same in seen:
                    yield RULE.finding(
                        table.name,
                        f"table {table.name!r}: {column.type.base.upper()} column {column.name!r} has "
                        f"{member!r} twice",
                        f"column {column.name}",
                        column_name=column.name,
                        enum_value=member,
                    )
                seen.add(same)


RULE = Rule(
    code="DUPLICATE_ENUM_VALUE",
    levels=(Level.ERROR,),
    advice="Remove one of the two.",
    check=check,
)
