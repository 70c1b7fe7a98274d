"""I reconcile base, branch and production, or name the conflict.

Elements that only one side changed are taken from that side; what both changed alike is no change any more;
what both changed differently is a conflict. Whether the result is valid, and the same in both orders, is not
decided here but by a server (`check`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

from migrator.schema.alter import longest_increasing
from migrator.schema.changes import character_set_of
from migrator.schema.model import (
    Check,
    Column,
    Element,
    ElementKey,
    ForeignKey,
    Index,
    IndexKind,
    Option,
    Schema,
    Table,
)
from migrator.schema.render import check_text, column_definition, foreign_key_text, index_text


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two changes that do not go together: what the branch has (`ours`) and production has now (`theirs`).

    `element` says what part of the table it is about, in words. A side is None where it has nothing there.
    """

    table: str
    element: str
    ours: str | None
    theirs: str | None
    reason: str

    def __str__(self) -> str:
        ours, theirs = self.ours or "nothing", self.theirs or "nothing"
        return f"table {self.table!r}: {self.reason} (branch: {ours}; production: {theirs})"


@dataclass(frozen=True, slots=True)
class Merged:
    """What production should become; `notes` say what the author of the branch may not expect."""

    target: Schema
    conflicts: tuple[Conflict, ...] = ()
    notes: tuple[str, ...] = ()


def merge(base: Schema, branch: Schema, production: Schema) -> Merged:
    """Return production with the branch's changes since its base, and the conflicts if there are any."""
    tables: dict[str, Table] = {}
    conflicts: list[Conflict] = []
    notes: list[str] = []
    for name in sorted({*base.tables, *branch.tables, *production.tables}):
        old, ours, theirs = base.tables.get(name), branch.tables.get(name), production.tables.get(name)
        if name in base.opaque or name in branch.opaque:
            kept = theirs  # nothing we could carry over; the difference is told as unsupported
        elif _same(old, ours) or _same(ours, theirs):
            kept = theirs
        elif name in production.opaque:
            kept = None
            reason = f"production's table is one we cannot change: {production.opaque[name].reason}"
            conflicts.append(Conflict(name, "table", _shown(ours), production.opaque[name].text, reason))
        elif _same(old, theirs):
            kept = ours
        elif old is not None and ours is not None and theirs is not None:
            merger = _TableMerger(old, ours, theirs)
            kept = merger.merged()
            conflicts += merger.conflicts
            notes += merger.notes
        else:
            kept = theirs
            conflicts.append(Conflict(name, "table", _shown(ours), _shown(theirs), _whole_table(old, ours)))
        if kept is not None:
            tables[name] = kept
    return Merged(replace(production, tables=tables), tuple(conflicts), tuple(notes))


def _same(one: Table | None, other: Table | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.same_as(other)


def _shown(table: Table | None) -> str | None:
    return None if table is None else "\n".join(column_definition(table, column) for column in table.columns)


def _whole_table(old: Table | None, ours: Table | None) -> str:
    if old is None:
        return "the branch and production each created a table of this name, and they differ"
    if ours is None:
        return "the branch dropped this table, and production changed it since"
    return "the branch changed this table, and production dropped it since"


class _TableMerger:
    """Merges one table that both sides changed."""

    def __init__(self, base: Table, ours: Table, theirs: Table) -> None:
        self.base, self.ours, self.theirs = base, ours, theirs
        self.conflicts: list[Conflict] = []
        self.notes: list[str] = []
        # For each element of the result, the table whose text of it is taken.
        self.source: dict[ElementKey, Table] = {}

    def merged(self) -> Table:
        old, ours, theirs = self.base.elements(), self.ours.elements(), self.theirs.elements()
        for key in dict.fromkeys([*theirs, *ours, *old]):
            before, mine, other = old.get(key), ours.get(key), theirs.get(key)
            if mine in (before, other):
                self.source[key] = self.theirs
            elif other == before:
                self.source[key] = self.ours
            else:
                self.source[key] = self.theirs
                self.conflict(key)
        self.default_collation_conflicts()
        collation = self.source[Element.COLLATION, ""].collation
        defaults = tuple(
            option
            for option in self.source[Element.COLLATION, ""].options
            if option.name in ("DEFAULT CHARSET", "COLLATE")
        )
        order = self.column_order()
        return replace(
            self.theirs,
            columns=tuple(self.column(key, collation) for key in order),
            indexes=self.indexes(),
            foreign_keys=self.foreign_keys(),
            checks=self.checks(),
            options=self.options(defaults),
            partitioning=self.source.get((Element.PARTITIONING, ""), self.theirs).partitioning,
            collation=collation,
        )

    def conflict(self, key: ElementKey) -> None:
        mine, other = describe(self.ours, key), describe(self.theirs, key)
        name = element_name(key)
        if describe(self.base, key) is None:
            reason = f"the branch and production each added {name}, and the two differ"
        else:
            verbs = ["dropped" if side is None else "changed" for side in (mine, other)]
            reason = f"the branch {verbs[0]} {name}, and production {verbs[1]} it since"
        self.conflicts.append(Conflict(self.theirs.name, name, mine, other, reason))

    def default_collation_conflicts(self) -> None:
        """Conflict when one side changes the default collation, the other adds a column that follows it."""
        if self.ours.collation == self.theirs.collation:
            return
        for setter, adder in ((self.ours, self.theirs), (self.theirs, self.ours)):
            if setter.collation == self.base.collation:
                continue
            for column in adder.columns:
                follows = (
                    column.collation is not None and column.character_set is None and column.collate is None
                )
                if follows and self.base.column(column.name) is None and setter.column(column.name) is None:
                    reason = (
                        f"one side changed the table's default collation to {setter.collation}, the other "
                        f"added column {column.name!r}, which follows the default"
                    )
                    mine, other = self.ours.collation, self.theirs.collation
                    self.conflicts.append(
                        Conflict(self.theirs.name, "default collation", mine, other, reason)
                    )

    def column(self, key: str, collation: str | None) -> Column:
        source = self.source[Element.COLUMN, key]
        column = source.column(key)
        assert column is not None
        if column.collation is None or source.collation == collation or column.character_set is not None:
            return column
        # It followed a default that the result does not have.
        return replace(column, character_set=character_set_of(column.collation), collate=column.collation)

    def indexes(self) -> tuple[Index, ...]:
        sides = (self.theirs, self.ours)
        return tuple(i for side in sides for i in side.indexes if self.source[index_element(i)] is side)

    def foreign_keys(self) -> tuple[ForeignKey, ...]:
        return tuple(
            key
            for side in (self.theirs, self.ours)
            for key in side.foreign_keys
            if self.source[Element.FOREIGN_KEY, key.meaning] is side
        )

    def checks(self) -> tuple[Check, ...]:
        return tuple(
            check
            for side in (self.theirs, self.ours)
            for check in side.checks
            if self.source[Element.CHECK, check.expression] is side
        )

    def options(self, defaults: tuple[Option, ...]) -> tuple[Option, ...]:
        found = [option for option in self.theirs.options if option.name == "AUTO_INCREMENT"]
        for (kind, name), source in self.source.items():
            if kind is Element.OPTION:
                found += [option for option in source.options if option.name == name]
        engine = [option for option in found if option.name == "ENGINE"]
        rest = [option for option in found if option.name != "ENGINE"]
        return (*engine, *defaults, *rest)

    def column_order(self) -> list[str]:
        """Return production's order, with the branch's new and moved columns at their places."""
        base, ours, theirs = self.base.column_order, self.ours.column_order, self.theirs.column_order
        alive = {
            str(name)
            for (kind, name), source in self.source.items()
            if kind is Element.COLUMN and source.column(str(name)) is not None
        }
        moved = self.moved_columns() & alive
        order = [key for key in theirs if key in alive and key not in moved]
        for number, key in enumerate(ours):
            if key not in alive or key in order:
                continue
            previous = next((k for k in reversed(ours[:number]) if k in order), None)
            start = place = 0 if previous is None else order.index(previous) + 1
            while place < len(order) and order[place] not in base and order[place] not in ours:
                place += 1
            if place > start:
                passed = ", ".join(repr(k) for k in order[start:place])
                self.notes.append(
                    f"table {self.theirs.name!r}: column {key!r} will come after {passed}, "
                    "which production has gained at the same place since"
                )
            order.insert(place, key)
        return order

    def moved_columns(self) -> set[str]:
        """Return the columns the branch moved, if production has not moved them to the same places."""
        base, ours, theirs = self.base.column_order, self.ours.column_order, self.theirs.column_order
        kept = [key for key in base if key in ours and key in theirs]
        our_order = [key for key in ours if key in kept]
        their_order = [key for key in theirs if key in kept]
        if our_order in (kept, their_order):
            return set()
        if their_order != kept:
            reason = "the branch and production both moved columns, to different places"
            conflict = Conflict(self.theirs.name, "column order", ", ".join(ours), ", ".join(theirs), reason)
            self.conflicts.append(conflict)
        staying = longest_increasing([kept.index(key) for key in our_order])
        return {key for key in our_order if kept.index(key) not in staying}


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
