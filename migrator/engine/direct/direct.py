"""I let the server change a table at once, by an algorithm that is named and was tried on an empty copy."""

from __future__ import annotations

import hashlib
import re

from conf.settings import MigratorSettings
from migrator.engine.direct.choose import Facts, Method, Shortcut, Tried, row_versions_max
from migrator.engine.direct.step import Ends, Step
from migrator.engine.ground.journal import Record
from migrator.engine.ground.operation import Phase
from migrator.engine.swap.cutover import TrafficGate
from migrator.engine.table.shadow import free_names
from migrator.engine.table.shape import read_shape, show_create
from migrator.errors import MigratorError, Refused
from router.database import Connection, quote_name
from router.errors import ConnectionLost, DatabaseError
from router.model import Flavor, Server

_COUNTER = re.compile(r"\sAUTO_INCREMENT=\d+")
_CHECK_NAME = re.compile(r"^(\s*)CONSTRAINT `(?:[^`]|``)+` CHECK")
ROW_VERSIONS_OF = "SELECT COALESCE(MAX(TOTAL_ROW_VERSIONS), 0) FROM information_schema.INNODB_TABLES WHERE "
SIZE = (
    "SELECT COALESCE(DATA_LENGTH + INDEX_LENGTH, 0) FROM information_schema.TABLES "
    "WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s"
)
REFERENCED = (
    "SELECT 1 FROM information_schema.KEY_COLUMN_USAGE "
    "WHERE REFERENCED_TABLE_SCHEMA = %s AND REFERENCED_TABLE_NAME = %s LIMIT 1"
)
REPLICAS = {Flavor.MYSQL: "SHOW REPLICAS", Flavor.MARIADB: "SHOW SLAVE HOSTS"}


class Direct(Step):
    """One table's change without a copy; an Operation."""

    kind = "direct"

    def __init__(
        self,
        id: str,  # noqa: A002 - what an Operation calls it
        server: Server,
        schema: str,
        table: str,
        target_sql: str,
        way: Shortcut,
        gate: TrafficGate | None,
        settings: MigratorSettings | None = None,
    ) -> None:
        # An index takes its time: nobody may be held back while it is built.
        super().__init__(id, server, schema, table, target_sql, None if way.builds else gate, settings)
        self._way = way

    async def _make_ready(self, link: Connection, record: Record, *, later: bool = True) -> Ends:
        if await read_shape(link, self._schema, self._table) is None:
            raise Refused(f"there is no table {self._schema}.{self._table}")
        facts = await read_facts(link, self._schema, self._table)
        versions = facts.row_versions
        if self._way.method is Method.INSTANT and versions > row_versions_max(facts.version) - 2:
            raise Refused(
                f"the rows of {self._table} have had {versions} shapes; there and back takes two more",
                hint="deploy it with strategy revertible, which copies the table and begins anew",
            )
        if not record.shadow:
            name, _ = await free_names(link, self._schema, self._table)
            record = await self._save(shadow=name)
        await self._drop(record.shadow)  # of an interrupted attempt
        try:
            return await self._try_on(link, record.shadow)
        finally:
            await self._drop(record.shadow)

    async def _try_on(self, link: Connection, name: str) -> Ends:
        """Go the way on an empty table of the same definition: there, back, there again, and to the end."""
        copy, way = quote_name(name), self._way
        original = await show_create(link, self._schema, self._table)
        await link.execute(f"CREATE TABLE {copy} LIKE {quote_name(self._table)}")
        before = essence(await show_create(link, self._schema, name))
        if before != essence(original):
            raise Refused(
                f"the server makes no exact copy of the definition of {self._table}",
                hint="deploy it with strategy revertible",
            )
        await self._trial(link, copy, way.there)
        after = essence(await show_create(link, self._schema, name))
        if after == before:
            raise Refused(f"the change of {self._table} changes nothing")
        if way.back is not None:
            await self._trial(link, copy, way.back)
            if essence(await show_create(link, self._schema, name)) != before:
                raise Refused(
                    f"what undoes the change of {self._table} does not lead back exactly",
                    hint="deploy it with strategy revertible",
                )
        finished = None
        if way.finish is not None:
            await self._trial(link, copy, way.there)
            await self._trial(link, copy, way.finish)
            finished = essence(await show_create(link, self._schema, name))
        return Ends(before, after, finished)

    async def _trial(self, link: Connection, copy: str, clauses: str) -> None:
        try:
            await link.execute(f"ALTER TABLE {copy} {clauses}")
        except ConnectionLost:
            raise
        except DatabaseError as error:
            raise Refused(
                f"the server cannot change {self._table} without copying it: {error}",
                hint="deploy it with strategy revertible",
            ) from error

    async def _digest(self, link: Connection) -> str | None:
        try:
            return essence(await show_create(link, self._schema, self._table))
        except ConnectionLost:
            raise
        except DatabaseError:
            return None

    async def _change(self, link: Connection, second: Connection, phase: Phase) -> None:
        way = self._way
        clauses = {Phase.CUTTING: way.there, Phase.REVERTING: way.back, Phase.FINALIZED: way.finish}[phase]
        assert clauses is not None
        table = quote_name(self._table)
        if phase is not Phase.REVERTING or way.guard is None:
            await self._watched(link, second, f"ALTER TABLE {table} {clauses}")
            return
        # A process that freezes or is cut off holds its lock no longer than this.
        await link.execute("SET SESSION wait_timeout = 3")
        await self._watched(link, second, f"LOCK TABLES {table} WRITE")
        try:
            if await link.fetch_all(way.guard.format(table=table)):
                raise MigratorError(
                    f"rows were written since that have no place in the old definition of {self._table}",
                    hint="delete or move them, then revert again",
                )
            await self._watched(link, second, f"ALTER TABLE {table} {clauses}")
        finally:
            if not link.closed:
                await link.execute("UNLOCK TABLES")

    def _no_way_back(self) -> str | None:
        if self._way.back is not None:
            return None
        return f"{self._table} was changed at once and for good: nothing of what it was is kept"


def essence(create: str) -> str:
    """Return a digest of a CREATE TABLE text that is the same for a copy made with LIKE.

    Such a copy has another name and counter, no foreign keys, and on MySQL other names of checks.
    """
    lines = create.split("\n")[1:]
    kept = [
        _CHECK_NAME.sub(r"\1CHECK", line).rstrip(",")
        for line in lines
        if not (line.lstrip().startswith("CONSTRAINT") and " FOREIGN KEY (" in line)
    ]
    text = "\n".join(_COUNTER.sub("", line) if line.startswith(")") else line for line in kept)
    return hashlib.sha256(text.encode()).hexdigest()


async def read_facts(link: Connection, schema: str, table: str) -> Facts:
    """Read what `choose` must know of a table on production."""
    version = str(await link.fetch_value("SELECT VERSION()"))
    versions = 0
    mysql = link.server.flavor is Flavor.MYSQL
    if mysql:
        try:
            names = (f"{schema}/{table}", f"{schema}/{table.lower()}#p#%")
            versions = int(await link.fetch_value(f"{ROW_VERSIONS_OF}NAME = %s OR NAME LIKE %s", *names) or 0)
        except ConnectionLost:
            raise
        except DatabaseError:
            versions = 0  # an older server; naming the algorithm is what keeps it from copying
    try:
        replicated = bool(await link.fetch_all(REPLICAS[link.server.flavor]))
    except ConnectionLost:
        raise
    except DatabaseError:
        replicated = True
    return Facts(
        version=tuple(int(part) for part in version.split("-")[0].split(".")[:3]) if mysql else (99,),
        row_versions=versions,
        bytes=int(await link.fetch_value(SIZE, schema, table) or 0),
        replicated=replicated,
        referenced=bool(await link.fetch_value(REFERENCED, schema, table)),
    )


async def try_shortcuts(link: Connection, create: str, shortcuts: list[Shortcut]) -> list[Tried]:
    """Try each way on an empty table of its own in the connection's database, a scratch server's."""
    tried = []
    for way in shortcuts:
        await link.execute(create)
        try:
            refusal = back_refusal = None
            try:
                await link.execute(f"ALTER TABLE {_made(create)} {way.there}")
                try:
                    if way.back is not None:
                        await link.execute(f"ALTER TABLE {_made(create)} {way.back}")
                except DatabaseError as error:
                    back_refusal = error.message
            except DatabaseError as error:
                refusal = error.message
            tried.append(Tried(way, refusal, back_refusal))
        finally:
            if not link.closed:
                await link.execute(f"DROP TABLE IF EXISTS {_made(create)}")
    return tried


def _made(create: str) -> str:
    head = re.match(r"CREATE TABLE (`(?:[^`]|``)+`)", create)
    assert head is not None
    return head[1]
