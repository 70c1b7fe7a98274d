"""I merge one table that two sides have changed since their common base."""

from __future__ import annotations

from dataclasses import dataclass, replace

from migrator.schema.changes import character_set_of
from migrator.schema.column_order import ColumnOrder, Ordered, merge_order
from migrator.schema.conflicts import ORDER, Conflict, other_side
from migrator.schema.describe import describe, element_name, index_element, names_of
from migrator.schema.model import (
    Check,
    Column,
    Element,
    ElementKey,
    ForeignKey,
    Index,
    Option,
    Table,
)


@dataclass(frozen=True, slots=True)
class MergedTable:
    """Their table with our changes; where they conflict, it has theirs. None is no table."""

    table: Table | None
    conflicts: tuple[Conflict, ...] = ()
    notes: tuple[str, ...] = ()


def merge_tables(
    base: Table, ours: Table, theirs: Table, column_order: ColumnOrder, against: int | None
) -> MergedTable:
    """Merge the two sides' changes; `against` is the number of the deploy request that is the other side."""
    merger = _TableMerger(base, ours, theirs, column_order, against)
    table = merger.merged()
    return MergedTable(table, tuple(merger.conflicts), tuple(merger.notes))


class _TableMerger:
    """Merges one table that both sides changed."""

    def __init__(
        self, base: Table, ours: Table, theirs: Table, column_order: ColumnOrder, against: int | None
    ) -> None:
        self.base, self.ours, self.theirs = base, ours, theirs
        self.policy, self.against = column_order, against
        self.them = other_side(against)
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
                self.element_conflict(key)
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

    def element_conflict(self, key: ElementKey) -> None:
        mine, other = describe(self.ours, key), describe(self.theirs, key)
        name = element_name(key)
        if describe(self.base, key) is None:
            reason = f"the branch and {self.them} each added {name}, and the two differ"
        else:
            verbs = ["dropped" if side is None else "changed" for side in (mine, other)]
            reason = f"the branch {verbs[0]} {name}, and {self.them} {verbs[1]} it since"
        names = dict.fromkeys(n for table in (self.ours, self.theirs) for n in names_of(table, key))
        self.conflict(name, mine, other, reason, key[0], tuple(names))

    def conflict(
        self,
        element: str,
        ours: str | None,
        theirs: str | None,
        reason: str,
        kind: Element | None = None,
        names: tuple[str, ...] = (),
    ) -> None:
        self.conflicts.append(
            Conflict(self.theirs.name, element, ours, theirs, reason, self.against, kind, names)
        )

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
                    self.conflict("default collation", mine, other, reason, Element.COLLATION)

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

    def column_order(self) -> tuple[str, ...]:
        """Return their order, with our new and moved columns at their places."""
        alive = {
            str(name)
            for (kind, name), source in self.source.items()
            if kind is Element.COLUMN and source.column(str(name)) is not None
        }
        base, ours, theirs = self.base.column_order, self.ours.column_order, self.theirs.column_order
        found = merge_order(base, ours, theirs, alive)
        if found.torn:
            reason = f"the branch and {self.them} both moved columns, to different places"
            self.conflict(ORDER, ", ".join(ours), ", ".join(theirs), reason)
        if self.policy is ColumnOrder.STRICT:
            self.strict_order(found)
        else:
            for key, passed in found.passed:
                self.notes.append(
                    f"table {self.theirs.name!r}: column {key!r} will come after "
                    f"{', '.join(map(repr, passed))}, which {self.them} has gained at the same place since; "
                    f"the order will be {', '.join(found.columns)}"
                )
        return found.columns

    def strict_order(self, found: Ordered) -> None:
        for ours, theirs in found.clashes:
            reason = (
                f"the branch put column {ours!r} where {self.them} has put column {theirs!r}, and the order "
                "of columns is strict"
            )
            self.conflict(ORDER, ours, theirs, reason, names=(ours, theirs))
