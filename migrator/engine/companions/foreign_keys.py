"""I let foreign keys go over to the table that takes a name: its own, and those of others that refer to it.

A foreign key follows its table through RENAME, on both sides. So under the lock, when both tables have the
same rows, the incoming one and its children get second foreign keys beside the first; after RENAME these are
right, and those of the outgoing table are dropped. Checks are off then: nothing is read, and what is added
holds, because it did for the same rows under the first. At any moment in between every row is checked, some
twice.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Sequence

from migrator.engine.companions.companions import Names
from migrator.engine.ground.failpoints import reach
from migrator.engine.table import statements
from migrator.engine.table.reference import Reference, read_children, read_references
from migrator.engine.table.shadow import suffixed
from migrator.errors import DataConflict, NotNow, SourceChanged
from router.database import Connection, quote_name
from router.errors import ConnectionLost, DatabaseError
from router.model import Flavor

WAITING = "SELECT STATE FROM information_schema.PROCESSLIST WHERE ID = %s"
WAITING_MAX_S = 1.0
# Whoever holds a table for us says nothing for at most so long, and then the server lets go of it.
KEEPER_SETUP = (
    "SET SESSION wait_timeout = 10, SESSION lock_wait_timeout = 3, SESSION foreign_key_checks = 0, "
    "SESSION sql_mode = 'STRICT_ALL_TABLES'",
)
SAMPLES = 5

Table = tuple[str, str]


class ForeignKeys:
    """The foreign keys of one table, and those of others to it, in one swap; see `Companion`.

    `leaving` are those of the table that goes out, `coming` those that the incoming table is to have, both
    under their own names; `children` those of other tables.
    """

    def __init__(
        self,
        operation: str,
        names: Names,
        leaving: Sequence[Reference],
        coming: Sequence[Reference],
        children: Sequence[Reference],
        *,
        forward: bool,
    ) -> None:
        self._names, self._leaving, self._coming = names, leaving, coming
        self._forward = forward
        self._tag = f"/* {statements.tag(operation)} {statements.COMPANION} */"
        self._children = {each.table: each for each in children}
        self._names_of = {(each.table, self._beside(each)): each.name for each in children}
        self._keepers: list[tuple[Connection, Table]] = []
        self._locking: dict[Table, asyncio.Future[int]] = {}

    @property
    def _live(self) -> Table:
        return self._names.schema, self._names.live

    @property
    def _new(self) -> Table:
        return self._names.schema, self._names.incoming

    @property
    def _out(self) -> Table:
        return self._names.schema, self._names.outgoing

    def tables(self) -> Sequence[Table]:
        """The children, and all parents: their rows are what the foreign keys are checked with."""
        parents = [each.parent for each in (*self._leaving, *self._coming)]
        return [table for table in dict.fromkeys((*parents, *self._children)) if table != self._live]

    async def prepare(self, link: Connection) -> None:
        """See that nothing changed, and that no row would be an orphan under what is new."""
        await self._check(link)
        if link.server.flavor is Flavor.MARIADB:
            for table in self.tables():
                self._keepers.append((await Connection.open(link.server, setup=KEEPER_SETUP), table))
        known = {each.meaning for each in self._leaving}
        for each in self._coming:
            if each.meaning in known:
                continue
            try:
                await check_orphans(link, each, self._new)
            except DataConflict as error:
                if not self._forward:
                    raise
                # Written since the check before the copy: nothing is lost by waiting for their correction.
                raise NotNow(str(error)) from error

    async def before_swap(self, lock: Connection) -> None:
        """Give second foreign keys to the incoming table and to the children."""
        await self._check(lock)
        there = {each.name for each in await read_references(lock, self._new)}
        taken = {each.name for each in await read_references(lock, self._live)}
        clauses = [
            self._adding(each, name)
            for each in self._coming
            if (name := each.name if each.name not in taken else self._second_name(each)) not in there
        ]
        await self._alter(lock, self._new, clauses)
        reach("keys-added")
        for child in self._children:
            there_now = await read_references(lock, child)
            await self._add_twins(lock, child, there_now, self._live, self._new)
            reach("child-keys-added")
        if lock.server.flavor is Flavor.MARIADB:
            await self._place_keepers(lock)

    async def after_swap(self, lock: Connection) -> None:
        """Drop the first foreign keys, and give the second ones their names where that holds nobody up."""
        try:
            for table, locking in self._locking.items():
                if table not in self._children:
                    await locking
            await self._drop_all(lock, self._out)
            reach("old-keys-dropped")
            # A child may have the same parents: its keeper waits for them, too.
            await self._dismiss_keepers(but=self._children)
            keepers = {table: keeper for keeper, table in self._keepers}
            for child in self._children:
                if child in keepers:
                    await self._locking[child]
                await self._settle_child(keepers.get(child, lock), child)
            if lock.server.flavor is Flavor.MYSQL:
                await self.finalize(lock)
        finally:
            await self._dismiss_keepers()

    async def abandon(self, link: Connection) -> None:
        """Drop the second foreign keys."""
        await self._dismiss_keepers()
        await self._drop_all(link, self._new)
        for child in self._children:
            drops = [each for each in await read_references(link, child) if each.parent == self._new]
            await self._drop(link, child, drops)

    async def settle(self, link: Connection) -> None:
        """Drop the first foreign keys, and give those of the children their names."""
        await self._dismiss_keepers()
        await self._drop_all(link, self._out)
        reach("old-keys-dropped")
        for child in self._children:
            await self._settle_child(link, child)

    async def finalize(self, link: Connection) -> None:
        """Give the live table's foreign keys their own names: one statement, so none is ever missing."""
        found = await read_references(link, self._live)
        taken = {each.name for each in found}
        by_meaning: dict[Reference, list[Reference]] = {}
        for each in found:
            by_meaning.setdefault(each.meaning, []).append(each)
        drops, adds = [], []
        for wanted in self._coming:
            if wanted.name in taken:
                continue
            for each in by_meaning.get(wanted.meaning, ()):
                if each.name == self._second_name(wanted):
                    drops.append(f"DROP FOREIGN KEY {quote_name(each.name)}")
                    adds.append(f"ADD CONSTRAINT {quote_name(wanted.name)} {wanted.clause(wanted.parent)}")
                    break
        await self._alter(link, self._live, [*drops, *adds])

    async def close(self) -> None:
        """Let go of the tables that are kept from writers."""
        await self._dismiss_keepers()

    def _second_name(self, reference: Reference) -> str:
        """The name while the first is taken; what the server makes of the table's name goes with RENAME."""
        made = reference.made_up_number
        if made is not None:
            return f"{self._names.incoming}_ibfk_{made}"
        return suffixed(reference.name, self._names.mark)

    def _adding(self, reference: Reference, name: str) -> str:
        parent = self._new if reference.parent == self._live else reference.parent
        return f"ADD CONSTRAINT {quote_name(name)} {reference.clause(parent)}"

    async def _check(self, link: Connection) -> None:
        """Raise SourceChanged when the foreign keys are not those that were found before the copy."""
        found = {each.meaning for each in await read_references(link, self._live)}
        children = {each.table for each in await read_children(link, self._live)}
        if found != {each.meaning for each in self._leaving} or not children <= set(self._children):
            raise SourceChanged(
                f"foreign keys of or to {'.'.join(self._live)} changed during the deployment",
                hint="put them back as they were, or cancel this deployment and start a new one",
            )

    def _beside(self, reference: Reference) -> str:
        """The name of a child's second foreign key; the child may have a suffix of its own."""
        return suffixed(reference.name, f"{self._names.mark}p")

    async def _add_twins(
        self, link: Connection, child: Table, there: Sequence[Reference], first: Table, second: Table
    ) -> None:
        """Let a child's foreign keys to the one table have twins to the other, where they have none."""
        twins = {each.shape for each in there if each.parent == second}
        clauses = [
            f"ADD CONSTRAINT {quote_name(self._beside(each))} {each.clause(second)}"
            for each in there
            if each.parent == first and each.shape not in twins
        ]
        await self._alter(link, child, clauses)

    async def _settle_child(self, link: Connection, child: Table) -> None:
        there = await read_references(link, child)
        await self._add_twins(link, child, there, self._out, self._live)
        await self._drop(link, child, [each for each in there if each.parent == self._out])
        reach("child-keys-dropped")
        there = await read_references(link, child)
        names, drops, adds = {each.name for each in there}, [], []
        for each in there:
            mark = f"{self._names.mark}p"
            name = self._names_of.get((child, each.name), each.name.removesuffix(mark))
            if each.parent == self._live and each.name.endswith(mark) and name not in names:
                drops.append(f"DROP FOREIGN KEY {quote_name(each.name)}")
                adds.append(f"ADD CONSTRAINT {quote_name(name)} {each.clause(self._live)}")
        await self._alter(link, child, [*drops, *adds])
        reach("child-settled")

    async def _drop_all(self, link: Connection, table: Table) -> None:
        await self._drop(link, table, await read_references(link, table))

    async def _drop(self, link: Connection, table: Table, references: Sequence[Reference]) -> None:
        await self._alter(link, table, [f"DROP FOREIGN KEY {quote_name(each.name)}" for each in references])

    async def _alter(self, link: Connection, table: Table, clauses: Sequence[str]) -> None:
        if not clauses:
            return
        # On a connection that drops tables the checks are on.
        checks = await link.fetch_value("SELECT @@SESSION.foreign_key_checks")
        await link.execute("SET SESSION foreign_key_checks = 0")
        name = ".".join(map(quote_name, table))
        try:
            await link.execute(f"ALTER TABLE {name} {', '.join(clauses)}, ALGORITHM=INPLACE {self._tag}")
        finally:
            if not link.closed:
                await link.execute(f"SET SESSION foreign_key_checks = {int(checks)}")

    # --- MariaDB: the lock is gone when RENAME runs -------------------------------------------------------

    async def _place_keepers(self, lock: Connection) -> None:
        """Let connections wait for the tables around, to get them before anybody writes there again.

        One for each: who waits for the second of two tables is not yet in the queue of the first.
        """
        for keeper, table in self._keepers:
            name = ".".join(map(quote_name, table))
            self._locking[table] = asyncio.ensure_future(
                keeper.execute(f"LOCK TABLES {name} WRITE {self._tag}")
            )
        until = time.monotonic() + WAITING_MAX_S
        for keeper, table in self._keepers:
            while str(await lock.fetch_value(WAITING, keeper.thread_id)).lower() != (
                "waiting for table metadata lock"
            ):
                if self._locking[table].done() or time.monotonic() > until:
                    raise NotNow(f"{table[1]} could not be kept from writers")
                await asyncio.sleep(0.002)

    async def _dismiss_keepers(self, *, but: Collection[Table] = ()) -> None:
        keepers = [each for each in self._keepers if each[1] not in but]
        self._keepers = [each for each in self._keepers if each[1] in but]
        for keeper, table in keepers:
            locking = self._locking.pop(table, None)
            if locking is not None and not locking.done():
                # Its thread goes on waiting, gets the table and sees that nobody is there any more.
                locking.cancel()
            await asyncio.gather(*([locking] if locking is not None else []), return_exceptions=True)
            await keeper.close()


async def check_orphans(link: Connection, reference: Reference, table: Table) -> None:
    """Raise DataConflict naming rows of a table that a foreign key would not allow."""
    name = ".".join(map(quote_name, table))
    parent = ".".join(map(quote_name, reference.parent if reference.parent != reference.table else table))
    pairs = list(zip(reference.columns, reference.ref_columns, strict=True))
    present = " AND ".join(f"c.{quote_name(column)} IS NOT NULL" for column, _ in pairs)
    same = " AND ".join(f"p.{quote_name(there)} = c.{quote_name(here)}" for here, there in pairs)
    shown = ", ".join(f"c.{quote_name(column)}" for column, _ in pairs)
    try:
        rows = await link.fetch_all(
            f"SELECT DISTINCT {shown} FROM {name} c WHERE {present} "
            f"AND NOT EXISTS (SELECT 1 FROM {parent} p WHERE {same}) LIMIT {SAMPLES}"
        )
    except ConnectionLost:
        raise
    except DatabaseError as error:
        raise NotNow(
            f"rows could not be compared for foreign key {reference.name}: {error.message}"
        ) from error
    if rows:
        keys = tuple(", ".join(map(str, row)) for row in rows)
        raise DataConflict(
            f"rows of {reference.table[0]}.{reference.table[1]} refer to rows that {parent} does not have: "
            f"({', '.join(reference.columns)}) = {'; '.join(keys)}",
            keys=keys,
            hint=f"correct them before the foreign key {reference.name} is added",
        )
