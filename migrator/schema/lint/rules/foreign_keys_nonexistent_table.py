"""I look for foreign keys to tables that are not there, which servers take when checks are off."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.references import key_element
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject
from migrator.schema.model import CodeKind


def check(subject: Subject) -> Iterator[Finding]:
    names = {name.lower() for name in (*subject.after.tables, *subject.after.opaque)}
    names |= {code.name.lower() for code in subject.code(CodeKind.VIEW)}
    for table in subject.tables:
        for key in table.foreign_keys:
            if key.ref_schema is None and key.ref_table.lower() not in names:
                yield RULE.finding(
                    table.name,
                    f"table {table.name!r}: the foreign key on ({', '.join(key.columns)}) points to table "
                    f"{key.ref_table!r}, which is not there",
                    key_element(key),
                    foreign_key_column_names=list(key.columns),
                )


RULE = Rule(
    code="FOREIGN_KEYS_NONEXISTENT_TABLE",
    levels=(Level.ERROR,),
    advice="Create the table it points to on the branch, or drop the foreign key.",
    check=check,
    hard=True,
)
