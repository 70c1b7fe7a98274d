"""I look at foreign keys: what they point to, and whether both sides fit."""

from __future__ import annotations

from migrator.schema.model import Column, ForeignKey, Schema, Table

CHANGING = frozenset({"CASCADE", "SET NULL", "SET DEFAULT"})


def key_element(key: ForeignKey) -> str:
    """Name a foreign key as the element of a finding: by its columns, since names may change."""
    return f"foreign key {', '.join(key.columns)}"


def parent_of(schema: Schema, key: ForeignKey) -> Table | None:
    """Return the table of the same schema that a foreign key points to, None when it is not known there."""
    if key.ref_schema is not None:
        return None
    found = schema.tables.get(key.ref_table)
    if found is None:
        lower = key.ref_table.lower()
        found = next((table for name, table in sorted(schema.tables.items()) if name.lower() == lower), None)
    return found


def kind_of(column: Column) -> tuple[object, ...]:
    """Return what must be the same on both sides of a foreign key: texts may differ in length."""
    kind = column.type
    text = kind.base in ("char", "varchar", "binary", "varbinary")
    base = kind.base.removeprefix("var") if text else kind.base
    arguments = kind.arguments if kind.base in ("decimal", "datetime", "timestamp", "time") else None
    return base, arguments, kind.unsigned, column.collation


def changes_rows(key: ForeignKey) -> bool:
    """Whether a foreign key changes rows of its table when rows of the parent change."""
    return bool({key.on_delete, key.on_update} & CHANGING)
