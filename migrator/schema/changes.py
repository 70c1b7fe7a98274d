"""I am each possible change of a table: its SQL clause, and what it could destroy.

How a change is undone is never derived from the change itself: the way back is the diff in the other
direction, and it is proved on the scratch server like the way there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from migrator.schema.model import (
    OPTION_RESET,
    Check,
    Column,
    ForeignKey,
    Index,
    IndexKind,
    Option,
    Partitioning,
    Table,
)
from migrator.schema.render import check_text, column_definition, foreign_key_text, index_text, option_text
from router.database import quote_name
from router.model import Flavor

FIRST = " FIRST"


@dataclass(frozen=True, slots=True)
class Change:
    """One clause of an ALTER TABLE; `loses` says what is gone afterwards (None when nothing is)."""

    clause: str
    loses: str | None = None


def after(column: Column) -> str:
    """Return the clause that places a column behind another one."""
    return f" AFTER {quote_name(column.name)}"


def add_column(table: Table, column: Column, place: str = "") -> Change:
    """Add a column; `place` is '', FIRST or what `after` returns."""
    return Change(f"ADD COLUMN {column_definition(table, column)}{place}")


def modify_column(table: Table, before: Column, column: Column, place: str = "") -> Change:
    """Give a column a new definition, place or spelling of its name."""
    definition = column_definition(table, column) + place
    if before.name != column.name:
        return Change(f"CHANGE COLUMN {quote_name(before.name)} {definition}")
    return Change(f"MODIFY COLUMN {definition}")


def rename_column(before: Column, column: Column) -> Change:
    """Give a column another name and nothing else."""
    return Change(f"RENAME COLUMN {quote_name(before.name)} TO {quote_name(column.name)}")


def drop_column(column: Column) -> Change:
    """Remove a column."""
    loses = None if column.generated is not None else f"every value of column {column.name!r}"
    return Change(f"DROP COLUMN {quote_name(column.name)}", loses)


def set_default(column: Column) -> Change:
    """Give a column its default, which may be any expression."""
    default = column.default or "NULL"
    if not default.startswith("("):
        default = f"({default})"
    return Change(f"ALTER COLUMN {quote_name(column.name)} SET DEFAULT {default}")


def add_index(table: Table, index: Index) -> Change:
    """Add an index or the primary key."""
    return Change(f"ADD {index_text(table.flavor, index)}")


def drop_index(index: Index) -> Change:
    """Remove an index or the primary key."""
    if index.kind is IndexKind.PRIMARY:
        return Change("DROP PRIMARY KEY")
    return Change(f"DROP INDEX {quote_name(index.name)}")


def show_index(table: Table, index: Index) -> Change:
    """Make an index visible to the optimizer or hide it, as `index` says."""
    if table.flavor is Flavor.MYSQL:
        word = "VISIBLE" if index.visible else "INVISIBLE"
    else:
        word = "NOT IGNORED" if index.visible else "IGNORED"
    return Change(f"ALTER INDEX {quote_name(index.name)} {word}")


def add_check(check: Check, *, named: bool = True) -> Change:
    """Add a check; without its name when `named` is false."""
    return Change("ADD " + check_text(check if named else replace(check, name="")))


def drop_check(table: Table, check: Check) -> Change:
    """Remove a check."""
    word = "CHECK" if table.flavor is Flavor.MYSQL else "CONSTRAINT"
    return Change(f"DROP {word} {quote_name(check.name)}")


def enforce_check(check: Check, *, enforced: bool) -> Change:
    """Turn a check on or off."""
    return Change(f"ALTER CHECK {quote_name(check.name)} {'' if enforced else 'NOT '}ENFORCED")


def add_foreign_key(key: ForeignKey) -> Change:
    """Add a foreign key."""
    return Change("ADD " + foreign_key_text(key))


def drop_foreign_key(key: ForeignKey) -> Change:
    """Remove a foreign key."""
    return Change(f"DROP FOREIGN KEY {quote_name(key.name)}")


def set_option(option: Option) -> Change:
    """Set a table option."""
    return Change(option_text(option))


def reset_option(name: str) -> Change:
    """Set a table option back to what a table has that never had it."""
    return Change(f"{name}={OPTION_RESET[name]}")


def set_collation(collation: str) -> Change:
    """Set the default character set and collation of columns to come; columns keep theirs."""
    return Change(f"DEFAULT CHARACTER SET {character_set_of(collation)} COLLATE {collation}")


def set_partitioning(partitioning: Partitioning | None) -> Change:
    """Partition a table, or stop doing so; this clause comes last and without a comma."""
    return Change("REMOVE PARTITIONING" if partitioning is None else partitioning.text)


def character_set_of(collation: str) -> str:
    """Return the character set a collation belongs to: its name starts with it."""
    return collation.split("_", 1)[0]
