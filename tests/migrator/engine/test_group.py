"""Tables of one deployment are swapped at once where the server can, and none of them loses a row."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from conf.settings import MigratorSettings, ThrottleSettings
from migrator.engine.ground.operation import Operation, Phase
from migrator.engine.ground.state import prepare_state
from migrator.engine.migration import OnlineAlter
from migrator.engine.swap import cutover, group
from migrator.engine.swap.create import CreateTable
from migrator.engine.swap.drop import DropTable
from migrator.engine.swap.group import Group
from migrator.throttle.throttler import Throttle
from router.database import Connection
from router.model import Flavor, Server
from router.servers.process import LocalServer
from tests.migrator.engine.ledger import OpenGate, target_of
from tests.migrator.engine.test_outages import dying_at

NAMES = ("a", "b", "c")
OLD = "(id INT NOT NULL, v INT NOT NULL, u INT NULL, PRIMARY KEY (id), UNIQUE KEY u (u))"
COLUMNS = "id INT NOT NULL, v BIGINT NOT NULL, u INT NULL, e INT NOT NULL DEFAULT 7, PRIMARY KEY (id)"
NEW = f"({COLUMNS}, UNIQUE KEY u (u))"
# Of one table the new definition can be written row by row, of the others only with a detour.
PLAIN_NEW = f"({COLUMNS})"
SETTINGS = MigratorSettings(copiers=1, chunk_rows_max=200, garbage_hold_s=0)


@dataclass
class Twins:
    """Writes every row into three tables in one transaction, and remembers what was acknowledged."""

    server: Server
    schema: str
    rows: dict[int, int] = field(default_factory=dict)
    writes: int = 0
    _stop: bool = False

    async def fill(self, connection: Connection, count: int) -> None:
        self.rows = {n: n for n in range(count)}
        values = ", ".join(f"({n}, {n}, {n})" for n in range(count))
        for name in NAMES:
            await connection.execute(f"CREATE TABLE {name} {OLD}")
            await connection.execute(f"INSERT INTO {name} (id, v, u) VALUES {values}")

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        self._stop = False
        writers = [asyncio.ensure_future(self._write(number)) for number in range(2)]
        try:
            yield
        finally:
            self._stop = True
            await asyncio.gather(*writers)

    async def written(self, count: int) -> None:
        wanted = self.writes + count
        async with asyncio.timeout(120):
            while self.writes < wanted:
                await asyncio.sleep(0.005)

    async def _write(self, number: int) -> None:
        dice = random.Random(number)
        async with await Connection.open(self.server, database=self.schema) as connection:
            while not self._stop:
                n = dice.randrange(1000) * 2 + number
                value = dice.randrange(10**6)
                gone = n in self.rows and dice.random() < 0.3
                async with connection.transaction():
                    for name in NAMES:
                        if gone:
                            await connection.execute(f"DELETE FROM {name} WHERE id = {n}")
                        else:
                            await connection.execute(
                                f"INSERT INTO {name} (id, v, u) VALUES ({n}, {value}, {n}) "
                                f"ON DUPLICATE KEY UPDATE v = {value}"
                            )
                if gone:
                    del self.rows[n]
                else:
                    self.rows[n] = value
                self.writes += 1

    async def check(self, connection: Connection) -> None:
        for name in NAMES:
            assert dict(await connection.fetch_all(f"SELECT id, v FROM {name}")) == self.rows, name


async def operations(server: Server, schema: str, connection: Connection) -> list[Operation]:
    throttle, gate = Throttle(ThrottleSettings(enabled=False)), OpenGate()
    made: list[Operation] = []
    for name in NAMES:
        target = await target_of(connection, schema, f"CREATE TABLE t {PLAIN_NEW if name == 'b' else NEW}")
        target = target.replace("`t`", f"`{name}`", 1)
        made.append(OnlineAlter(f"{name}-{schema}", server, schema, name, target, gate, throttle, SETTINGS))
    fresh = "CREATE TABLE `fresh` (\n  `id` int NOT NULL,\n  PRIMARY KEY (`id`)\n)"
    made.append(CreateTable(f"fresh-{schema}", server, schema, "fresh", fresh, SETTINGS))
    made.append(DropTable(f"gone-{schema}", server, schema, "gone", gate, SETTINGS))
    return made


async def close(made: list[Operation]) -> None:
    for operation in made:
        await operation.close()


def phases(made: list[Operation]) -> set[Phase]:
    return {operation.status().phase for operation in made}


@asynccontextmanager
async def looking(server: Server, schema: str) -> AsyncIterator[set[int]]:
    """Look all the time how many of the three tables are new, and whether the others came and went."""
    seen: set[int] = set()
    over = False
    columns = (
        "SELECT COUNT(*) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s AND COLUMN_NAME = 'e' "
        "AND TABLE_NAME IN ('a', 'b', 'c')"
    )
    table = "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_NAME ="
    sql = f"SELECT ({columns}) + ({table} 'fresh') - ({table} 'gone')"

    async def look() -> None:
        async with await Connection.open(server) as connection:
            while not over:
                seen.add(int(await connection.fetch_value(sql, schema, schema, schema)))

    looker = asyncio.ensure_future(look())
    try:
        yield seen
    finally:
        over = True
        await looker


async def test_a_deployment_s_tables_are_swapped_at_once_there_and_back(
    server: LocalServer, database: str, connection: Connection
) -> None:
    twins = Twins(server.server, database)
    await twins.fill(connection, 1500)
    await connection.execute("CREATE TABLE gone (id INT PRIMARY KEY)")
    made = await operations(server.server, database, connection)
    together = Group(made)
    try:
        async with twins.writing():
            await together.prepare()
            assert phases(made) == {Phase.READY}
            async with looking(server.server, database) as seen:
                await together.cut_over()
            await twins.written(100)
            assert phases(made) == {Phase.REVERTIBLE}
            if server.server.flavor is Flavor.MYSQL:
                assert seen <= {-1, 4}
                assert together.apart is None
            else:
                assert "MariaDB" in str(together.apart)
            async with looking(server.server, database) as seen:
                await Group(made).revert()
            await twins.written(50)
            if server.server.flavor is Flavor.MYSQL:
                assert seen <= {-1, 4}
            assert phases(made) == {Phase.REVERTED}
        await twins.check(connection)
        for operation in made:
            await operation.finalize()
        names = {row[0] for row in await connection.fetch_all("SHOW TABLES")}
        assert names == {*NAMES, "gone"}
    finally:
        await close(made)


@pytest.mark.parametrize("place", ["before-lock", "before-write-ahead", "before-rename", "after-rename"])
async def test_whoever_takes_over_finds_all_tables_swapped_or_none(
    mysql: LocalServer, mysql_database: str, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    await prepare_state(mysql.server)
    async with await Connection.open(mysql.server, database=mysql_database) as connection:
        twins = Twins(mysql.server, mysql_database)
        await twins.fill(connection, 300)
        await connection.execute("CREATE TABLE gone (id INT PRIMARY KEY)")
        made = await operations(mysql.server, mysql_database, connection)
        try:
            async with twins.writing():
                await Group(made).prepare()
                swapping = asyncio.ensure_future(Group(made).cut_over())
                dying_at(monkeypatch, cutover, place, lambda: _cancel(swapping))
                with pytest.raises(asyncio.CancelledError):
                    await swapping
                await close(made)
                made = await operations(mysql.server, mysql_database, connection)
                for operation in made:
                    await operation.prepare()
                possible = {
                    "before-rename": {Phase.READY, Phase.REVERTIBLE},
                    "after-rename": {Phase.REVERTIBLE},
                }
                (phase,) = phases(made)
                assert phase in possible.get(place, {Phase.READY})
                await Group(made).cut_over()
                await twins.written(30)
                assert phases(made) == {Phase.REVERTIBLE}
            await twins.check(connection)
        finally:
            await close(made)


async def test_what_cannot_be_locked_at_once_is_swapped_one_after_another_and_says_so(
    mysql: LocalServer, mysql_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group, "TOGETHER_MAX", 2)
    await prepare_state(mysql.server)
    async with await Connection.open(mysql.server, database=mysql_database) as connection:
        twins = Twins(mysql.server, mysql_database)
        await twins.fill(connection, 100)
        await connection.execute("CREATE TABLE gone (id INT PRIMARY KEY)")
        made = await operations(mysql.server, mysql_database, connection)
        together = Group(made)
        try:
            await together.prepare()
            async with await Connection.open(mysql.server, database=mysql_database) as other:
                await other.execute("START TRANSACTION")
                await other.execute("SELECT * FROM a LIMIT 1")
                swapping = asyncio.ensure_future(together.cut_over())
                async with asyncio.timeout(120):
                    while "one after another" not in made[1].status().activity:
                        await asyncio.sleep(0.01)
                await other.execute("COMMIT")
                await swapping
            assert "more than 2 tables" in str(together.apart)
            assert phases(made) == {Phase.REVERTIBLE}
        finally:
            await close(made)


def _cancel(task: asyncio.Future[object]) -> None:
    task.cancel()
