"""I look for foreign keys to views."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.references import key_element
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject
from migrator.schema.model import CodeKind


def check(subject: Subject) -> Iterator[Finding]:
    views = {code.name.lower() for code in subject.code(CodeKind.VIEW)}
    for table in subject.tables:
        for key in table.foreign_keys:
            if key.ref_schema is None and key.ref_table.lower() in views:
                yield RULE.finding(
                    table.name,
                    f"table {table.name!r}: the foreign key on ({', '.join(key.columns)}) points to "
                    f"{key.ref_table!r}, which is a view",
                    key_element(key),
                    foreign_key_column_names=list(key.columns),
                    view_name=key.ref_table,
                )


RULE = Rule(
    code="FOREIGN_KEYS_REFERENCED_VIEW",
    levels=(Level.ERROR,),
    advice="Point the foreign key to the table that the view shows.",
    check=check,
    hard=True,
)
