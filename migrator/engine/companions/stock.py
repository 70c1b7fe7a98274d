"""I take stock of what goes with a table, before the copy, and make the companions of a swap out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from migrator.engine.companions.companions import Companion, Names
from migrator.engine.companions.foreign_keys import ForeignKeys
from migrator.engine.companions.triggers import (
    Trigger,
    TriggerPlan,
    Triggers,
    coming_triggers,
    read_triggers,
)
from migrator.engine.ground.definers import MIGRATING, Definers
from migrator.engine.table.reference import Reference, Table, read_children, read_references, references_in
from migrator.errors import Refused
from router.database import Connection


@dataclass(frozen=True, slots=True)
class Stock:
    """What goes with a table: its triggers, its foreign keys before and after, those of others to it.

    `coming` are the triggers that it will have, None when they stay as they are.
    """

    triggers: tuple[Trigger, ...] = ()
    coming: tuple[Trigger, ...] | None = None
    before: tuple[Reference, ...] = ()
    after: tuple[Reference, ...] = ()
    children: tuple[Reference, ...] = ()

    @property
    def triggers_after(self) -> tuple[Trigger, ...]:
        """The triggers that the table will have."""
        return self.triggers if self.coming is None else self.coming


async def take_stock(
    link: Connection,
    schema: str,
    table: str,
    target_sql: str,
    plan: TriggerPlan | None = None,
    definers: Definers = MIGRATING,
) -> str:
    """Return what goes with a table, for the record's `companions`; raises Refused for what cannot go.

    With a `plan` its triggers change with it; those belong to whom `definers` say.
    """
    there = schema, table
    triggers = await read_triggers(link, schema, table)
    stock = Stock(
        triggers=triggers,
        coming=None if plan is None else coming_triggers(plan, triggers, table, definers),
        before=tuple(await read_references(link, there)),
        after=tuple(references_in(target_sql, there)),
        children=tuple(await read_children(link, there)),
    )
    changing = [each for each in (*stock.before, *stock.after) if each.changes_rows]
    if changing and not await _logs_cascades(link):
        each = changing[0]
        raise Refused(
            f"foreign key {each.name!r} changes rows of {schema}.{table} when rows of {each.parent[1]!r} "
            f"change (ON DELETE {each.on_delete or 'NO ACTION'}, ON UPDATE {each.on_update or 'NO ACTION'}), "
            "and this server does not log such changes",
            hint="replace it by one without CASCADE or SET NULL for the time of the change, or use a server "
            "that logs them (MySQL 9.6 and newer with innodb_native_foreign_keys=OFF)",
            code="FK_CASCADE",
        )
    return msgspec.json.encode(stock).decode()


def stock_of(text: str | None) -> Stock:
    """Return what a record keeps in `companions`."""
    return msgspec.json.decode(text, type=Stock) if text else Stock()


def related(tables: Mapping[Table, str | None]) -> bool:
    """Whether one of several tables refers to another; to each belongs what `take_stock` found."""
    for table, text in tables.items():
        stock = stock_of(text)
        others = {each.parent for each in (*stock.before, *stock.after)} | {
            each.table for each in stock.children
        }
        if others & (tables.keys() - {table}):
            return True
    return False


def companions_for(operation: str, names: Names, stock: str | None, *, forward: bool) -> Sequence[Companion]:
    """Return what goes with a table in one direction; `stock` is what `take_stock` found before the copy."""
    found = stock_of(stock)
    companions: list[Companion] = []
    if found.before or found.after or found.children:
        leaving, coming = (found.before, found.after) if forward else (found.after, found.before)
        companions.append(ForeignKeys(operation, names, leaving, coming, found.children, forward=forward))
    if found.triggers or found.triggers_after:
        old, new = found.triggers, found.triggers_after
        companions.append(Triggers(operation, names, *((old, new) if forward else (new, old))))
    return companions


async def _logs_cascades(link: Connection) -> bool:
    """Whether rows that change because of a foreign key are in the binary log."""
    rows = await link.fetch_all("SHOW GLOBAL VARIABLES LIKE 'innodb_native_foreign_keys'")
    return bool(rows) and str(rows[0][1]).upper() == "OFF"
