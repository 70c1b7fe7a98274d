"""I refuse names that Headgate and other schema change tools use, or that do not go well with one."""

from __future__ import annotations

import re
from collections.abc import Iterator

from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject

_OURS = re.compile(r"^_headgate|__hg[0-9]+(?:_(?:new|old))?$", re.IGNORECASE)
_TOOLS = re.compile(r"^_vt_|^_.*_(?:gho|ghc|del|old|new)$", re.IGNORECASE)
# A companion of a constraint has its name and a suffix for the time of a deployment.
_SUFFIX_MAX = 8
_NAME_MAX = 64


def check(subject: Subject) -> Iterator[Finding]:
    for table in subject.tables:
        if reason := _reason(table.name) or _tool(table.name):
            yield RULE.finding(table.name, f"table {table.name!r}: its name {reason}")
        for column in table.columns:
            if reason := _reason(column.name):
                yield RULE.finding(
                    table.name,
                    f"table {table.name!r}: the name of column {column.name!r} {reason}",
                    f"column {column.name}",
                    column_name=column.name,
                )
        for name in sorted({key.name for key in table.foreign_keys} | {rule.name for rule in table.checks}):
            if reason := _reason(name) or _long(name):
                yield RULE.finding(
                    table.name,
                    f"table {table.name!r}: the name of constraint {name!r} {reason}",
                    f"constraint {name}",
                    check_constraint_name=name,
                )


def _reason(name: str) -> str:
    if _OURS.search(name):
        return "is of a kind that Headgate keeps for itself"
    if name != name.rstrip():
        return "ends in a space"
    return "has a slash in it" if "/" in name or "\\" in name else ""


def _tool(name: str) -> str:
    return "is one that schema change tools give their own tables" if _TOOLS.search(name) else ""


def _long(name: str) -> str:
    most = _NAME_MAX - _SUFFIX_MAX
    return (
        f"has {len(name)} characters, and may have {most} so that a copy can be told apart"
        if len(name) > most
        else ""
    )


RULE = Rule(
    code="RESERVED_NAME",
    levels=(Level.ERROR,),
    advice="Give it another name.",
    check=check,
)
