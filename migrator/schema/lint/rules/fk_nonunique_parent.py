"""I want foreign keys to point to what is unique: newer MySQL refuses others."""

from __future__ import annotations

import re
from collections.abc import Iterator

from migrator.schema.lint.columns import unique_indexes
from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.references import key_element, parent_of
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject
from router.model import Flavor


def check(subject: Subject) -> Iterator[Finding]:
    strict = _strict(subject)
    for table in subject.tables:
        for key in table.foreign_keys:
            parent = parent_of(subject.after, key)
            if parent is None:
                continue
            wanted = {name.lower() for name in key.ref_columns}
            unique = any(
                set(index.columns) == wanted and len(index.parts) == len(wanted)
                for index in unique_indexes(parent)
            )
            there = all(parent.column(name) for name in key.ref_columns)
            if there and not unique:
                yield RULE.finding(
                    table.name,
                    f"table {table.name!r}: the foreign key on ({', '.join(key.columns)}) points to "
                    f"({', '.join(key.ref_columns)}) of {parent.name!r}, which no key makes unique",
                    key_element(key),
                    level=Level.ERROR if strict else Level.WARNING,
                    foreign_key_column_names=list(key.columns),
                )


def _strict(subject: Subject) -> bool:
    if subject.after.flavor is Flavor.MARIADB:
        return False
    said = subject.facts.variables.get("restrict_fk_on_non_standard_key")
    if said is not None:
        return said.upper() in ("ON", "1")
    version = [int(part) for part in re.findall(r"\d+", subject.after.version)[:2]]
    return version >= [8, 4]


RULE = Rule(
    code="FK_NONUNIQUE_PARENT",
    levels=(Level.ERROR, Level.WARNING),
    advice="Add a unique key on exactly these columns of the parent.",
    check=check,
    hard=True,
)
