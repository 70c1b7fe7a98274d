"""I refuse foreign keys where the database's setting does not allow them."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.references import key_element
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject


def check(subject: Subject) -> Iterator[Finding]:
    if subject.allow_foreign_keys:
        return
    for table in subject.tables:
        for key in table.foreign_keys:
            yield RULE.finding(
                table.name,
                f"table {table.name!r} has a foreign key on ({', '.join(key.columns)}), and this database "
                "does not allow foreign keys",
                key_element(key),
                foreign_key_column_names=list(key.columns),
            )


RULE = Rule(
    code="FOREIGN_KEYS_DISALLOWED",
    levels=(Level.ERROR,),
    advice="Drop the foreign key on the branch, or allow them: headgate database settings DATABASE "
    "--allow-foreign-keys.",
    check=check,
)
