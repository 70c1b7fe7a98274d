"""I show schemas under other names of tables and columns, and say which renames lead from one to another.

What a server does by itself when something is renamed is done here in the same way: indexes, foreign keys
(also those of other tables that point here) and expressions get the new name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from migrator.schema.model import Element, ElementKey, ForeignKey, Index, Schema, Table
from migrator.schema.program_text import trigger_on
from migrator.schema.renames import NONE, Renames, borne_out
from router.database import quote_name

# A string, or a quoted name: expressions are the server's own text, where every name is quoted.
_NAMED = re.compile(r"('(?:[^'\\]|\\.|'')*')|`((?:[^`]|``)*)`", re.DOTALL)

Names = Mapping[str, str]
"""Old names of columns in lower case → new names as they are written."""


def by_key(columns: Mapping[str, str]) -> dict[str, str]:
    """Return renames of one table's columns by the names as servers compare them."""
    return {old.lower(): new for old, new in columns.items()}


def borne(renames: Renames, before: Schema, after: Schema) -> Renames:
    """Keep the renames that lead from one schema to the other: old names only there, new ones only here."""
    if not renames:
        return NONE
    tables = {
        old: new
        for old, new in renames.tables.items()
        if old in before.tables
        and new in after.tables
        and old not in after.tables
        and new not in before.tables
    }
    columns: dict[str, Mapping[str, str]] = {}
    for name, moves in renames.columns.items():
        old, new = before.tables.get(name), after.tables.get(tables.get(name, name))
        if old is None or new is None:
            continue
        keys = {was.lower(): becomes.lower() for was, becomes in moves.items()}
        found = borne_out(keys, set(old.column_order), set(new.column_order))
        if found:
            columns[name] = {was: becomes for was, becomes in moves.items() if was.lower() in found}
    return Renames(columns, tables)


def inverse(renames: Renames) -> Renames:
    """Return the way back."""
    tables = {new: old for old, new in renames.tables.items()}
    columns = {
        renames.tables.get(table, table): {new: old for old, new in moves.items()}
        for table, moves in renames.columns.items()
    }
    return Renames(columns, tables)


def without(renames: Renames, others: Renames) -> Renames:
    """Return the renames that the others have not made as well."""
    tables = {old: new for old, new in renames.tables.items() if others.tables.get(old) != new}
    columns = {}
    for table, moves in renames.columns.items():
        made = by_key(others.columns.get(table, {}))
        left = {old: new for old, new in moves.items() if made.get(old.lower(), "").lower() != new.lower()}
        if left:
            columns[table] = left
    return Renames(columns, tables)


def together(one: Renames, other: Renames) -> Renames:
    """Return the renames of both, which must not contradict each other."""
    columns = dict(one.columns)
    for table, moves in other.columns.items():
        columns[table] = {**columns.get(table, {}), **moves}
    return Renames(columns, {**one.tables, **other.tables})


def made_there(renames: Renames, base: Schema, other: Schema) -> Renames:
    """Return those of the renames that another schema shows to have been made in it as well.

    The old name is gone there, and the new one has come. Of exchanges nothing is said.
    """
    found = borne(renames, base, other)
    columns: dict[str, Mapping[str, str]] = {}
    for table, moves in found.columns.items():
        known = base.tables[table].column_order
        if made := {old: new for old, new in moves.items() if new.lower() not in known}:
            columns[table] = made
    return Renames(columns, found.tables)


def exchanged_there(renames: Renames, base: Schema, other: Schema) -> Renames:
    """Return those of the exchanges of columns that another schema shows to have been made in it as well.

    Nothing else shows it: both names are there before and after, but the columns stand the other way round.
    To exchange them again would undo it.
    """
    columns: dict[str, Mapping[str, str]] = {}
    for table, moves in renames.columns.items():
        before, after = base.tables.get(table), other.tables.get(table)
        if before is None or after is None:
            continue
        ring = _ring(moves)
        stood = [ring[name] for name in before.column_order if name in ring]
        if ring and stood == [name for name in after.column_order if name in ring]:
            columns[table] = {old: new for old, new in moves.items() if old.lower() in ring}
    return Renames(columns)


def shown(renames: Renames, before: Schema, after: Schema) -> Renames:
    """Return the renames without exchanges of columns that did not happen between these two schemas."""
    rings = {
        table: {old: new for old, new in moves.items() if old.lower() in _ring(moves)}
        for table, moves in renames.columns.items()
    }
    return without(renames, without(Renames(rings), exchanged_there(renames, before, after)))


def _ring(moves: Mapping[str, str]) -> dict[str, str]:
    names = {old.lower(): new.lower() for old, new in moves.items()}
    return {old: new for old, new in names.items() if _comes_back(old, names)}


def _comes_back(name: str, moves: Mapping[str, str]) -> bool:
    at = moves[name]
    for _ in moves:
        if at == name:
            return True
        if at not in moves:
            return False
        at = moves[at]
    return False


def under_new_names(schema: Schema, renames: Renames) -> Schema:
    """Return the schema as it is once these renames are made and nothing else."""
    if not renames:
        return schema
    tables = {}
    for table in schema.tables.values():
        becomes = renamed_table(table, renames)
        tables[becomes.name] = becomes
    return replace(schema, tables=tables)


def renamed_table(table: Table, renames: Renames) -> Table:
    """Return a table as it is once these renames are made: its own, and those of tables it points to."""
    own, name = renames.columns.get(table.name), renames.tables.get(table.name)
    table = repointed(table, renames)
    if own:
        table = renamed_columns(table, own)
    return table if name is None else renamed_to(table, name)


def following_triggers(schema: Schema, tables: Mapping[str, str]) -> Schema:
    """Return the schema with the triggers of renamed tables on these under their new names."""
    if tables.keys().isdisjoint(code.table for code in schema.code):
        return schema
    code = tuple(
        replace(each, table=tables[each.table], text=trigger_on(each.text, tables[each.table]))
        if each.table in tables
        else each
        for each in schema.code
    )
    return replace(schema, code=code)


def renamed_to(table: Table, name: str) -> Table:
    """Return a table under another name, which its foreign keys to itself follow."""
    keys = tuple(
        replace(key, ref_table=name) if key.ref_table == table.name and key.ref_schema is None else key
        for key in table.foreign_keys
    )
    return replace(table, name=name, foreign_keys=keys)


def repointed(table: Table, renames: Renames) -> Table:
    """Return a table with its foreign keys to other tables pointing to these under their new names."""
    if not renames or not table.foreign_keys:
        return table
    return replace(table, foreign_keys=tuple(_pointing(table, key, renames) for key in table.foreign_keys))


def _pointing(table: Table, key: ForeignKey, renames: Renames) -> ForeignKey:
    if key.ref_schema is not None or key.ref_table == table.name:
        return key
    names = by_key(renames.columns.get(key.ref_table, {}))
    columns = tuple(names.get(column.lower(), column) for column in key.ref_columns)
    return replace(key, ref_columns=columns, ref_table=renames.tables.get(key.ref_table, key.ref_table))


def renamed_columns(table: Table, columns: Mapping[str, str]) -> Table:
    """Return a table with other names of columns, everywhere in it."""
    names = by_key(columns)

    def name(column: str) -> str:
        return names.get(column.lower(), column)

    def text(expression: str | None) -> str | None:
        return None if expression is None else _in_text(expression, names)

    def index(each: Index) -> Index:
        parts = tuple(
            replace(part, column=part.column and name(part.column), expression=text(part.expression))
            for part in each.parts
        )
        return replace(each, parts=parts)

    return replace(
        table,
        columns=tuple(
            replace(
                column,
                name=name(column.name),
                check=text(column.check),
                default=text(column.default) if (column.default or "").startswith("(") else column.default,
                generated=column.generated
                and replace(column.generated, expression=_in_text(column.generated.expression, names)),
            )
            for column in table.columns
        ),
        indexes=tuple(map(index, table.indexes)),
        foreign_keys=tuple(
            replace(
                key,
                columns=tuple(map(name, key.columns)),
                ref_columns=tuple(map(name, key.ref_columns))
                if key.ref_table == table.name and key.ref_schema is None
                else key.ref_columns,
            )
            for key in table.foreign_keys
        ),
        checks=tuple(replace(check, expression=_in_text(check.expression, names)) for check in table.checks),
        partitioning=table.partitioning
        and replace(table.partitioning, text=_in_text(table.partitioning.text, names)),
    )


def _in_text(expression: str, names: Names) -> str:
    def put(match: re.Match[str]) -> str:
        if match[1] is not None:
            return match[1]
        new = names.get(match[2].replace("``", "`").lower())
        return match[0] if new is None else quote_name(new)

    return _NAMED.sub(put, expression)


def names_in(expression: str | None) -> set[str]:
    """Return what an expression of the server's names, columns and whatever else, in lower case."""
    if not expression:
        return set()
    return {match[2].replace("``", "`").lower() for match in _NAMED.finditer(expression) if match[1] is None}


def columns_of(table: Table, key: ElementKey) -> set[str]:
    """Return the columns that an element of a table is made of, in lower case; none without it."""
    kind, name = key
    if kind is Element.COLUMN:
        column = table.column(str(name))
        if column is None:
            return set()
        generated = column.generated.expression if column.generated else None
        return (
            {column.key}
            | names_in(generated)
            | names_in(column.check)
            | names_in(_expression(column.default))
        )
    if kind in (Element.PRIMARY_KEY, Element.INDEX):
        found = next((index for index in table.indexes if index.key == name), None)
        parts = found.parts if found else ()
        return {part.column.lower() for part in parts if part.column is not None}.union(
            *(names_in(part.expression) for part in parts)
        )
    if kind is Element.FOREIGN_KEY and isinstance(name, ForeignKey):
        return set(name.columns)
    if kind is Element.CHECK:
        return names_in(str(name))
    if kind is Element.PARTITIONING and table.partitioning is not None:
        return set(re.split(r"[^\w$]+", table.partitioning.text.lower())) | names_in(table.partitioning.text)
    return set()


def _expression(default: str | None) -> str | None:
    return default if default is not None and default.startswith("(") else None


def moves(renames: Renames) -> Iterator[tuple[str, str, str]]:
    """Go through the renames of columns: table (its old name), old name, new name."""
    for table, columns in renames.columns.items():
        for old, new in columns.items():
            yield table, old, new
