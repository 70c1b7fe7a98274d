"""I am iteration keys: which types can be parts of one, how they are ordered and written as SQL literals.

There are two classes. Of an *ordered* key Python knows order and equality as exactly as the server does. A
key with a collated text in it belongs to the *server's class*: Python carries its raw bytes and never
compares them. What is equal ('A' and 'a', 'a' and 'a ') or less is decided by the server, in the column's
collation.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from router.database import quote_name

# One key: the value itself for a key of one column, a tuple for more. Values of one column share one type, so
# keys of one table can be sorted and hashed.
Key = Any


class KeyKind(StrEnum):
    """The families of column types whose values can be keys."""

    INTEGER = "integer"
    DECIMAL = "decimal"
    TEMPORAL = "temporal"
    BINARY = "binary"
    TEXT = "text"


_INTEGERS = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint", "year"})
# Stored and ordered by number: the position of a member, the bits of a set.
_NUMBERED = frozenset({"enum", "set", "bit"})
_TEMPORALS = frozenset({"date", "datetime", "timestamp"})
_BINARIES = frozenset({"binary", "varbinary"})
_TEXTS = frozenset({"char", "varchar"})
# No index range is made of "beyond this member" of an ENUM, but of a list of members.
_MEMBERS_LISTED_MAX = 1000
_MEMBER = re.compile(r"'(?:[^']|'')*'")
_CODECS = {
    "utf8mb4": "utf-8",
    "utf8mb3": "utf-8",
    "utf8": "utf-8",
    "latin1": "cp1252",
    "ascii": "ascii",
    "utf16": "utf-16-be",
    "ucs2": "utf-16-be",
    "utf16le": "utf-16-le",
    "utf32": "utf-32-be",
    "gbk": "gbk",
    "gb2312": "gb2312",
    "gb18030": "gb18030",
    "big5": "big5",
    "sjis": "shift_jis",
    "cp1250": "cp1250",
    "cp1251": "cp1251",
    "koi8r": "koi8-r",
    "latin2": "iso8859-2",
}


@dataclass(frozen=True, slots=True)
class KeyColumn:
    """One column of a key; `length` is that of BINARY(n), `members` how many an ENUM has, 0 otherwise.

    Values of a text are bytes in the character set of its *home*: the column's own, except for a target whose
    column has another one than the source's. `home` is then the source's (character set, collation). ENUM and
    SET with another collation than at home are compared by number.
    """

    name: str
    kind: KeyKind
    data_type: str
    unsigned: bool = False
    length: int = 0
    members: int = 0
    charset: str = ""
    collation: str = ""
    home: tuple[str, str] | None = None

    @property
    def quoted(self) -> str:
        """The column's name for SQL text."""
        return quote_name(self.name)

    def literal(self, value: Any) -> str:
        """Write a value as SQL, of the column's own type."""
        match self.kind:
            case KeyKind.BINARY:
                return f"x'{value.hex()}'"
            case KeyKind.TEMPORAL:
                return f"'{value}'"
            case KeyKind.DECIMAL:
                return format(value, "f")
            case KeyKind.INTEGER:
                return str(value)
            case KeyKind.TEXT:
                if self.home is not None and self.home[0] != self.charset:
                    text = f"CONVERT(_{self.home[0]} x'{value.hex()}' USING {self.charset})"
                else:
                    text = f"_{self.charset} x'{value.hex()}'"
                return f"{text} COLLATE {self.collation}"

    def home_literal(self, value: Any) -> str:
        """Write a value as SQL, of the type it has at home."""
        if self.home is None or self.kind is KeyKind.INTEGER:
            return self.literal(value)
        return f"_{self.home[0]} x'{value.hex()}' COLLATE {self.home[1]}"

    def at_home(self, table: str) -> str:
        """Return the column's value as it is compared at home."""
        reference = f"{table}.{self.quoted}"
        if self.home is None:
            return reference
        if self.kind is KeyKind.INTEGER:
            return f"CAST({reference} AS UNSIGNED)"
        charset, collation = self.home
        converted = reference if charset == self.charset else f"CONVERT({reference} USING {charset})"
        return f"{converted} COLLATE {collation}"

    def brought_from(self, table: str, other: KeyColumn) -> str:
        """Return the value of another table's column `other` as it is compared in this one."""
        reference = f"{table}.{other.quoted}"
        if self.kind is KeyKind.INTEGER:
            return f"CAST({reference} AS UNSIGNED)"
        converted = (
            reference if other.charset == self.charset else f"CONVERT({reference} USING {self.charset})"
        )
        return f"{converted} COLLATE {self.collation}"

    def selected(self, table: str) -> str:
        """Return an expression for a SELECT whose value `from_server` understands."""
        reference = f"{table}.{self.quoted}"
        if self.kind is KeyKind.BINARY:
            return f"HEX({reference})"
        if self.kind is KeyKind.TEXT:
            if self.home is not None and self.home[0] != self.charset:
                return f"HEX(CONVERT({reference} USING {self.home[0]}))"
            return f"HEX({reference})"
        if self.data_type in _NUMBERED:
            return f"CAST({reference} AS UNSIGNED)"
        if self.kind is KeyKind.INTEGER and self.data_type != "year":
            return reference
        return f"CAST({reference} AS CHAR)"

    def shown(self, table: str) -> str:
        """Return an expression for the value as people read it, as utf8mb4 text."""
        if self.kind is KeyKind.TEXT:
            return f"CONVERT({table}.{self.quoted} USING utf8mb4) COLLATE utf8mb4_bin"
        return f"CONVERT({self.selected(table)} USING utf8mb4) COLLATE utf8mb4_bin"

    def beyond(self, reference: str, operator: str, value: Any) -> str:
        """Return the condition that the column is beyond a value; `operator` is one of <, <=, >, >=."""
        if self.data_type != "enum" or self.members > _MEMBERS_LISTED_MAX:
            return f"{reference} {operator} {self.literal(value)}"
        inside = {
            "<": range(value),
            "<=": range(value + 1),
            ">": range(value + 1, self.members + 1),
            ">=": range(value, self.members + 1),
        }[operator]
        return f"{reference} IN ({', '.join(map(str, inside))})" if inside else "FALSE"

    def from_server(self, value: Any) -> Any:
        """Make a value of what the server answered to `selected`."""
        if self.kind is KeyKind.INTEGER:
            return int(value)
        text = value.decode("ascii") if isinstance(value, bytes) else str(value)
        if self.kind is KeyKind.DECIMAL:
            return Decimal(text)
        if self.kind in (KeyKind.BINARY, KeyKind.TEXT):
            return bytes.fromhex(text)
        return text

    def text(self, value: Any) -> str:
        """Write a value for people."""
        if self.kind is not KeyKind.TEXT:
            return self.literal(value)
        charset = self.home[0] if self.home is not None else self.charset
        try:
            return f"'{value.decode(_CODECS.get(charset, 'ascii'))}'"
        except UnicodeDecodeError:
            return f"x'{value.hex()}'"


def kind_of(data_type: str) -> KeyKind | None:
    """Say which family a type of information_schema belongs to, None when its values cannot be keys.

    FLOAT and DOUBLE have no exact literal; what is longer than an index has no whole column in one.
    """
    if data_type in _INTEGERS or data_type in _NUMBERED:
        return KeyKind.INTEGER
    if data_type == "decimal":
        return KeyKind.DECIMAL
    if data_type in _TEMPORALS:
        return KeyKind.TEMPORAL
    if data_type in _BINARIES:
        return KeyKind.BINARY
    return KeyKind.TEXT if data_type in _TEXTS else None


def key_column(
    name: str, data_type: str, column_type: str, charset: str | None = None, collation: str | None = None
) -> KeyColumn | None:
    """Describe a column by what information_schema says of it, None when it cannot be a key."""
    data_type, column_type = data_type.lower(), column_type if data_type == "enum" else column_type.lower()
    kind = kind_of(data_type)
    if kind is None:
        return None
    number = re.search(r"\((\d+)\)", column_type) if data_type == "binary" else None
    return KeyColumn(
        name=name,
        kind=kind,
        data_type=data_type,
        unsigned="unsigned" in column_type or data_type == "year" or data_type in _NUMBERED,
        length=(int(number.group(1)) if number else 1) if data_type == "binary" else 0,
        members=len(_MEMBER.findall(column_type)) if data_type == "enum" else 0,
        charset=charset or "",
        collation=collation or "",
    )


@dataclass(frozen=True, slots=True)
class KeySpec:
    """A table's iteration key: whole columns that are not NULL."""

    columns: tuple[KeyColumn, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the key's columns."""
        return tuple(column.name for column in self.columns)

    @property
    def ordered(self) -> bool:
        """Whether Python may compare keys; otherwise only the server may."""
        return all(column.kind is not KeyKind.TEXT for column in self.columns)

    @property
    def at_home(self) -> bool:
        """Whether the table itself orders and compares keys as their home does."""
        return all(column.home is None for column in self.columns)

    def absent(self, table: str) -> str:
        """Return the condition that an outer join found no row of `table`.

        Not IS NULL: both servers let that find the date of zeros in a column that is never NULL.
        """
        return f"{table}.{self.columns[0].quoted} <=> NULL"

    def select_list(self, table: str) -> str:
        """Return expressions for a SELECT whose rows `from_row` turns into keys; `table` is quoted SQL."""
        return ", ".join(column.selected(table) for column in self.columns)

    def shown(self, table: str) -> str:
        """Return an expression for the whole key as people read it."""
        parts = [column.shown(table) for column in self.columns]
        together = ", ', ', ".join(parts)
        return together if len(parts) == 1 else f"CONCAT({together})"

    def order_list(self, table: str) -> str:
        """Return the ORDER BY list in key order."""
        return ", ".join(f"{table}.{column.quoted}" for column in self.columns)

    def from_row(self, row: Sequence[Any]) -> Key:
        """Make a key of a row selected with `select_list`."""
        if len(self.columns) == 1:
            return self.columns[0].from_server(row[0])
        return tuple(column.from_server(value) for column, value in zip(self.columns, row, strict=True))

    def parts(self, key: Key) -> tuple[Any, ...]:
        """Return the key's values, one for each column."""
        return (key,) if len(self.columns) == 1 else key

    def literals(self, key: Key) -> tuple[str, ...]:
        """Return the key's values as SQL literals."""
        return tuple(
            column.literal(value) for column, value in zip(self.columns, self.parts(key), strict=True)
        )

    def text(self, key: Key) -> str:
        """Write the key for people: `id=7` or `(a, b)=(1, x'00')`."""
        texts = [column.text(value) for column, value in zip(self.columns, self.parts(key), strict=True)]
        if len(texts) == 1:
            return f"{self.columns[0].name}={texts[0]}"
        return f"({', '.join(self.names)})=({', '.join(texts)})"

    def dump(self, key: Key | None) -> str | None:
        """Write a key for storage; None stays None."""
        if key is None:
            return None
        values = [value.hex() if isinstance(value, bytes) else str(value) for value in self.parts(key)]
        return json.dumps(values)

    def load(self, text: str | None) -> Key | None:
        """Read back what `dump` wrote."""
        if text is None:
            return None
        return self.from_row(json.loads(text))

    def is_one_of(self, table: str, keys: Sequence[Key]) -> str:
        """Return the condition that a row of `table` has one of the keys; both servers make ranges of it.

        Away from home the index of the table finds candidates, and the home's collation decides.
        """
        own = self._listed([f"{table}.{c.quoted}" for c in self.columns], [self.literals(k) for k in keys])
        if self.at_home:
            return own
        rows = [
            tuple(c.home_literal(value) for c, value in zip(self.columns, self.parts(key), strict=True))
            for key in keys
        ]
        return f"({own} AND {self._listed([c.at_home(table) for c in self.columns], rows)})"

    def _listed(self, references: Sequence[str], rows: Sequence[tuple[str, ...]]) -> str:
        if len(references) == 1:
            return f"{references[0]} IN ({', '.join(row[0] for row in rows)})"
        # MySQL compares an ENUM in a row with texts, so that it never equals a number. MariaDB makes no range
        # of a list of one row in DELETE and UPDATE: it would read the whole table.
        if len(rows) == 1 or any(column.data_type in _NUMBERED for column in self.columns):
            same = (" AND ".join(f"{r} = {v}" for r, v in zip(references, row, strict=True)) for row in rows)
            return f"(({') OR ('.join(same)}))" if len(rows) > 1 else f"({next(same)})"
        return f"({', '.join(references)}) IN (({'), ('.join(', '.join(row) for row in rows)}))"

    def equals(self, left: str, right: str) -> str:
        """Return the condition that rows of two tables with these very columns have the same key."""
        return " AND ".join(f"{c.at_home(left)} = {c.at_home(right)}" for c in self.columns)

    def joins(self, table: str, home: KeySpec, source: str) -> str:
        """Return the condition that a row of `table` has the key of a row of `source`, which is at home.

        Away from home there are two conditions: by the first the index of `table` finds a row for one of the
        source, by the second the source's finds one for one of `table`, and both together are exact.
        """
        conditions = []
        for column, other in zip(self.columns, home.columns, strict=True):
            conditions.append(f"{source}.{other.quoted} = {column.at_home(table)}")
            if column.home is not None:
                conditions.append(f"{table}.{column.quoted} = {column.brought_from(source, other)}")
        return " AND ".join(conditions)

    def within(self, table: str, low: Key | None, high: Key | None) -> str:
        """Return the condition that a row's key is in (low, high]; None is without bound."""
        conditions = []
        if low is not None:
            conditions.append(self._beyond(table, self.parts(low), ">", ">"))
        if high is not None:
            conditions.append(self._beyond(table, self.parts(high), "<", "<="))
        return " AND ".join(conditions) if conditions else "TRUE"

    def _beyond(self, table: str, values: Sequence[Any], strict: str, last: str) -> str:
        references = [f"{table}.{column.quoted}" for column in self.columns]
        if len(references) == 1:
            return self.columns[0].beyond(references[0], last, values[0])
        literals = [column.literal(value) for column, value in zip(self.columns, values, strict=True)]
        alternatives = []
        for n, (column, reference) in enumerate(zip(self.columns, references, strict=True)):
            same = [f"{r} = {v}" for r, v in zip(references[:n], literals[:n], strict=True)]
            operator = last if n == len(references) - 1 else strict
            alternatives.append(
                "(" + " AND ".join([*same, column.beyond(reference, operator, values[n])]) + ")"
            )
        # The bound on the first column alone gives every optimizer a range to start from.
        bound = self.columns[0].beyond(references[0], f"{strict}=", values[0])
        return f"({bound} AND ({' OR '.join(alternatives)}))"
