"""I match two tables: the key that finds a row in both, the columns they share, how rows may be written."""

from __future__ import annotations

from dataclasses import dataclass

from migrator.engine.keys import KeyKind, KeySpec
from migrator.engine.shape import Column, Shape, UniqueIndex
from migrator.errors import Refused


@dataclass(frozen=True, slots=True)
class Pair:
    """A source table and the target that is kept equal to it.

    `shared` are the columns that are copied, `kept` those only the target has. `simple` says that the key is
    the target's only unique index: then a row can be written over by INSERT … ON DUPLICATE KEY UPDATE without
    ever meeting another row. `converted` are shared columns whose values may change on the way.
    """

    source: Shape
    target: Shape
    key: KeySpec
    source_index: str
    target_index: str
    shared: tuple[str, ...]
    kept: tuple[str, ...]
    converted: tuple[str, ...]
    simple: bool

    @property
    def positions(self) -> tuple[int, ...]:
        """Where the key's columns are in a row image of the source."""
        return tuple(_found(self.source, name).ordinal for name in self.key.names)

    def reversed(self) -> Pair:
        """Return the pair with the roles exchanged."""
        return match(self.target, self.source, prefer=self.key.names)


def match(source: Shape, target: Shape, *, prefer: tuple[str, ...] = ()) -> Pair:
    """Match two tables or raise Refused with the reason; `prefer` names the key columns to keep using."""
    shared = tuple(
        column.name
        for column in source.columns
        if not column.generated and (other := target.column(column.name)) is not None and not other.generated
    )
    kept = tuple(c.name for c in target.columns if not c.generated and c.name.lower() not in _lower(shared))
    source_index, target_index, key = _choose(source, target, prefer)
    simple = all(_lower(index.columns) == _lower(key.names) and index.plain for index in target.uniques)
    converted = tuple(name for name in shared if _found(source, name).converts_to(_found(target, name)))
    return Pair(
        source, target, key, source_index.name, target_index.name, shared, kept, converted, simple
    )  # fmt: skip


def check_new_columns(pair: Pair) -> None:
    """Refuse a change whose new columns no row that exists can get a value for."""
    for name in pair.kept:
        column = _found(pair.target, name)
        # An ENUM without a default has one all the same: its first value.
        given = column.nullable or column.default is not None or column.data_type == "enum"
        if not given and "auto_increment" not in column.extra.lower():
            raise Refused(
                f"new column {name!r} of {pair.source.name!r} is NOT NULL and has no default: the rows that "
                "are there would have no value for it",
                hint="give it a DEFAULT, or allow NULL, fill it, then make it NOT NULL in another request",
            )


def _choose(
    source: Shape, target: Shape, prefer: tuple[str, ...]
) -> tuple[UniqueIndex, UniqueIndex, KeySpec]:
    candidates: list[tuple[tuple[int, ...], UniqueIndex, UniqueIndex, KeySpec]] = []
    reasons: list[str] = []
    for index in source.uniques:
        reason = _unfit(source, index)
        if reason is None:
            partner = next(
                (
                    other
                    for other in target.uniques
                    if other.plain and _lower(other.columns) == _lower(index.columns)
                ),
                None,
            )
            if partner is None:
                reason = f"{index.name}: the new definition has no unique key on ({', '.join(index.columns)})"
            elif (reason := _changes(source, target, index)) is None:
                columns = tuple(
                    c for name in index.columns if (c := _found(source, name).key_column) is not None
                )
                candidates.append((_rank(index, columns_wanted=prefer), index, partner, KeySpec(columns)))
        if reason is not None:
            reasons.append(reason)
    if not candidates:
        raise Refused(
            f"table {source.name!r} has no key to migrate it by "
            f"({'; '.join(reasons) or 'it has no unique index'})",
            hint="it needs a primary or unique key of NOT NULL integer, DECIMAL, date, time stamp or binary "
            "columns that the change leaves in place; a table with none can get one on the server by "
            "ALTER TABLE … ADD COLUMN id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY",
        )
    _, index, partner, key = min(candidates, key=lambda candidate: candidate[0])
    return index, partner, key


def _rank(index: UniqueIndex, *, columns_wanted: tuple[str, ...]) -> tuple[int, ...]:
    return (_lower(index.columns) != _lower(columns_wanted), index.name != "PRIMARY", len(index.columns))


def _unfit(source: Shape, index: UniqueIndex) -> str | None:
    if not index.plain:
        return f"{index.name}: it covers parts of columns or expressions"
    for name in index.columns:
        column = _found(source, name)
        if column.nullable:
            return f"{index.name}: column {name} may be NULL"
        if column.key_column is None:
            return f"{index.name}: column {name} is {column.column_type}, whose order only the server knows"
    return None


def _changes(source: Shape, target: Shape, index: UniqueIndex) -> str | None:
    for name in index.columns:
        column, other = _found(source, name), target.column(name)
        if other is None or other.key_column is None or column.key_column is None:
            return f"{index.name}: the change makes column {name} something else"
        if other.key_column.kind is not column.key_column.kind:
            return f"{index.name}: the change makes column {name} {other.column_type}"
        if column.key_column.kind is not KeyKind.INTEGER and other.column_type != column.column_type:
            return f"{index.name}: the change makes column {name} {other.column_type}"
    return None


def _found(shape: Shape, name: str) -> Column:
    column = shape.column(name)
    assert column is not None
    return column


def _lower(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name.lower() for name in names)
