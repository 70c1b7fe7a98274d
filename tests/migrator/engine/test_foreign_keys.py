"""Foreign keys of a table, and those of others to it, hold for every write around a swap."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from conf.settings import MigratorSettings, ThrottleSettings
from migrator.engine.ground.operation import Phase
from migrator.engine.migration import OnlineAlter
from migrator.engine.swap.group import Group
from migrator.errors import DataConflict, Refused
from migrator.throttle.throttler import Throttle
from router.database import Connection
from router.errors import DatabaseError
from router.model import Flavor
from router.servers.process import LocalServer
from tests.migrator.engine.ledger import OpenGate, alter, target_of
from tests.migrator.engine.test_crash import killed_at

NO_PARENT, HAS_CHILDREN, DEADLOCK = 1452, 1451, 1213
FILLED = 400


class Family:
    """Writes parents and children, each in its time; whatever the server says against it is an error."""

    def __init__(self, local: LocalServer, schema: str, parent: str, child: str) -> None:
        self._local, self._schema, self._parent, self._child = local, schema, parent, child
        self.errors: list[str] = []
        self.rounds = 0
        self._stop = False

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """Write until the body is over."""
        self._stop = False
        writers = [asyncio.ensure_future(self._write(number)) for number in range(2)]
        try:
            yield
        finally:
            self._stop = True
            await asyncio.gather(*writers)

    async def lived(self, rounds: int) -> None:
        """Wait for so many more rounds."""
        wanted = self.rounds + rounds
        async with asyncio.timeout(120):
            while self.rounds < wanted:
                await asyncio.sleep(0.005)

    async def _write(self, number: int) -> None:
        async with await Connection.open(self._local.server, database=self._schema) as link:
            n = 1_000_000 * (number + 1)
            while not self._stop:
                n += 1
                for sql in (
                    f"INSERT INTO {self._parent} (id) VALUES ({n})",
                    f"INSERT INTO {self._child} (id, p) VALUES ({n}, {n})",
                    f"UPDATE {self._child} SET p = {n % FILLED} WHERE id = {n}",
                    f"DELETE FROM {self._parent} WHERE id = {n}",
                    *([f"DELETE FROM {self._child} WHERE id = {n}"] if n % 3 else []),
                ):
                    await self._run(link, sql, None)
                await self._run(link, f"INSERT INTO {self._child} (id, p) VALUES (-{n}, -{n})", NO_PARENT)
                await self._run(link, f"DELETE FROM {self._parent} WHERE id = 7", HAS_CHILDREN)
                self.rounds += 1

    async def _run(self, link: Connection, sql: str, expected: int | None) -> None:
        while True:
            try:
                await link.execute(sql)
                seen = None
            except DatabaseError as error:
                if error.errno == DEADLOCK:
                    continue  # with the other writer
                seen = error.errno
                if seen != expected:
                    self.errors.append(f"{sql}: {error}")
                return
            if expected is not None:
                self.errors.append(f"{sql} was let through")
            return


async def defined(connection: Connection, table: str) -> str:
    """A table's definition without its counter."""
    row = await connection.fetch_one(f"SHOW CREATE TABLE {table}")
    assert row is not None
    return re.sub(r" AUTO_INCREMENT=\d+", "", str(row[1]))


async def filled(connection: Connection, parent: str, child: str) -> None:
    for start in range(0, FILLED, 100):
        rows = ", ".join(f"({n})" for n in range(start, start + 100))
        await connection.execute(f"INSERT INTO {parent} (id) VALUES {rows}")
        rows = ", ".join(f"({n}, {n})" for n in range(start, start + 100))
        await connection.execute(f"INSERT INTO {child} (id, p) VALUES {rows}")


CHILD = (
    "CREATE TABLE t (id INT PRIMARY KEY, p INT NULL{}, KEY (p), KEY k (p, id), "
    "CONSTRAINT fk FOREIGN KEY (p) REFERENCES par (id) ON DELETE RESTRICT, "
    "CONSTRAINT t_ibfk_1 FOREIGN KEY (p) REFERENCES par (id))"
)


async def child_table(connection: Connection, database: str) -> str:
    """Make a table with foreign keys, and return its new definition."""
    await connection.execute("CREATE TABLE par (id INT PRIMARY KEY)")
    await connection.execute(CHILD.format(""))
    await filled(connection, "par", "t")
    scratch = f"{database}_target"
    await connection.execute(f"CREATE DATABASE {scratch}")
    try:
        await connection.execute(f"USE {scratch}")
        await connection.execute("CREATE TABLE par (id INT PRIMARY KEY)")
        await connection.execute(CHILD.format(", e INT NULL"))
        row = await connection.fetch_one("SHOW CREATE TABLE t")
        assert row is not None
        return str(row[1])
    finally:
        await connection.execute(f"DROP DATABASE {scratch}")
        await connection.execute(f"USE {database}")


async def test_a_child_keeps_its_foreign_keys_forth_and_back(
    server: LocalServer, database: str, connection: Connection
) -> None:
    target = await child_table(connection, database)
    family = Family(server, database, "par", "t")
    operation = alter(server.server, database, target)
    try:
        async with family.writing():
            await operation.prepare()
            await operation.cut_over()
            await family.lived(20)
            await operation.revert()
            await family.lived(20)
            await operation.redo()
            await family.lived(20)
            await operation.finalize()
            await family.lived(5)
        assert family.errors == []
        assert await defined(connection, "t") == target
    finally:
        await operation.close()


PARENT = "CREATE TABLE t (id {} PRIMARY KEY, v INT NULL)"
CHILD_OF_IT = (
    "CREATE TABLE c (id INT PRIMARY KEY, p INT NULL, KEY (p), "
    "CONSTRAINT fk FOREIGN KEY (p) REFERENCES t (id), CONSTRAINT c_ibfk_1 FOREIGN KEY (p) REFERENCES t (id))"
)


async def test_children_refer_to_the_new_parent_forth_and_back(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await connection.execute(PARENT.format("INT"))
    await connection.execute(CHILD_OF_IT)
    await filled(connection, "t", "c")
    before = await defined(connection, "c")
    target = await target_of(
        connection, database, "CREATE TABLE t (id INT PRIMARY KEY, v BIGINT NULL, e INT)"
    )
    family = Family(server, database, "t", "c")
    operation = alter(server.server, database, target)
    try:
        async with family.writing():
            await operation.prepare()
            await operation.cut_over()
            assert await defined(connection, "c") == before
            await family.lived(20)
            await operation.revert()
            await family.lived(20)
            await operation.finalize()
        assert family.errors == []
        assert await defined(connection, "c") == before
    finally:
        await operation.close()


async def test_a_parent_and_its_child_change_in_one_deployment(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await connection.execute(PARENT.format("INT"))
    await connection.execute(CHILD_OF_IT)
    await filled(connection, "t", "c")
    before = [await defined(connection, table) for table in ("t", "c")]
    targets = [text.replace("`id` int", "`e` date DEFAULT NULL,\n  `id` int") for text in before]
    family = Family(server, database, "t", "c")
    made = [
        OnlineAlter(
            f"{table}-{database}",
            server.server,
            database,
            table,
            target,
            OpenGate(),
            Throttle(ThrottleSettings(enabled=False)),
            MigratorSettings(copiers=1, garbage_hold_s=0),
        )
        for table, target in zip(("t", "c"), targets, strict=True)
    ]
    group = Group(made)
    try:
        async with family.writing():
            await group.prepare()
            await group.cut_over()
            assert group.apart is not None
            await family.lived(10)
            await group.revert()
            await family.lived(10)
            for operation in made:
                await operation.redo()
            for operation in made:
                await operation.finalize()
            await family.lived(5)
        assert family.errors == []
        assert [await defined(connection, table) for table in ("t", "c")] == targets
    finally:
        for operation in made:
            await operation.close()


async def test_a_table_that_refers_to_itself_goes_on_to_do_so(
    server: LocalServer, database: str, connection: Connection
) -> None:
    definition = (
        "CREATE TABLE t (id INT PRIMARY KEY, p INT NULL{}, KEY (p), "
        "CONSTRAINT fk FOREIGN KEY (p) REFERENCES t (id))"
    )
    await connection.execute(definition.format(""))
    await connection.execute("INSERT INTO t VALUES (1, NULL), (2, 1), (3, 3)")
    target = await target_of(connection, database, definition.format(", e INT NULL"))
    operation = alter(server.server, database, target)
    try:
        await operation.prepare()
        await operation.cut_over()
        with pytest.raises(DatabaseError, match="foreign key"):
            await connection.execute("INSERT INTO t (id, p) VALUES (4, 5)")
        with pytest.raises(DatabaseError, match="foreign key"):
            await connection.execute("DELETE FROM t WHERE id = 1")
        await connection.execute("INSERT INTO t (id, p) VALUES (4, 2)")
        await operation.finalize()
        assert await defined(connection, "t") == target
    finally:
        await operation.close()


async def test_rows_changed_by_a_cascade_are_followed_where_the_server_logs_them_and_else_refused(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await connection.execute("CREATE TABLE par (id INT PRIMARY KEY)")
    await connection.execute(
        "CREATE TABLE t (id INT PRIMARY KEY, p INT NULL, KEY (p), "
        "CONSTRAINT fk FOREIGN KEY (p) REFERENCES par (id) ON DELETE CASCADE ON UPDATE SET NULL)"
    )
    await filled(connection, "par", "t")
    target = (await defined(connection, "t")).replace("`p` int", "`e` int DEFAULT NULL,\n  `p` int")
    operation = alter(server.server, database, target)
    try:
        if server.server.flavor is Flavor.MARIADB:
            with pytest.raises(Refused, match=r"'fk' changes rows .* does not log"):
                await operation.prepare()
            return
        await operation.prepare()
        await connection.execute("DELETE FROM par WHERE id < 50")
        await connection.execute("UPDATE par SET id = id + 10000 WHERE id < 100")
        await operation.cut_over()
        await connection.execute("DELETE FROM par WHERE id BETWEEN 100 AND 199")
        assert await connection.fetch_one("SELECT COUNT(*), COUNT(p) FROM t") == (250, 200)
        await operation.revert()
        assert await connection.fetch_one("SELECT COUNT(*), COUNT(p) FROM t") == (250, 200)
        await operation.finalize()
    finally:
        await operation.close()


async def test_a_parent_whose_column_would_not_fit_its_children_is_refused_before_anything_is_copied(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await connection.execute(PARENT.format("INT"))
    await connection.execute(CHILD_OF_IT)
    target = await target_of(connection, database, PARENT.format("BIGINT"))
    operation = alter(server.server, database, target)
    try:
        with pytest.raises(Refused, match=r"of .*\.c does not fit the new definition"):
            await operation.prepare()
        await operation.cancel()
    finally:
        await operation.close()
    assert await connection.fetch_all("SHOW TABLES") == [("c",), ("t",)]


async def table_to_get_a_key(connection: Connection) -> tuple[str, str]:
    """Make a table that refers to nothing yet, and return its old and new definitions."""
    await connection.execute("CREATE TABLE par (id INT PRIMARY KEY)")
    await connection.execute("CREATE TABLE t (id INT PRIMARY KEY, p INT NULL, KEY (p))")
    await filled(connection, "par", "t")
    text = await defined(connection, "t")
    key = "KEY `p` (`p`)"
    return text, text.replace(key, f"{key},\n  CONSTRAINT `fk` FOREIGN KEY (`p`) REFERENCES `par` (`id`)")


async def test_a_new_foreign_key_names_the_rows_it_would_not_allow_before_anything_is_copied(
    server: LocalServer, database: str, connection: Connection
) -> None:
    _, target = await table_to_get_a_key(connection)
    await connection.execute("INSERT INTO t VALUES (5000, 5001)")
    operation = alter(server.server, database, target)
    try:
        with pytest.raises(DataConflict) as caught:
            await operation.prepare()
        assert caught.value.keys == ("5001",)
        await operation.cancel()
    finally:
        await operation.close()
    assert await connection.fetch_all("SHOW TABLES") == [("par",), ("t",)]


async def test_a_new_foreign_key_holds_from_the_swap_on_and_is_gone_after_a_revert(
    server: LocalServer, database: str, connection: Connection
) -> None:
    text, target = await table_to_get_a_key(connection)
    operation = alter(server.server, database, target)
    try:
        await operation.prepare()
        await operation.cut_over()
        assert await defined(connection, "t") in (target, target.replace("`fk`", "`fk__hg1`"))
        with pytest.raises(DatabaseError, match="foreign key"):
            await connection.execute("INSERT INTO t VALUES (5000, 5001)")
        await operation.revert()
        await connection.execute("INSERT INTO t VALUES (5000, 5001)")
        await operation.finalize()
        assert await defined(connection, "t") == text
    finally:
        await operation.close()


async def test_a_revert_is_held_back_by_rows_that_a_dropped_foreign_key_would_not_allow(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await child_table(connection, database)
    before = await defined(connection, "t")
    target = await target_of(
        connection, database, "CREATE TABLE t (id INT PRIMARY KEY, p INT NULL, KEY (p), KEY k (p, id))"
    )
    operation = alter(server.server, database, target)
    try:
        await operation.prepare()
        await operation.cut_over()
        await connection.execute("INSERT INTO t VALUES (5000, 5001)")
        with pytest.raises(DataConflict) as caught:
            await operation.revert()
        assert caught.value.keys == ("5001",)
        await connection.execute("DELETE FROM t WHERE id = 5000")
        await operation.revert()
        await operation.finalize()
        assert await defined(connection, "t") == before
    finally:
        await operation.close()


@pytest.mark.parametrize("failpoint", ["keys-added", "after-rename", "old-keys-dropped"])
async def test_a_child_that_is_killed_in_the_middle_has_all_its_foreign_keys_in_the_end(
    server: LocalServer, database: str, connection: Connection, failpoint: str
) -> None:
    target = await child_table(connection, database)
    await killed_at(server, database, target, failpoint, revert=False)
    operation = alter(server.server, database, target, rows=200)
    family = Family(server, database, "par", "t")
    try:
        await operation.prepare()
        await operation.cut_over()
        assert operation.status().phase is Phase.REVERTIBLE
        async with family.writing():
            await family.lived(10)
            await operation.finalize()
        assert family.errors == []
        assert await defined(connection, "t") == target
    finally:
        await operation.close()


@pytest.mark.parametrize(
    "failpoint", ["child-keys-added", "after-rename", "old-keys-dropped", "child-keys-dropped"]
)
async def test_children_of_a_parent_that_is_killed_in_the_middle_have_all_their_foreign_keys_in_the_end(
    server: LocalServer, database: str, connection: Connection, failpoint: str
) -> None:
    await connection.execute(PARENT.format("INT"))
    await connection.execute(CHILD_OF_IT)
    await filled(connection, "t", "c")
    before = await defined(connection, "c")
    target = await target_of(
        connection, database, "CREATE TABLE t (id INT PRIMARY KEY, v BIGINT NULL, e INT)"
    )
    await killed_at(server, database, target, failpoint, revert=False)
    operation = alter(server.server, database, target, rows=200)
    family = Family(server, database, "t", "c")
    try:
        await operation.prepare()
        await operation.cut_over()
        async with family.writing():
            await family.lived(10)
        assert family.errors == []
        assert await defined(connection, "c") == before
    finally:
        await operation.close()
