"""I match two tables: the key that finds a row in both, the columns they share, how rows may be written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from migrator.engine.table.keys import KeyColumn, KeyKind, KeySpec
from migrator.engine.table.shape import Column, Index, Shape
from migrator.errors import Refused
from router.database import quote_name

# The index that a target gets for the time it is filled and followed, when it has none on the key.
HELPER = "__hg_key"

# Old column name → new; an empty new name says that the column is dropped, whatever the new table has.
Renames = Mapping[str, str]


class Shared(NamedTuple):
    """A column that both tables have, by the name it has in each."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Pair:
    """A source table and the target that is kept equal to it.

    `key` is the source's key, `target_key` are the same columns as the target has them; keys are values of
    the source's. `shared` are the columns that are copied, `kept` those only the target has, `converted`
    shared ones whose values may change on the way. `simple` says that the key is the target's only unique
    index: then a row can be written over by INSERT … ON DUPLICATE KEY UPDATE, which never meets another row,
    and that no other column of the target demands a value of its own.
    `unique` says that the target holds a key once at most. With `helper`, the target has no index to find
    keys by, and is to get one of the name HELPER while it is not in use. `straight` says that the source can
    be walked in the order of the key.
    """

    source: Shape
    target: Shape
    key: KeySpec
    target_key: KeySpec
    source_index: str
    target_index: str
    shared: tuple[Shared, ...]
    kept: tuple[str, ...]
    converted: tuple[Shared, ...]
    simple: bool
    unique: bool
    helper: bool
    straight: bool
    renames: Renames

    @property
    def positions(self) -> tuple[int, ...]:
        """Where the key's columns are in a row image of the source."""
        return tuple(_found(self.source, name).ordinal for name in self.key.names)

    @property
    def sources(self) -> tuple[str, ...]:
        """The shared columns as the source calls them."""
        return tuple(each.source for each in self.shared)

    @property
    def targets(self) -> tuple[str, ...]:
        """The shared columns as the target calls them."""
        return tuple(each.target for each in self.shared)

    @property
    def add_helper(self) -> str:
        """The statement that gives the target its index on the key."""
        columns = ", ".join(column.quoted for column in self.target_key.columns)
        return f"ALTER TABLE {self.target.quoted} ADD INDEX {quote_name(HELPER)} ({columns})"

    @property
    def drop_helper(self) -> str:
        """The statement that takes it away again; it changes nothing but the definition."""
        return f"ALTER TABLE {self.target.quoted} DROP INDEX {quote_name(HELPER)}"

    def reversed(self) -> Pair:
        """Return the pair with the roles exchanged."""
        return match(
            self.target, self.source, prefer=self.target_key.names, renames=inverse(self.renames)
        )  # fmt: skip


def inverse(renames: Renames) -> Renames:
    """Return the names' way back; a name that was not carried over is not carried back either."""
    return {(new or old): (old if new else "") for old, new in renames.items()}


def renamed(names: tuple[str, ...], renames: Renames) -> tuple[str, ...]:
    """Return what columns are called in the other table."""
    known = {old.lower(): new for old, new in renames.items()}
    return tuple(known.get(name.lower()) or name for name in names)


def match(
    source: Shape, target: Shape, *, prefer: tuple[str, ...] = (), renames: Renames | None = None
) -> Pair:
    """Match two tables or raise Refused with the reason; `prefer` names the key columns to keep using."""
    renames = dict(renames or {})
    shared = _share(source, target, renames)
    taken = {each.target.lower() for each in shared}
    kept = tuple(c.name for c in target.columns if not c.generated and c.name.lower() not in taken)
    found = _choose(source, target, shared, prefer)
    simple = (
        found.unique
        and found.target_key.at_home
        and not any(_demands(_found(target, name)) for name in kept)
        and all(
            _lower(index.columns) == _lower(found.target_key.names) and index.plain
            for index in target.uniques
        )
    )
    converted = tuple(
        each for each in shared if _found(source, each.source).converts_to(_found(target, each.target))
    )
    return Pair(
        source=source,
        target=target,
        key=found.key,
        target_key=found.target_key,
        source_index=found.index.name,
        target_index=found.access or HELPER,
        straight=found.index.straight,
        shared=shared,
        kept=kept,
        converted=converted,
        simple=simple,
        unique=found.unique,
        helper=found.access in (None, HELPER),
        renames=renames,
    )


def _demands(column: Column) -> bool:
    """Whether no row can be inserted without a value of the column."""
    # An ENUM without a default has one all the same: its first value.
    given = column.nullable or column.default is not None or column.data_type == "enum"
    return not given and "auto_increment" not in column.extra.lower()


def check_new_columns(pair: Pair) -> None:
    """Refuse a change whose new columns no row that exists can get a value for."""
    for name in pair.kept:
        if _demands(_found(pair.target, name)):
            raise Refused(
                f"new column {name!r} of {pair.source.name!r} is NOT NULL and has no default: the rows that "
                "are there would have no value for it",
                hint="give it a DEFAULT, or allow NULL, fill it, then make it NOT NULL in another request",
                code="NOT_NULL_NO_DEFAULT",
            )


def _share(source: Shape, target: Shape, renames: Renames) -> tuple[Shared, ...]:
    """Pair the columns: those renamed first, then those of equal names that no renamed one has taken."""
    known = {old.lower(): new for old, new in renames.items()}
    taken = {new.lower() for new in renames.values()}
    shared = []
    for column in source.columns:
        name = column.name.lower()
        wanted = known.get(name, "" if name in taken else column.name)
        other = target.column(wanted) if wanted else None
        if name in known and wanted and other is None:
            raise Refused(f"column {column.name!r} is to become {wanted!r}, which the new definition has not")
        if other is not None and not column.generated and not other.generated:
            shared.append(Shared(column.name, other.name))
    return tuple(shared)


@dataclass(frozen=True, slots=True)
class _Candidate:
    index: Index
    key: KeySpec
    target_key: KeySpec
    access: str | None
    unique: bool

    def rank(self, prefer: tuple[str, ...]) -> tuple[int, ...]:
        return (
            _lower(self.index.columns) != _lower(prefer),
            self.access is None,
            not self.unique,
            not self.index.straight,
            self.index.name != "PRIMARY",
            not self.key.ordered,
            len(self.index.columns),
        )


def _choose(source: Shape, target: Shape, shared: tuple[Shared, ...], prefer: tuple[str, ...]) -> _Candidate:
    candidates: list[_Candidate] = []
    reasons: list[str] = []
    for index in source.uniques:
        found = _candidate(source, target, shared, index)
        if isinstance(found, str):
            reasons.append(f"{index.name}: {found}")
        else:
            candidates.append(found)
    if not candidates:
        raise Refused(
            f"table {source.name!r} has no key to migrate it by "
            f"({'; '.join(reasons) or 'it has no unique index'})",
            hint="it needs a primary or unique key of whole NOT NULL columns, neither FLOAT nor DOUBLE, that "
            "the change leaves in place; a table with none can get one on the server by "
            "ALTER TABLE … ADD COLUMN id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY",
            code="NO_UNIQUE_KEY",
        )
    return min(candidates, key=lambda candidate: candidate.rank(prefer))


def _candidate(source: Shape, target: Shape, shared: tuple[Shared, ...], index: Index) -> _Candidate | str:
    """Return the index as a key of both tables, or why it cannot be one."""
    if not index.plain:
        return "it covers parts of columns or expressions"
    if not index.usable:
        return "the server does not use it"
    names = {each.source.lower(): each.target for each in shared}
    here: list[KeyColumn] = []
    there: list[KeyColumn] = []
    for name in index.columns:
        column = _found(source, name)
        if column.nullable:
            return f"column {name} may be NULL"
        if column.key_column is None:
            return f"column {name} is {column.column_type}, whose values cannot be told exactly"
        if name.lower() not in names:
            return f"the change drops column {name}"
        other = _found(target, names[name.lower()])
        if other.key_column is None or not _compatible(column, other):
            return f"the change makes column {name} {other.column_type}"
        here.append(column.key_column)
        there.append(_away(column.key_column, other.key_column))
    target_key = KeySpec(tuple(there))
    columns = _lower(target_key.names)
    access = [each for each in target.indexes if each.usable and each.leads(columns)]
    unique = any(
        each.plain
        and set(_lower(each.columns)) <= set(columns)
        and not any(_found(target, name).nullable for name in each.columns)
        for each in target.uniques
    )
    access.sort(key=lambda each: (not each.unique, each.name != "PRIMARY", len(each.columns)))
    return _Candidate(index, KeySpec(tuple(here)), target_key, access[0].name if access else None, unique)


def _compatible(column: Column, other: Column) -> bool:
    """Whether keys keep their identity when the column becomes `other`."""
    a, b = column.key_column, other.key_column
    if a is None or b is None or a.kind is not b.kind:
        return False
    if a.kind is KeyKind.INTEGER:
        if a.data_type in ("enum", "set"):
            shorter, longer = sorted((column.column_type, other.column_type), key=len)
            return a.data_type == b.data_type and longer.startswith(shorter[:-1])
        special = ("enum", "set", "bit", "year")
        return a.data_type == b.data_type or (a.data_type not in special and b.data_type not in special)
    if a.kind is KeyKind.TEXT or a.data_type == b.data_type == "varbinary":
        return True
    return column.column_type == other.column_type


def _away(column: KeyColumn, other: KeyColumn) -> KeyColumn:
    """Return the target's column as one that is given the source's values."""
    if (column.charset, column.collation) == (other.charset, other.collation):
        return other
    return replace(other, home=(column.charset, column.collation))


def _found(shape: Shape, name: str) -> Column:
    column = shape.column(name)
    assert column is not None
    return column


def _lower(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name.lower() for name in names)
