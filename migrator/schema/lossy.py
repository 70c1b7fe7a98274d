"""I list what rows of a table could not be carried over into another definition of it, and how to find them.

The same list read backwards is the forecast of a revert: what the new definition lets in and the old one
would not take.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from migrator.schema.changes import character_set_of
from migrator.schema.conversions import doubts
from migrator.schema.delta import Delta, delta
from migrator.schema.model import Column, ForeignKey, Generated, Index, IndexKind, Partitioning, Table
from router.database import quote_name
from router.model import Flavor

DUPLICATE, NO_PARENT, NO_PARTITION, NO_DEFAULT, RENUMBERS = 1062, 1452, 1526, 1364, 0
CHECK_FAILED = {Flavor.MYSQL: 3819, Flavor.MARIADB: 4025}
_UNIQUE = (IndexKind.PRIMARY, IndexKind.UNIQUE)
_NAME = re.compile(r"`((?:[^`]|``)+)`")


@dataclass(frozen=True, slots=True)
class DataCheck:
    """Rows that do not fit.

    `subject` is the column, key or check it is about, `having` what such rows have. `condition` finds them;
    for duplicates it is empty, and rows with equal `equal` expressions, none of them NULL, are meant. With
    neither, only copying can tell. `errno` is how the server refuses such a row, None when it changes it
    without a word. Names are those of the old definition.
    """

    subject: str
    having: str
    errno: int | None
    condition: str = ""
    equal: tuple[str, ...] = ()

    @property
    def silent(self) -> bool:
        """Whether the server would change the value and not say so."""
        return self.errno is None


def data_checks(
    before: Table, after: Table, schema: str, table: str, renames: Mapping[str, str] | None = None
) -> tuple[DataCheck, ...]:
    """List the checks for a change; `table` is the SQL name by which conditions refer to the old table."""
    found = delta(before, after, renames)
    sources = {new.key: old for old, new in (*found.columns_changed, *found.columns_same)}
    checks: list[DataCheck] = []
    for old, new in found.columns_changed:
        checks += _column(old, new, table)
    checks += _uniques(before, after, found, sources, table)
    checks += _rules(after, found, sources)
    checks += [_foreign_key(key, sources, schema, table) for key in found.keys_added if _known(key, sources)]
    if found.partitioning and after.partitioning is not None:
        former = _partitions(before.partitioning, sources) if before.partitioning is not None else []
        checks += [check for check in _partitions(after.partitioning, sources) if check not in former]
    return tuple(checks)


def _column(old: Column, new: Column, table: str) -> list[DataCheck]:
    subject = f"column {old.name!r}"
    value = f"{table}.{quote_name(old.name)}"
    if new.auto_increment and not old.auto_increment:
        condition = f"{value} IS NULL OR {value} = 0"
        return [DataCheck(subject, "NULL or 0, which AUTO_INCREMENT would number anew", RENUMBERS, condition)]
    checks = [
        DataCheck(subject, doubt.having, doubt.errno, doubt.condition) for doubt in doubts(old, new, value)
    ]
    if old.generated is None and new.generated is not None:
        checks.append(_computed(subject, value, new.generated))
    if old.generated is not None and new.generated is None:
        having = "computed values, which an ordinary column does not take over"
        checks.append(DataCheck(subject, having, None, f"{value} IS NOT NULL"))
    return checks


def _computed(subject: str, value: str, generated: Generated) -> DataCheck:
    condition = f"NOT ({value} <=> ({generated.expression}))"
    return DataCheck(subject, "values other than the expression's, which takes their place", None, condition)


def _uniques(
    before: Table, after: Table, found: Delta, sources: Mapping[str, Column], table: str
) -> list[DataCheck]:
    """Check keys that become unique, or whose values the change may make equal."""
    changed = {new.key for old, new in found.columns_changed if _may_merge(old, new)}
    had = [index.columns for index in before.indexes if _whole(index)]
    kept = {new.key: old.key for old, new in (*found.columns_changed, *found.columns_same)}
    checks = []
    for index in after.indexes:
        if index.kind not in _UNIQUE:
            continue
        columns = {kept.get(name, name) for name in index.columns}
        implied = any(set(former) <= columns for former in had) and changed.isdisjoint(index.columns)
        if implied and _whole(index):
            continue
        if index in before.indexes and changed.isdisjoint(index.columns):
            continue
        if (equal := _parts(index, after, sources, table)) is not None:
            name = "the primary key" if index.kind is IndexKind.PRIMARY else f"unique key {index.name!r}"
            listed = ", ".join(part.column or f"({part.expression})" for part in index.parts)
            checks.append(DataCheck(name, f"the same {listed} as another row", DUPLICATE, equal=equal))
    return checks


def _whole(index: Index) -> bool:
    return index.kind in _UNIQUE and all(part.column and part.prefix is None for part in index.parts)


def _may_merge(old: Column, new: Column) -> bool:
    """Whether two different values of a column may be equal afterwards."""
    return (old.type, old.collation) != (new.type, new.collation)


def _parts(index: Index, after: Table, sources: Mapping[str, Column], table: str) -> tuple[str, ...] | None:
    """Return the values that must differ, as the new definition compares them; None when nobody can tell."""
    values = []
    for part in index.parts:
        if part.column is None:
            if not mentioned(part.expression or "") <= sources.keys():
                return None
            values.append(part.expression or "NULL")
            continue
        new = after.column(part.column)
        source = sources.get(part.column.lower())
        if new is None or new.generated is not None or (new.auto_increment and source is None):
            return None
        if source is None:
            if new.default is None or new.default.upper() == "NULL" or "(" in new.default:
                return None  # NULL is never a duplicate, and what an expression gives is not known
            continue  # every row has the default
        value = f"{table}.{quote_name(source.name)}"
        if new.collation is not None and (source.collation, source.type) != (new.collation, new.type):
            value = f"CONVERT({value} USING {character_set_of(new.collation)}) COLLATE {new.collation}"
        elif new.type.base == "decimal" and source.type != new.type:
            scale = (new.type.arguments or "10,0").partition(",")[2] or "0"
            value = f"ROUND({value}, {scale})"
        if part.prefix is not None:
            value = f"LEFT({value}, {part.prefix})"
        values.append(value)
    # A number would stand for the first column of what is selected.
    return tuple(values) or ("'all'",)


def _rules(after: Table, found: Delta, sources: Mapping[str, Column]) -> list[DataCheck]:
    """Check rules that rows must keep from now on."""
    rules = [check.expression for check in found.checks_added if check.enforced]
    rules += [new.check for old, new in found.columns_changed if new.check and new.check != old.check]
    errno = CHECK_FAILED[after.flavor]
    return [
        DataCheck(f"CHECK ({rule})", "values that it forbids", errno, f"NOT ({rule})")
        for rule in rules
        if mentioned(rule) <= sources.keys()
    ]


def _known(key: ForeignKey, sources: Mapping[str, Column]) -> bool:
    return all(name.lower() in sources for name in key.columns)


def _foreign_key(key: ForeignKey, sources: Mapping[str, Column], schema: str, table: str) -> DataCheck:
    own = [f"{table}.{quote_name(sources[name.lower()].name)}" for name in key.columns]
    parent = f"{quote_name(key.ref_schema or schema)}.{quote_name(key.ref_table)}"
    same = " AND ".join(
        f"parent.{quote_name(column)} = {value}" for column, value in zip(key.ref_columns, own, strict=True)
    )
    filled = " AND ".join(f"{value} IS NOT NULL" for value in own)
    condition = f"{filled} AND NOT EXISTS (SELECT 1 FROM {parent} AS parent WHERE {same})"
    having = f"no row in {key.ref_table!r} to refer to"
    return DataCheck(f"the foreign key on ({', '.join(key.columns)})", having, NO_PARENT, condition)


_RANGE = re.compile(r"PARTITION BY RANGE\s*(COLUMNS)?\s*\((.*?)\)\s*\(", re.DOTALL)
_LIST = re.compile(r"PARTITION BY LIST\s*(COLUMNS)?\s*\((.*?)\)\s*\(", re.DOTALL)
_BELOW = re.compile(r"VALUES LESS THAN (\((.*?)\)|MAXVALUE)(?= ENGINE|,|\)|\s)", re.DOTALL)
_IN = re.compile(r"VALUES IN \((.*?)\)(?= ENGINE|,\s*PARTITION|\s)", re.DOTALL)
_QUOTED = re.compile(r"'(?:[^'\\]|''|\\.)*'|`(?:[^`]|``)*`", re.DOTALL)


def _partitions(partitioning: Partitioning, sources: Mapping[str, Column]) -> list[DataCheck]:
    text = partitioning.text + " "
    # What stands in quotes, a comment too, must never be taken for the end of something, or the rest of it.
    bare = _QUOTED.sub(_blank, text)
    condition = expression = ""
    if (head := _RANGE.search(bare)) is not None:
        expression = text[slice(*head.span(2))]
        bounds = list(_BELOW.finditer(bare))
        if not bounds or bounds[-1][1] == "MAXVALUE" or bounds[-1][2].strip() == "MAXVALUE":
            return []
        condition = f"({expression}) >= ({text[slice(*bounds[-1].span(2))]})"
    elif (head := _LIST.search(bare)) is not None:
        expression = text[slice(*head.span(2))]
        if " DEFAULT" in bare or "," in head[2]:
            return []
        values = ", ".join(text[slice(*found.span(1))] for found in _IN.finditer(bare))
        condition = f"NOT (COALESCE(({expression}) IN ({values}), FALSE))"
        if re.search(r"\bNULL\b", bare[head.end() :]):
            condition = f"({expression}) IS NOT NULL AND {condition}"
    if not condition or not mentioned(expression) <= sources.keys():
        return []
    return [DataCheck("the partitions", "values that none of them takes", NO_PARTITION, condition)]


def _blank(quoted: re.Match[str]) -> str:
    """Return something as long as a quotation, in the same quotes, that means nothing."""
    return quoted[0][0] + "x" * (len(quoted[0]) - 2) + quoted[0][-1]


def mentioned(expression: str) -> set[str]:
    """Return the names in backticks in the server's text of an expression."""
    outside = re.sub(r"'(?:[^'\\]|''|\\.)*'", "''", expression)
    return {name.replace("``", "`").lower() for name in _NAME.findall(outside)}
