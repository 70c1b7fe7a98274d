"""I turn one table into another: the clauses, and the statements they must be spread over.

Each split names the server rule that forces it (numbers are the servers' errors, seen on MySQL 9.7 and
MariaDB 10.11).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from migrator.schema import changes
from migrator.schema.changes import Change
from migrator.schema.longest import longest_increasing
from migrator.schema.model import (
    Check,
    Column,
    Element,
    ElementKey,
    ForeignKey,
    Index,
    IndexKind,
    Table,
)
from migrator.schema.renamed import names_in, renamed_columns
from router.database import quote_name
from router.model import Flavor

NO_RENAMES: Mapping[str, str] = MappingProxyType({})

# On MySQL a default made of these cannot come with ADD or MODIFY COLUMN (1674): replicas would compute other
# values. It is set afterwards, by a statement that computes nothing.
_NOT_DETERMINISTIC = re.compile(
    r"\b(uuid|uuid_short|rand|random_bytes|sys_guid|sysdate|connection_id|current_user|user|session_user"
    r"|system_user|last_insert_id|row_count|found_rows|nextval|lastval|version)\s*\(",
    re.IGNORECASE,
)

# What MySQL calls the column of a primary key of its own making.
GENERATED_KEY = "my_row_id"

_GEOMETRY = frozenset(("geometry", "point", "linestring", "polygon", "geometrycollection", "geomcollection"))


def alter_table(
    before: Table, after: Table, renames: Mapping[str, str] = NO_RENAMES
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the statements that turn `before` into `after` (of the same name), and what they destroy.

    `renames` maps former names of columns to new ones.
    """
    return _Alteration(before, after, renames).statements()


class _Alteration:
    """Works out one table's changes, kind by kind."""

    def __init__(self, before: Table, after: Table, renames: Mapping[str, str]) -> None:
        # What was there, under the names that columns are to have; `called` are those they have.
        self.before = renamed_columns(before, renames) if renames else before
        self.called = {new.key: old for old, new in zip(before.columns, self.before.columns, strict=True)}
        self.renamed = {new.lower() for new in renames.values()}
        self.after = after
        self.old = self.before.elements()
        self.new = after.elements()
        self.remade = {
            column.key
            for column in after.columns
            if (old := self.before.column(column.name)) is not None
            and (_must_be_remade(after.flavor, old, column) or self.computed_from_renamed(column))
        }

    def statements(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        removed_keys, added_keys = self.foreign_keys()
        drop_checks, alter_checks, add_checks = self.checks()
        drop_indexes, alter_indexes, add_indexes = self.indexes()
        drop_columns, add_columns, defaults = self.columns()
        # One FULLTEXT index per statement (1795).
        fulltext = [index for index in add_indexes if index.kind is IndexKind.FULLTEXT]
        together = [index for index in add_indexes if index not in fulltext[1:]]
        main = [
            *drop_checks,
            *map(changes.drop_index, drop_indexes),
            *drop_columns,
            *add_columns,
            *(changes.add_index(self.after, index) for index in together),
            *alter_indexes,
            *add_checks,
            *alter_checks,
            *self.options(),
        ]
        # MySQL does not partition a table in the statement that takes its generated key away (1235).
        apart = self.partitioning() if self.loses_generated_key() else ""
        # A foreign key goes before anything it stands in the way of (1553, 3776) and before one of the same
        # name comes (1826).
        groups: list[Sequence[Change]] = [
            [changes.drop_foreign_key(key) for key in removed_keys],
            # Options of an engine's own mean nothing to the next one (1911).
            self.engine_resets(),
            main,
            [Change(apart)] if apart else [],
            *([changes.add_index(self.after, index)] for index in fulltext[1:]),
            *([changes.set_default(column)] for column in defaults),
            [changes.add_foreign_key(key) for key in added_keys],
        ]
        statements = []
        for group in groups:
            partitioning = self.partitioning() if group is main and not apart else ""
            if group or partitioning:
                clauses = ", ".join(change.clause for change in group)
                body = " ".join(part for part in (clauses, partitioning) if part)
                statements.append(f"ALTER TABLE {quote_name(self.before.name)} {body}")
        losses = tuple(change.loses for group in groups for change in group if change.loses)
        return tuple(statements), losses

    def differs(self, key: ElementKey) -> bool:
        return self.old.get(key) != self.new.get(key)

    def columns(self) -> tuple[list[Change], list[Change], list[Column]]:
        """Return removals, additions and modifications, and the columns that get their default later."""
        before, after = self.before, self.after
        gone = [c for c in before.columns if after.column(c.name) is None or c.key in self.remade]
        drops = [changes.drop_column(self.called[column.key]) for column in gone]
        old_place = {column.key: number for number, column in enumerate(before.columns) if column not in gone}
        staying = longest_increasing([old_place[c.key] for c in after.columns if c.key in old_place])
        moves = {key for key, number in old_place.items() if number not in staying}
        last_kept = max((n for n, c in enumerate(after.columns) if c.key in old_place), default=-1)
        steps: list[Change] = []
        late: list[Column] = []
        for number, target in enumerate(after.columns):
            place = changes.after(after.columns[number - 1]) if number else changes.FIRST
            column = target
            if self.needs_late_default(target):
                column = replace(target, default=None)
            if column.key not in old_place:
                if number > last_kept >= 0 and not moves:
                    place = ""
                steps.append(changes.add_column(after, column, place))
            elif column.key in moves:
                steps.append(changes.modify_column(after, self.called[column.key], column, place))
            elif before.columns[old_place[column.key]] != target:
                steps.append(changes.modify_column(after, self.called[column.key], column))
            elif column.key in self.renamed:
                steps.append(changes.rename_column(self.called[column.key], column))
                continue
            else:
                continue
            if column is not target:
                late.append(target)
        return drops, steps, late

    def needs_late_default(self, column: Column) -> bool:
        return (
            self.after.flavor is Flavor.MYSQL
            and column.default is not None
            and _NOT_DETERMINISTIC.search(column.default) is not None
        )

    def indexes(self) -> tuple[list[Index], list[Change], list[Index]]:
        """Return what goes, what changes in place, and what comes; in the target's order."""
        drops: list[Index] = []
        shown: list[Change] = []
        adds: list[Index] = []
        for index in self.before.indexes:
            target = self.counterpart(index, self.after)
            if target is None or self.is_remade(index, target):
                drops.append(index)
        for index in self.after.indexes:
            source = self.counterpart(index, self.before)
            if source is None or self.is_remade(source, index):
                adds.append(index)
            elif source.visible != index.visible:
                shown.append(changes.show_index(self.after, index))
        drops.sort(key=lambda index: index.kind is IndexKind.PRIMARY)
        adds.sort(key=lambda index: index.kind is not IndexKind.PRIMARY)
        return drops, shown, adds

    @staticmethod
    def counterpart(index: Index, table: Table) -> Index | None:
        return next((other for other in table.indexes if other.key == index.key), None)

    def is_remade(self, old: Index, new: Index) -> bool:
        same = replace(old.meaning, visible=True) == replace(new.meaning, visible=True)
        computed = any(self.mentions_renamed(part.expression) for part in new.parts)
        return not same or computed or not self.remade.isdisjoint(new.columns)

    def mentions_renamed(self, expression: str | None) -> bool:
        """Whether an expression is about a renamed column: then servers do not let the column be renamed."""
        return bool(self.renamed) and not self.renamed.isdisjoint(names_in(expression))

    def computed_from_renamed(self, column: Column) -> bool:
        return column.generated is not None and self.mentions_renamed(column.generated.expression)

    def checks(self) -> tuple[list[Change], list[Change], list[Change]]:
        """Return removals, switches and additions; checks are told apart by what they say."""
        drops: list[Change] = []
        switches: list[Change] = []
        adds: list[Change] = []
        old_checks, new_checks = _by_expression(self.before), _by_expression(self.after)
        kept_names = {
            check.name.lower()
            for expression, checks in old_checks.items()
            if not self.differs((Element.CHECK, expression)) and not self.mentions_renamed(expression)
            for check in checks
        }
        for expression in dict.fromkeys([*old_checks, *new_checks]):
            old, new = old_checks.get(expression, []), new_checks.get(expression, [])
            about_renamed = self.mentions_renamed(expression)
            if not self.differs((Element.CHECK, expression)) and not about_renamed:
                continue
            if len(old) == len(new) == 1 and not about_renamed:
                switches.append(changes.enforce_check(old[0], enforced=new[0].enforced))
                kept_names.add(old[0].name.lower())
                continue
            drops += [changes.drop_check(self.before, check) for check in old]
            adds += [changes.add_check(check, named=check.name.lower() not in kept_names) for check in new]
        return drops, switches, adds

    def foreign_keys(self) -> tuple[list[ForeignKey], list[ForeignKey]]:
        """Return what goes and what comes; a key also makes way when its columns or its table are rebuilt."""
        rebuilt = self.rebuilt_columns()
        all_make_way = self.differs((Element.OPTION, "ENGINE")) or self.differs((Element.PARTITIONING, ""))
        touched = {
            key.meaning
            for key in (*self.before.foreign_keys, *self.after.foreign_keys)
            if all_make_way
            or self.differs((Element.FOREIGN_KEY, key.meaning))
            or not rebuilt.isdisjoint(name.lower() for name in key.columns)
        }
        removed = [key for key in self.before.foreign_keys if key.meaning in touched]
        added = [key for key in self.after.foreign_keys if key.meaning in touched]
        kept = {key.name.lower() for key in self.before.foreign_keys if key not in removed}
        return removed, [replace(key, name="") if key.name.lower() in kept else key for key in added]

    def rebuilt_columns(self) -> set[str]:
        """Return the columns whose values or names are not what they were."""
        rebuilt = set(self.remade)
        for column in self.before.columns:
            new = self.after.column(column.name)
            if new is None or (column.type, column.collation, column.nullable, column.name) != (
                new.type,
                new.collation,
                new.nullable,
                new.name,
            ):
                rebuilt.add(column.key)
        return rebuilt

    def options(self) -> list[Change]:
        steps = []
        for option in self.after.options:
            if self.differs((Element.OPTION, option.name)):
                steps.append(changes.set_option(option))
        early = self.engine_resets()
        for name in self.options_gone():
            if (reset := changes.reset_option(name)) not in early:
                steps.append(reset)
        if self.after.collation is not None and self.before.collation != self.after.collation:
            steps.append(changes.set_collation(self.after.collation))
        return steps

    def options_gone(self) -> list[str]:
        gone = (
            option.name for option in self.before.options if (Element.OPTION, option.name) not in self.new
        )
        return [name for name in gone if self.differs((Element.OPTION, name))]

    def engine_resets(self) -> list[Change]:
        """Return resets of options that only the former engine knows."""
        if not self.differs((Element.OPTION, "ENGINE")):
            return []
        return [changes.reset_option(name) for name in self.options_gone() if name.startswith("`")]

    def loses_generated_key(self) -> bool:
        key = self.before.primary_key
        return (
            key is not None and key.columns == (GENERATED_KEY,) and self.after.column(GENERATED_KEY) is None
        )

    def partitioning(self) -> str:
        if not self.differs((Element.PARTITIONING, "")):
            return ""
        return changes.set_partitioning(self.after.partitioning).clause


def _must_be_remade(flavor: Flavor, old: Column, new: Column) -> bool:
    """Whether a column can only become the other by removal and addition."""
    before = "BASE" if old.generated is None else "STORED" if old.generated.stored else "VIRTUAL"
    after = "BASE" if new.generated is None else "STORED" if new.generated.stored else "VIRTUAL"
    if before != after and "VIRTUAL" in (before, after):
        return True  # 3106, 1907
    # MariaDB will not try to make a number of a polygon, not even without rows (4078).
    one, other = _family(old), _family(new)
    strict = {"geometry", "inet4", "inet6", "uuid"}
    return (
        flavor is Flavor.MARIADB
        and one != other
        and not strict.isdisjoint((one, other))
        and ("geometry" in (one, other) or "string" not in (one, other))
    )


def _family(column: Column) -> str:
    base = column.type.base
    if base.removeprefix("multi") in _GEOMETRY:
        return "geometry"
    return "string" if base.endswith(("char", "text", "binary", "blob")) else base


def _by_expression(table: Table) -> dict[str, list[Check]]:
    found: dict[str, list[Check]] = {}
    for check in table.checks:
        found.setdefault(check.expression, []).append(check)
    return found
