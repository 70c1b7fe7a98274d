"""I list what differs between two versions of one table, element by element."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from migrator.schema.longest import longest_increasing
from migrator.schema.model import Check, Column, Element, ForeignKey, Index, IndexKind, Table
from migrator.schema.renamed import by_key, renamed_columns


@dataclass(frozen=True, slots=True)
class Delta:
    """The differences; pairs are (before, after).

    An index that has only another name is `indexes_renamed`, one that is only hidden or shown
    `indexes_shown`; an index that differs in anything else is both dropped and added. `moved` says that the
    columns on both sides are in another order. `options` names table options.
    """

    columns_added: tuple[Column, ...]
    columns_dropped: tuple[Column, ...]
    columns_changed: tuple[tuple[Column, Column], ...]
    columns_same: tuple[tuple[Column, Column], ...]
    indexes_added: tuple[Index, ...]
    indexes_dropped: tuple[Index, ...]
    indexes_renamed: tuple[tuple[Index, Index], ...]
    indexes_shown: tuple[tuple[Index, Index], ...]
    checks_added: tuple[Check, ...]
    checks_dropped: tuple[Check, ...]
    keys_added: tuple[ForeignKey, ...]
    keys_dropped: tuple[ForeignKey, ...]
    options: tuple[str, ...]
    moved: bool
    collation: bool
    partitioning: bool

    @property
    def kinds(self) -> frozenset[str]:
        """The names of the fields that are not empty, without what is the same."""
        return frozenset(name for name in self.__slots__ if name != "columns_same" and getattr(self, name))


def delta(before: Table, after: Table, renames: Mapping[str, str] | None = None) -> Delta:
    """Compare two versions of a table; `renames` maps former names of columns to new ones.

    Columns of the former version keep their names here; indexes, keys and checks are taken as they are once
    the columns are renamed.
    """
    new_names = by_key(renames or {})
    named = renamed_columns(before, renames) if renames else before
    pairs = [
        (old, new)
        for old in before.columns
        if (new := after.column(new_names.get(old.key, old.name))) is not None
    ]
    met_old = {old.key for old, _ in pairs}
    met_new = {new.key for _, new in pairs}
    order = [after.column_order.index(new.key) for _, new in pairs]
    dropped, added, renamed, shown = _indexes(named, after)
    old_elements, new_elements = named.elements(), after.elements()
    differing = [
        key for key in {**old_elements, **new_elements} if old_elements.get(key) != new_elements.get(key)
    ]
    checks = {key[1] for key in differing if key[0] is Element.CHECK}
    keys = {key[1] for key in differing if key[0] is Element.FOREIGN_KEY}
    return Delta(
        columns_added=tuple(column for column in after.columns if column.key not in met_new),
        columns_dropped=tuple(column for column in before.columns if column.key not in met_old),
        columns_changed=tuple((old, new) for old, new in pairs if old != new),
        columns_same=tuple((old, new) for old, new in pairs if old == new),
        indexes_added=added,
        indexes_dropped=dropped,
        indexes_renamed=renamed,
        indexes_shown=shown,
        checks_added=tuple(check for check in after.checks if check.expression in checks),
        checks_dropped=tuple(check for check in named.checks if check.expression in checks),
        keys_added=tuple(key for key in after.foreign_keys if key.meaning in keys),
        keys_dropped=tuple(key for key in named.foreign_keys if key.meaning in keys),
        options=tuple(str(key[1]) for key in differing if key[0] is Element.OPTION),
        moved=len(longest_increasing(order)) < len(order),
        collation=before.collation != after.collation,
        partitioning=named.partitioning != after.partitioning,
    )


_Indexes = tuple[Index, ...]
_Pairs = tuple[tuple[Index, Index], ...]


def _indexes(before: Table, after: Table) -> tuple[_Indexes, _Indexes, _Pairs, _Pairs]:
    new_by_key = {index.key: index for index in after.indexes}
    old_by_key = {index.key: index for index in before.indexes}
    dropped, shown = [], []
    for index in before.indexes:
        other = new_by_key.get(index.key)
        if other is None or _unnamed(index) != _unnamed(other):
            dropped.append(index)
        elif index.visible != other.visible:
            shown.append((index, other))
    added = [
        index
        for index in after.indexes
        if (other := old_by_key.get(index.key)) is None or _unnamed(index) != _unnamed(other)
    ]
    renamed = []
    for index in list(dropped):
        other = next(
            (new for new in added if _unnamed(new) == _unnamed(index) and new.visible == index.visible), None
        )
        if other is not None and index.kind is not IndexKind.PRIMARY:
            renamed.append((index, other))
            dropped.remove(index)
            added.remove(other)
    return tuple(dropped), tuple(added), tuple(renamed), tuple(shown)


def _unnamed(index: Index) -> Index:
    return replace(index.meaning, name="", visible=True)
