"""I am tables, columns, indexes and keys as values.

Definitions and expressions stay the server's own text wherever the server has already brought them into one
form. What is only spelling (explicit or inherited character set, AUTO_INCREMENT counter, order of indexes,
names of constraints) is left out of `elements`, and `elements` is what equality, diff and merge look at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType

from migrator.schema.errors import SchemaError
from router.model import Flavor


@dataclass(frozen=True, slots=True)
class ColumnType:
    """A column's type: `base` in lower case, and the server's text of what stands in the parentheses."""

    base: str
    arguments: str | None = None
    unsigned: bool = False
    zerofill: bool = False

    def __str__(self) -> str:
        text = self.base if self.arguments is None else f"{self.base}({self.arguments})"
        return text + (" unsigned" if self.unsigned else "") + (" zerofill" if self.zerofill else "")


@dataclass(frozen=True, slots=True)
class Generated:
    """How a column is computed: `expression` without its parentheses, `storage` as the server prints it."""

    expression: str
    storage: str

    @property
    def stored(self) -> bool:
        """Whether the value is kept in the row."""
        return self.storage != "VIRTUAL"


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    `character_set` and `collate` are what the server prints, and only that; `collation` is what is in force
    (None for types without one, and until somebody asked the server).
    """

    name: str
    type: ColumnType
    character_set: str | None = field(default=None, compare=False)
    collate: str | None = field(default=None, compare=False)
    collation: str | None = None
    nullable: bool = True
    null_printed: bool = field(default=False, compare=False)
    default: str | None = None
    on_update: str | None = None
    auto_increment: bool = False
    generated: Generated | None = None
    srid: int | None = None
    invisible: bool = False
    comment: str | None = None
    storage: str | None = None
    column_format: str | None = None
    engine_attribute: str | None = None
    compressed: bool = False
    check: str | None = None

    @property
    def key(self) -> str:
        """The name as servers compare it."""
        return self.name.lower()


class IndexKind(StrEnum):
    """The kinds of index, as the server prints them."""

    PRIMARY = "PRIMARY KEY"
    UNIQUE = "UNIQUE KEY"
    PLAIN = "KEY"
    FULLTEXT = "FULLTEXT KEY"
    SPATIAL = "SPATIAL KEY"


@dataclass(frozen=True, slots=True)
class IndexPart:
    """One part of an index: a column, perhaps a prefix of it, or an expression."""

    column: str | None = None
    expression: str | None = None
    prefix: int | None = None
    descending: bool = False

    @property
    def meaning(self) -> IndexPart:
        """Itself with the column's name in lower case."""
        return self if self.column is None else replace(self, column=self.column.lower())


@dataclass(frozen=True, slots=True)
class Index:
    """One index; `name` is empty for the primary key."""

    kind: IndexKind
    name: str
    parts: tuple[IndexPart, ...]
    visible: bool = True
    using: str | None = None
    key_block_size: int | None = None
    parser: str | None = None
    comment: str | None = None
    engine_attribute: str | None = None

    @property
    def key(self) -> str:
        """The name as servers compare it."""
        return self.name.lower()

    @property
    def columns(self) -> tuple[str, ...]:
        """The keys of the columns that are parts of this index, without expressions."""
        return tuple(part.column.lower() for part in self.parts if part.column is not None)

    @property
    def meaning(self) -> Index:
        """Itself without what is only spelling: the case in which columns are written."""
        return replace(self, parts=tuple(part.meaning for part in self.parts))


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """One foreign key; actions are as printed, None when not printed."""

    name: str = field(compare=False)
    columns: tuple[str, ...]
    ref_schema: str | None
    ref_table: str
    ref_columns: tuple[str, ...]
    on_delete: str | None = None
    on_update: str | None = None

    @property
    def meaning(self) -> ForeignKey:
        """Itself without what is only spelling: NO ACTION, RESTRICT and nothing are the same."""
        silent = ("NO ACTION", "RESTRICT")
        return replace(
            self,
            columns=tuple(name.lower() for name in self.columns),
            ref_columns=tuple(name.lower() for name in self.ref_columns),
            on_delete=None if self.on_delete in silent else self.on_delete,
            on_update=None if self.on_update in silent else self.on_update,
        )


@dataclass(frozen=True, slots=True)
class Check:
    """One table-level check; `expression` is without the outer parentheses that CHECK itself needs."""

    name: str = field(compare=False)
    expression: str
    enforced: bool = True


@dataclass(frozen=True, slots=True)
class Option:
    """One table option with its value as the server prints it."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Partitioning:
    """How a table is partitioned: the server's text from PARTITION BY on."""

    text: str
    version: str | None = field(default=None, compare=False)


# What an option goes back to when a table no longer has it. An option that is not here is not known, and a
# table that has one cannot be read.
OPTION_RESET: Mapping[str, str] = MappingProxyType(
    {
        "ENGINE": "",
        "AUTO_INCREMENT": "",
        "DEFAULT CHARSET": "",
        "COLLATE": "",
        "AVG_ROW_LENGTH": "0",
        "CHECKSUM": "0",
        "COMMENT": "''",
        "COMPRESSION": "''",
        "DELAY_KEY_WRITE": "0",
        "ENCRYPTION": "'N'",
        "KEY_BLOCK_SIZE": "0",
        "MAX_ROWS": "0",
        "MIN_ROWS": "0",
        "PACK_KEYS": "DEFAULT",
        "PAGE_CHECKSUM": "0",
        "ROW_FORMAT": "DEFAULT",
        "STATS_AUTO_RECALC": "DEFAULT",
        "STATS_PERSISTENT": "DEFAULT",
        "STATS_SAMPLE_PAGES": "DEFAULT",
        "TRANSACTIONAL": "DEFAULT",
        "`PAGE_COMPRESSED`": "DEFAULT",
        "`PAGE_COMPRESSION_LEVEL`": "DEFAULT",
        "`ENCRYPTED`": "DEFAULT",
        "`ENCRYPTION_KEY_ID`": "DEFAULT",
    }
)

# Options that say nothing about the shape of a table: the counter moves by itself, and the character set is
# compared as the collation in force.
NOT_COMPARED = frozenset({"AUTO_INCREMENT", "DEFAULT CHARSET", "COLLATE"})

ARIA_OPTIONS = frozenset({"PAGE_CHECKSUM", "TRANSACTIONAL"})


class Element(StrEnum):
    """The kinds of things a table is made of."""

    COLUMN = "column"
    PRIMARY_KEY = "primary key"
    INDEX = "index"
    FOREIGN_KEY = "foreign key"
    CHECK = "check"
    OPTION = "option"
    COLLATION = "default collation"
    PARTITIONING = "partitioning"


ElementKey = tuple[Element, object]


@dataclass(frozen=True, slots=True)
class Table:
    """One table; `collation` is the default in force (None until somebody asked the server)."""

    flavor: Flavor
    name: str
    columns: tuple[Column, ...]
    indexes: tuple[Index, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    checks: tuple[Check, ...] = ()
    options: tuple[Option, ...] = ()
    partitioning: Partitioning | None = None
    collation: str | None = None

    def column(self, name: str) -> Column | None:
        """Return the column of that name, in whatever case it is written."""
        key = name.lower()
        return next((column for column in self.columns if column.key == key), None)

    @property
    def primary_key(self) -> Index | None:
        """The primary key, or None."""
        return next((index for index in self.indexes if index.kind is IndexKind.PRIMARY), None)

    def option(self, name: str) -> str | None:
        """Return the value of a table option as printed, or None."""
        return next((option.value for option in self.options if option.name == name), None)

    @property
    def column_order(self) -> tuple[str, ...]:
        """The columns' keys from first to last."""
        return tuple(column.key for column in self.columns)

    def elements(self) -> dict[ElementKey, object]:
        """Return everything that makes this table what it is, except the order of its columns."""
        found: dict[ElementKey, object] = {(Element.COLUMN, column.key): column for column in self.columns}
        for index in self.indexes:
            kind = Element.PRIMARY_KEY if index.kind is IndexKind.PRIMARY else Element.INDEX
            found[kind, index.key] = index.meaning
        for foreign_key, count in Counter(key.meaning for key in self.foreign_keys).items():
            found[Element.FOREIGN_KEY, foreign_key] = count
        # A check is the same whatever it is called: a shadow table cannot carry the old table's names.
        enforced: dict[str, list[bool]] = {}
        for check in self.checks:
            enforced.setdefault(check.expression, []).append(check.enforced)
        for expression, all_enforced in enforced.items():
            found[Element.CHECK, expression] = tuple(sorted(all_enforced))
        aria = self.option("ENGINE") == "Aria"
        for option in self.options:
            # MariaDB prints Aria's options of a table that once was one for ever.
            if option.name not in NOT_COMPARED and (aria or option.name not in ARIA_OPTIONS):
                found[Element.OPTION, option.name] = option.value
        found[Element.COLLATION, ""] = self.collation
        if self.partitioning is not None:
            found[Element.PARTITIONING, ""] = self.partitioning
        return found

    def same_as(self, other: Table) -> bool:
        """Whether both are the same table in all but spelling (and perhaps name)."""
        if self._parts() == other._parts():
            return True  # nearly every table, and asked cheaply
        return self.column_order == other.column_order and self.elements() == other.elements()

    def _parts(self) -> tuple[object, ...]:
        options = tuple(option for option in self.options if option.name not in NOT_COMPARED)
        return (
            *(self.columns, self.indexes, self.foreign_keys, self.checks),
            *(options, self.partitioning, self.collation),
        )


@dataclass(frozen=True, slots=True)
class OpaqueTable:
    """A table (or sequence) we do not understand well enough to change: its text and the reason why."""

    name: str
    text: str
    reason: str = field(compare=False)
    sequence: bool = False


class CodeKind(StrEnum):
    """What else lives in a schema besides tables."""

    VIEW = "VIEW"
    TRIGGER = "TRIGGER"
    FUNCTION = "FUNCTION"
    PROCEDURE = "PROCEDURE"
    PACKAGE = "PACKAGE"
    PACKAGE_BODY = "PACKAGE BODY"
    EVENT = "EVENT"


@dataclass(frozen=True, slots=True)
class Code:
    """A view, trigger, routine or event: its CREATE text without the definer.

    `collation_connection` is the one it was made under. `table` is a trigger's table; `time_zone` the one in
    which an event's schedule is to be read, `enabled` whether it runs (its text never says so). Whose it is,
    under which collation it was made and whether it runs do not count in comparisons: a clone cannot keep
    them.
    """

    kind: CodeKind
    name: str
    text: str
    sql_mode: str = ""
    definer: str = field(default="", compare=False)
    collation_connection: str = field(default="", compare=False)
    table: str = ""
    time_zone: str = field(default="", compare=False)
    enabled: bool = field(default=True, compare=False)


@dataclass(frozen=True, slots=True)
class Schema:
    """All of one database's definitions, as read from one server."""

    flavor: Flavor
    version: str
    collation: str
    tables: Mapping[str, Table] = field(default_factory=dict)
    opaque: Mapping[str, OpaqueTable] = field(default_factory=dict)
    code: tuple[Code, ...] = ()

    def same_as(self, other: Schema) -> bool:
        """Whether both have the same tables in all but spelling; views, triggers, routines do not count."""
        return (
            self.tables.keys() == other.tables.keys()
            and self.opaque == other.opaque
            and all(table.same_as(other.tables[name]) for name, table in self.tables.items())
        )


def require_same_flavor(schemas: Iterable[Schema]) -> None:
    """Raise SchemaError when schemas of different flavours are to be compared."""
    if len({schema.flavor for schema in schemas}) > 1:
        raise SchemaError(
            "schemas of MySQL and MariaDB cannot be compared",
            "Use a branch on the same kind of server as production.",
        )
