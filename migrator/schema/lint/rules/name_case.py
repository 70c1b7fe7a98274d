"""I look for capital letters in names of tables, where servers differ in what they make of them."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.lint.columns import listed
from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject


def check(subject: Subject) -> Iterator[Finding]:
    setting = subject.facts.variables.get("lower_case_table_names")
    names: dict[str, list[str]] = {}
    for name in sorted(subject.after.tables):
        names.setdefault(name.lower(), []).append(name)
    for table in subject.tables:
        name = table.name
        others = [other for other in names[name.lower()] if other != name]
        if others:
            yield RULE.finding(
                name, f"table {name!r} differs from {listed(others)} only in the case of letters"
            )
        elif name != name.lower() and setting not in (None, "0"):
            yield RULE.finding(
                name,
                f"table {name!r} has capital letters in its name, and production has "
                f"lower_case_table_names={setting}",
            )


RULE = Rule(
    code="NAME_CASE",
    levels=(Level.WARNING,),
    advice="Write names of tables in small letters.",
    check=check,
)
