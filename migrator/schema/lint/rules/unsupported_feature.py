"""I name what we cannot deploy: other engines, files elsewhere, tables whose definition we cannot read."""

from __future__ import annotations

import re
from collections.abc import Iterator

from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject
from migrator.schema.model import CodeKind

_VIEW_TABLES = re.compile(r"\bjson_table\s*\(", re.IGNORECASE)
_TABLES_MAX = 2048


def check(subject: Subject) -> Iterator[Finding]:
    for name, opaque in sorted(subject.after.opaque.items()):
        if not opaque.sequence:
            yield RULE.finding(
                name,
                f"table {name!r} cannot be read well enough to be changed: {opaque.reason}",
                level=_level(subject, name),
            )
    for table in subject.tables:
        engine = table.option("ENGINE") or "InnoDB"
        if engine.lower() != "innodb":
            yield RULE.finding(
                table.name,
                f"table {table.name!r} is of engine {engine}: only InnoDB tables can be changed online",
                engine_name=engine,
            )
    for code in subject.code(CodeKind.VIEW):
        if _VIEW_TABLES.search(code.text):
            yield RULE.finding(
                code.name, f"view {code.name!r} uses JSON_TABLE", level=Level.INFO, view_name=code.name
            )
    if len(subject.after.tables) > _TABLES_MAX:
        yield RULE.finding(
            "",
            f"the schema has {len(subject.after.tables):,} tables: reading it takes its time",
            level=Level.INFO,
        )


def _level(subject: Subject, name: str) -> Level:
    """What differs must be deployed, and cannot be; what does not is only told."""
    changed = subject.before.opaque.get(name) != subject.after.opaque[name]
    return Level.ERROR if changed else Level.INFO


RULE = Rule(
    code="UNSUPPORTED_FEATURE",
    levels=(Level.ERROR, Level.INFO),
    advice="Make the table an InnoDB table without this feature, or make this change on production by hand.",
    check=check,
    binding=True,
)
