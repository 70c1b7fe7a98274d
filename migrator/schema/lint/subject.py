"""I am what rules look at: a schema before and after a change, and what is known of production."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from conf.settings import LintSettings
from migrator.schema.delta import Delta, delta
from migrator.schema.lint.facts import Facts
from migrator.schema.model import Code, CodeKind, Schema, Table
from migrator.schema.plan import Operation, connected
from migrator.schema.renames import NONE, Renames


@dataclass(frozen=True, slots=True)
class TableChange:
    """A table that is there before and after, and not the same."""

    before: Table
    after: Table
    delta: Delta

    @property
    def name(self) -> str:
        """The table's name after the change."""
        return self.after.name

    @property
    def place(self) -> str:
        """The table's name on production now."""
        return self.before.name


@dataclass(frozen=True)
class Subject:
    """What is to be looked at.

    Both schemas are whole: production as it is and as it would be, or twice the same when only a schema is
    looked at. Unless `whole`, only tables are looked at that the operations touch, and their neighbours.
    Whether foreign keys are allowed, and for how long a query counts as recent, are settings of the database.
    """

    before: Schema
    after: Schema
    operations: tuple[Operation, ...] = ()
    facts: Facts = field(default_factory=Facts)
    settings: LintSettings = field(default_factory=LintSettings)
    allow_foreign_keys: bool = True
    recently_used_s: float = 7 * 86_400.0
    renames: Renames = NONE
    whole: bool = True

    @cached_property
    def tables(self) -> tuple[Table, ...]:
        """The tables to look at, as they are after the change, by name."""
        names = self.after.tables.keys() if self.whole else self.after.tables.keys() & self._near
        return tuple(self.after.tables[name] for name in sorted(names))

    @cached_property
    def _near(self) -> frozenset[str]:
        """The names of tables that are touched, and of those that foreign keys connect with them."""
        return connected(self.touched, (self.before, self.after))

    @cached_property
    def changes(self) -> tuple[TableChange, ...]:
        """The tables that are changed, by name."""
        return tuple(self._changes())

    def _changes(self) -> Iterator[TableChange]:
        former = {new: old for old, new in self.renames.tables.items()}
        named = {operation.table for operation in self.operations} or self.after.tables.keys()
        for name in sorted(named & self.after.tables.keys()):
            table = self.after.tables[name]
            old = self.before.tables.get(former.get(table.name, table.name))
            if old is not None and old is not table and not old.same_as(table):
                yield TableChange(old, table, delta(old, table, self.renames.columns.get(old.name)))

    @cached_property
    def created(self) -> tuple[Table, ...]:
        """The tables that are new."""
        known = {*self.before.tables, *self.renames.tables.values()}
        return tuple(table for name, table in sorted(self.after.tables.items()) if name not in known)

    @cached_property
    def dropped(self) -> tuple[Table, ...]:
        """The tables that go, those with a new name aside."""
        gone = self.before.tables.keys() - self.after.tables.keys() - self.after.opaque.keys()
        return tuple(self.before.tables[name] for name in sorted(gone - self.renames.tables.keys()))

    @cached_property
    def touched(self) -> frozenset[str]:
        """The names of all that is created, changed or dropped: tables and everything else."""
        names = {change.name for change in self.changes}
        names |= {table.name for table in (*self.created, *self.dropped)}
        names |= {operation.table for operation in self.operations}
        names |= {*self.renames.tables, *self.renames.tables.values()}
        different = {*self.before.code} ^ {*self.after.code}
        names |= {code.name for code in different}
        for name in {*self.before.opaque, *self.after.opaque}:
            if self.before.opaque.get(name) != self.after.opaque.get(name):
                names.add(name)
        return frozenset(names)

    def code(self, *kinds: CodeKind) -> tuple[Code, ...]:
        """Return the views, triggers and so on of these kinds after the change, by name."""
        return tuple(
            sorted((code for code in self.after.code if code.kind in kinds), key=lambda code: code.name)
        )
