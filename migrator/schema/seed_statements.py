"""I am every SQL text of the copy of rows into a new branch.

All but one are run with arguments, so that a % in a name is written twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from migrator.schema.seed import Link, TableCopy, written
from router.database import quote_name

PLACES: Final = 16
"""How many places of a table a sample is taken from, where its key is a number."""
NO_LIMIT: Final = 2**63 - 1
MISSING_ROWS: Final = 500
"""Parents that are looked up at once."""

Statement = tuple[str, list[object]]
"""SQL text and its arguments."""


def select_rows(table: TableCopy, where: Sequence[Statement], limit: int | None) -> Statement:
    """Return the statement that reads rows which fit all conditions, along the key."""
    text = (
        f"SELECT {', '.join(source.expression for source in table.sources) or '1'} FROM {written(table.name)}"
    )
    if where:
        text += " WHERE " + " AND ".join(f"({condition})" for condition, _ in where)
    if table.key:
        text += f" ORDER BY {', '.join(map(written, table.key))}"
    arguments = [value for _, values in where for value in values]
    # No limit is one that nothing reaches: there is always an argument.
    return text + " LIMIT %s", [*arguments, NO_LIMIT if limit is None else limit]


def behind(table: TableCopy, values: Sequence[object]) -> Statement:
    """Return the condition for rows behind these values of a table's key."""
    return _after([written(part) for part in table.key], values)


def within(table: TableCopy, low: int, high: int) -> Statement:
    """Return the condition for rows in a range of the first part of a table's key, both ends included."""
    return f"{written(table.key[0])} BETWEEN %s AND %s", [low, high]


def among(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Statement:
    """Return the condition for rows with one of these values in their columns."""
    shown, arguments = _rows(rows)
    return f"({', '.join(map(written, columns))}) IN ({shown})", arguments


def ends_of(table: TableCopy) -> str:
    """Return the statement that reads the first and the last value of a numeric key; it has no arguments."""
    first = quote_name(table.key[0])
    return f"SELECT MIN({first}), MAX({first}) FROM {quote_name(table.name)}"


def places(low: int, high: int, rows: int) -> list[tuple[int, int, int]]:
    """Divide a range of keys into places to take rows from: (from, to, rows), both ends included."""
    count = max(1, min(PLACES, rows, high - low + 1))
    bounds = [low + (high - low + 1) * number // count for number in range(count + 1)]
    share, extra = divmod(rows, count)
    return [(bounds[number], bounds[number + 1] - 1, share + (number < extra)) for number in range(count)]


def insert_rows(table: TableCopy, rows: Sequence[Sequence[object]]) -> Statement:
    """Return the statement that stores rows."""
    names = ", ".join(written(source.column) for source in table.sources)
    shown, arguments = _rows(rows)
    return f"INSERT INTO {written(table.name)} ({names}) VALUES {shown}", arguments


def missing_parents(link: Link, last: Sequence[object] | None) -> Statement:
    """Return the statement that finds where rows on the branch lead to nothing.

    It goes on behind the values found last: what leads nowhere in the parent either would be found for ever.
    """
    ours = [f"c.{written(name)}" for name in link.columns]
    pairs = zip(link.parent_columns, ours, strict=True)
    join = " AND ".join(f"p.{written(theirs)} = {own}" for theirs, own in pairs)
    where = [*(f"{own} IS NOT NULL" for own in ours), f"p.{written(link.parent_columns[0])} IS NULL"]
    arguments: list[object] = []
    if last is not None:
        condition, arguments = _after(ours, last)
        where.append(f"({condition})")
    return (
        f"SELECT DISTINCT {', '.join(ours)} FROM {written(link.child)} c "
        f"LEFT JOIN {written(link.parent)} p ON {join} "
        f"WHERE {' AND '.join(where)} ORDER BY {', '.join(ours)} LIMIT %s"
    ), [*arguments, MISSING_ROWS]


def _after(columns: Sequence[str], values: Sequence[object]) -> Statement:
    """Comparing the parts one by one lets the server use the index, which comparing rows does not."""
    alternatives: list[str] = []
    arguments: list[object] = []
    for depth in range(len(columns)):
        parts = []
        for at, (name, value) in enumerate(zip(columns[: depth + 1], values, strict=False)):
            shown, given = _given(value)
            parts.append(f"{name} {'>' if at == depth else '='} {shown}")
            arguments += given
        alternatives.append(f"({' AND '.join(parts)})")
    return " OR ".join(alternatives), arguments


def _rows(rows: Sequence[Sequence[object]]) -> Statement:
    shown: list[str] = []
    arguments: list[object] = []
    for row in rows:
        places_of_row = [_given(value) for value in row]
        shown.append(f"({', '.join(text for text, _ in places_of_row)})")
        arguments += [value for _, values in places_of_row for value in values]
    return ", ".join(shown), arguments


def _given(value: object) -> Statement:
    """Return how a value stands in a statement: bytes as themselves, because the driver cannot pass them."""
    return (f"x'{value.hex()}'", []) if isinstance(value, bytes) else ("%s", [value])
