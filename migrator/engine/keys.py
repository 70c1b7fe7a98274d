"""I am iteration keys that Python itself can order and write as SQL literals exactly as the server would."""

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
# keys of one table can be compared and hashed.
Key = Any


class KeyKind(StrEnum):
    """The families of column types whose order Python shares with the server."""

    INTEGER = "integer"
    DECIMAL = "decimal"
    TEMPORAL = "temporal"
    BINARY = "binary"


_INTEGERS = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint", "year"})
_TEMPORALS = frozenset({"date", "datetime", "timestamp"})
_BINARIES = frozenset({"binary", "varbinary"})


@dataclass(frozen=True, slots=True)
class KeyColumn:
    """One column of a key; `length` is that of BINARY(n), 0 otherwise."""

    name: str
    kind: KeyKind
    data_type: str
    unsigned: bool = False
    length: int = 0

    @property
    def quoted(self) -> str:
        """The column's name for SQL text."""
        return quote_name(self.name)


def kind_of(data_type: str) -> KeyKind | None:
    """Say which family a type of information_schema belongs to, None when Python cannot order its values.

    Everything with a collation compares by rules we do not have; ENUM and SET order by position but compare
    as text; FLOAT and DOUBLE have no exact literal.
    """
    if data_type in _INTEGERS:
        return KeyKind.INTEGER
    if data_type == "decimal":
        return KeyKind.DECIMAL
    if data_type in _TEMPORALS:
        return KeyKind.TEMPORAL
    if data_type in _BINARIES:
        return KeyKind.BINARY
    return None


def key_column(name: str, data_type: str, column_type: str) -> KeyColumn | None:
    """Describe a column by information_schema's DATA_TYPE and COLUMN_TYPE, None when it cannot be a key."""
    data_type, column_type = data_type.lower(), column_type.lower()
    kind = kind_of(data_type)
    if kind is None:
        return None
    number = re.search(r"\((\d+)\)", column_type)
    size = int(number.group(1)) if number else 0
    return KeyColumn(
        name=name,
        kind=kind,
        data_type=data_type,
        unsigned="unsigned" in column_type or data_type == "year",
        length=(size or 1) if data_type == "binary" else 0,
    )


def _literal(kind: KeyKind, value: Any) -> str:
    if kind is KeyKind.BINARY:
        return f"x'{value.hex()}'"
    if kind is KeyKind.TEMPORAL:
        return f"'{value}'"
    if kind is KeyKind.DECIMAL:
        return format(value, "f")
    return str(value)


def _from_server(kind: KeyKind, value: Any) -> Any:
    if kind is KeyKind.INTEGER:
        return int(value)
    text = value.decode("ascii") if isinstance(value, bytes) else str(value)
    if kind is KeyKind.DECIMAL:
        return Decimal(text)
    if kind is KeyKind.BINARY:
        return bytes.fromhex(text)
    return text


@dataclass(frozen=True, slots=True)
class KeySpec:
    """A table's iteration key: unique, not null, and of types whose order Python knows."""

    columns: tuple[KeyColumn, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the key's columns."""
        return tuple(column.name for column in self.columns)

    def select_list(self, table: str) -> str:
        """Return expressions for a SELECT whose rows `from_row` turns into keys; `table` is quoted SQL."""
        parts = []
        for column in self.columns:
            reference = f"{table}.{column.quoted}"
            if column.kind is KeyKind.BINARY:
                parts.append(f"HEX({reference})")
            elif column.kind is KeyKind.INTEGER and column.data_type != "year":
                parts.append(reference)
            else:
                parts.append(f"CAST({reference} AS CHAR)")
        return ", ".join(parts)

    def order_list(self, table: str) -> str:
        """Return the ORDER BY list in key order."""
        return ", ".join(f"{table}.{column.quoted}" for column in self.columns)

    def from_row(self, row: Sequence[Any]) -> Key:
        """Make a key of a row selected with `select_list`."""
        if len(self.columns) == 1:
            return _from_server(self.columns[0].kind, row[0])
        return tuple(
            _from_server(column.kind, value) for column, value in zip(self.columns, row, strict=True)
        )

    def parts(self, key: Key) -> tuple[Any, ...]:
        """Return the key's values, one for each column."""
        return (key,) if len(self.columns) == 1 else key

    def literals(self, key: Key) -> tuple[str, ...]:
        """Return the key's values as SQL literals."""
        return tuple(
            _literal(column.kind, value) for column, value in zip(self.columns, self.parts(key), strict=True)
        )

    def text(self, key: Key) -> str:
        """Write the key for people: `id=7` or `(a, b)=(1, x'00')`."""
        literals = self.literals(key)
        if len(literals) == 1:
            return f"{self.columns[0].name}={literals[0]}"
        return f"({', '.join(self.names)})=({', '.join(literals)})"

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
        """Return the condition that a row of `table` has one of the keys; both servers make ranges of it."""
        references = ", ".join(f"{table}.{column.quoted}" for column in self.columns)
        if len(self.columns) == 1:
            kind = self.columns[0].kind
            return f"{references} IN ({', '.join(_literal(kind, key) for key in keys)})"
        if len(keys) == 1:
            # MariaDB makes no range of a list of one in DELETE and UPDATE: it would read the whole table.
            return f"({' AND '.join(self._same(table, keys[0]))})"
        rows = (", ".join(self.literals(key)) for key in keys)
        return f"({references}) IN (({'), ('.join(rows)}))"

    def _same(self, table: str, key: Key) -> list[str]:
        return [
            f"{table}.{column.quoted} = {value}"
            for column, value in zip(self.columns, self.literals(key), strict=True)
        ]

    def equals(self, left: str, right: str) -> str:
        """Return the condition that rows of two tables have the same key."""
        return " AND ".join(f"{left}.{c.quoted} = {right}.{c.quoted}" for c in self.columns)

    def within(self, table: str, low: Key | None, high: Key | None) -> str:
        """Return the condition that a row's key is in (low, high]; None is without bound."""
        conditions = []
        if low is not None:
            conditions.append(self._beyond(table, self.literals(low), ">", ">"))
        if high is not None:
            conditions.append(self._beyond(table, self.literals(high), "<", "<="))
        return " AND ".join(conditions) if conditions else "TRUE"

    def _beyond(self, table: str, literals: Sequence[str], strict: str, last: str) -> str:
        references = [f"{table}.{column.quoted}" for column in self.columns]
        if len(references) == 1:
            return f"{references[0]} {last} {literals[0]}"
        alternatives = []
        for n, reference in enumerate(references):
            same = [f"{r} = {v}" for r, v in zip(references[:n], literals[:n], strict=True)]
            operator = last if n == len(references) - 1 else strict
            alternatives.append("(" + " AND ".join([*same, f"{reference} {operator} {literals[n]}"]) + ")")
        # The bound on the first column alone gives every optimizer a range to start from.
        bound = f"{references[0]} {strict}= {literals[0]}"
        return f"({bound} AND ({' OR '.join(alternatives)}))"
