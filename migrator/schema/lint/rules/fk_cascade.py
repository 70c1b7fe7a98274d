"""I look at foreign keys that change rows of a table to be copied: servers may not log such changes."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.references import changes_rows, key_element
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject


def check(subject: Subject) -> Iterator[Finding]:
    refused = {refusal.table for refusal in subject.facts.refusals if refusal.code == RULE.code}
    logged = subject.facts.variables.get("innodb_native_foreign_keys", "").upper() == "OFF"
    for change in subject.changes:
        way = subject.facts.ways.get(change.name)
        if logged or (way is not None and way.instant):
            continue
        for key in {*change.before.foreign_keys, *change.after.foreign_keys}:
            if changes_rows(key):
                actions = (
                    f"ON DELETE {key.on_delete or 'NO ACTION'}, ON UPDATE {key.on_update or 'NO ACTION'}"
                )
                yield RULE.finding(
                    change.name,
                    f"table {change.name!r}: the foreign key on ({', '.join(key.columns)}) changes rows when "
                    f"rows of {key.ref_table!r} change ({actions}), and the server does not log that: the "
                    "table cannot be copied while it is there",
                    key_element(key),
                    level=Level.ERROR if change.name in refused else Level.WARNING,
                    foreign_key_column_names=list(key.columns),
                )


RULE = Rule(
    code="FK_CASCADE",
    levels=(Level.WARNING, Level.ERROR),
    advice="Let the change be one that needs no copy, or replace the foreign key by one without CASCADE and "
    "SET NULL for the time of the change; MySQL 9.6 and newer logs such changes with "
    "innodb_native_foreign_keys=OFF.",
    check=check,
    hard=True,
)
