"""I name the parts of a table, and print one, for people."""

from __future__ import annotations

from typing import assert_never

from migrator.schema.model import Element, ElementKey, ForeignKey, Index, IndexKind, Table
from migrator.schema.render import check_text, column_definition, foreign_key_text, index_text


def index_element(index: Index) -> ElementKey:
    """Return the key under which a table's elements have this index."""
    kind = Element.PRIMARY_KEY if index.kind is IndexKind.PRIMARY else Element.INDEX
    return kind, index.key


def element_name(key: ElementKey) -> str:
    """Name an element for people."""
    kind, name = key
    if isinstance(name, ForeignKey):
        name = f"({', '.join(name.columns)})"
    return f"{kind} {name}" if name else str(kind)


def names_of(table: Table, key: ElementKey) -> tuple[str, ...]:
    """Return what an element of a table is called: constraints by their names, others by their own."""
    kind, name = key
    match kind:
        case Element.FOREIGN_KEY:
            return tuple(item.name for item in table.foreign_keys if item.meaning == name)
        case Element.CHECK:
            return tuple(item.name for item in table.checks if item.expression == name)
        case Element.PRIMARY_KEY:
            return ("PRIMARY",)
        case _:
            return (str(name),) if name else ()


def describe(table: Table, key: ElementKey) -> str | None:
    """Return an element's text, or None when the table has no such element."""
    kind, name = key
    match kind:
        case Element.COLUMN:
            column = table.column(str(name))
            return None if column is None else column_definition(table, column)
        case Element.PRIMARY_KEY | Element.INDEX:
            found = next((index for index in table.indexes if index_element(index) == key), None)
            return None if found is None else index_text(table.flavor, found)
        case Element.FOREIGN_KEY:
            keys = [foreign_key_text(item) for item in table.foreign_keys if item.meaning == name]
            return "\n".join(keys) or None
        case Element.CHECK:
            return "\n".join(check_text(check) for check in table.checks if check.expression == name) or None
        case Element.OPTION:
            return table.option(str(name))
        case Element.COLLATION:
            return table.collation
        case Element.PARTITIONING:
            return None if table.partitioning is None else table.partitioning.text
        case _:
            assert_never(kind)
