"""I am one foreign key as the engine moves it, and I read those of a table, and those of others to it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from migrator.engine.table.shape import show_create
from router.database import Connection, quote_name
from router.errors import ConnectionLost, DatabaseError

CHILDREN = (
    "SELECT DISTINCT TABLE_SCHEMA, TABLE_NAME FROM information_schema.KEY_COLUMN_USAGE "
    "WHERE REFERENCED_TABLE_SCHEMA = %s AND REFERENCED_TABLE_NAME = %s"
)
QUIET_RULES = frozenset({"", "RESTRICT", "NO ACTION"})
"""What a foreign key does when nothing is said, and its other spellings: it changes no row."""

NO_SUCH_TABLE = 1146

Table = tuple[str, str]

_NAME = r"`(?:[^`]|``)+`"
_NAMES = rf"{_NAME}(?:, {_NAME})*"
_LINE = re.compile(
    rf",\n\s+CONSTRAINT ({_NAME}) FOREIGN KEY \(({_NAMES})\) "
    rf"REFERENCES (?:({_NAME})\.)?({_NAME}) \(({_NAMES})\)"
    r"(?: ON DELETE ([A-Z ]+?))?(?: ON UPDATE ([A-Z ]+?))?(?=,?\n)"
)


@dataclass(frozen=True, slots=True)
class Reference:
    """One foreign key: of which table, named how, from which columns to which."""

    table: Table
    name: str
    columns: tuple[str, ...]
    parent: Table
    ref_columns: tuple[str, ...]
    on_delete: str = ""
    on_update: str = ""

    @property
    def meaning(self) -> Reference:
        """Itself without its name and without what is only spelling."""
        return replace(
            self,
            name="",
            columns=tuple(column.lower() for column in self.columns),
            ref_columns=tuple(column.lower() for column in self.ref_columns),
            on_delete="" if self.on_delete in QUIET_RULES else self.on_delete,
            on_update="" if self.on_update in QUIET_RULES else self.on_update,
        )

    @property
    def shape(self) -> Reference:
        """Its meaning, whatever it refers to."""
        return replace(self.meaning, parent=("", ""))

    @property
    def changes_rows(self) -> bool:
        """Whether rows of its table change because rows of the parent do."""
        return not {self.on_delete, self.on_update} <= QUIET_RULES

    @property
    def made_up_number(self) -> int | None:
        """The number in a name that the server made of the table's name; it makes it anew at a RENAME."""
        found = re.fullmatch(re.escape(self.table[1]) + r"_ibfk_([0-9]+)", self.name)
        return int(found[1]) if found else None

    def clause(self, parent: Table) -> str:
        """Return its definition without its name, referring to `parent`."""
        text = (
            f"FOREIGN KEY ({', '.join(map(quote_name, self.columns))}) "
            f"REFERENCES {'.'.join(map(quote_name, parent))} ({', '.join(map(quote_name, self.ref_columns))})"
        )
        for event, rule in (("DELETE", self.on_delete), ("UPDATE", self.on_update)):
            if rule:
                text += f" ON {event} {rule}"
        return text


def references_in(create: str, table: Table) -> list[Reference]:
    """Return the foreign keys in the server's own CREATE TABLE text of a table."""
    return [
        Reference(
            table=table,
            name=_bare(name)[0],
            columns=_bare(columns),
            parent=(_bare(schema)[0] if schema else table[0], _bare(parent)[0]),
            ref_columns=_bare(ref_columns),
            on_delete=on_delete,
            on_update=on_update,
        )
        for name, columns, schema, parent, ref_columns, on_delete, on_update in _LINE.findall(create)
    ]


def without_references(create: str) -> str:
    """Return the server's own CREATE TABLE text without the foreign keys."""
    return _LINE.sub("", create)


def _bare(names: str) -> tuple[str, ...]:
    return tuple(name[1:-1].replace("``", "`") for name in re.findall(_NAME, names))


async def read_references(link: Connection, table: Table) -> list[Reference]:
    """Read the foreign keys of a table, none when there is no such table.

    From the text: information_schema does not tell RESTRICT from nothing said, and MariaDB prints them apart.
    """
    try:
        return references_in(await show_create(link, *table), table)
    except ConnectionLost:
        raise
    except DatabaseError as error:
        if error.errno != NO_SUCH_TABLE:
            raise
        return []


async def read_children(link: Connection, table: Table) -> list[Reference]:
    """Read the foreign keys of other tables to this one."""
    found = []
    for schema, name in await link.fetch_all(CHILDREN, *table):
        child = str(schema), str(name)
        if child != table:
            found += [each for each in await read_references(link, child) if each.parent == table]
    return found
