"""I look for foreign keys whose sides do not fit: columns, types, character sets, the parent's index."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.references import key_element, kind_of, parent_of
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject
from migrator.schema.model import Column, ForeignKey, Index, Table


def check(subject: Subject) -> Iterator[Finding]:
    for table in subject.tables:
        for key in table.foreign_keys:
            parent = parent_of(subject.after, key)
            if parent is not None and (reason := _reason(table, key, parent)):
                yield RULE.finding(
                    table.name,
                    f"table {table.name!r}: the foreign key on ({', '.join(key.columns)}) to "
                    f"{parent.name!r} does not fit: {reason}",
                    key_element(key),
                    foreign_key_column_names=list(key.columns),
                )


def _reason(table: Table, key: ForeignKey, parent: Table) -> str:
    for own, other in zip(key.columns, key.ref_columns, strict=True):
        mine, theirs = table.column(own), parent.column(other)
        if mine is None or theirs is None:
            return f"column {other if theirs is None else own!r} is not there"
        if kind_of(mine) != kind_of(theirs):
            return f"{own!r} is {_kind(mine)}, and {parent.name}.{other} is {_kind(theirs)}"
    wanted = tuple(name.lower() for name in key.ref_columns)
    if not any(_starts_with(index, wanted) for index in parent.indexes):
        return f"{parent.name!r} has no index that begins with ({', '.join(key.ref_columns)})"
    return ""


def _starts_with(index: Index, wanted: tuple[str, ...]) -> bool:
    whole = all(part.column and part.prefix is None for part in index.parts[: len(wanted)])
    return whole and index.columns[: len(wanted)] == wanted


def _kind(column: Column) -> str:
    return f"{column.type} {column.collation}" if column.collation else str(column.type)


RULE = Rule(
    code="FOREIGN_KEYS_UNRESOLVED",
    levels=(Level.ERROR,),
    advice="Give both columns the same type, sign, character set and collation, and the parent an index.",
    check=check,
    hard=True,
)
