"""Triggers, routines and events are made, replaced and dropped, and come back exactly as they were."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from migrator.engine.direct.program import ChangeProgram
from migrator.engine.direct.stored import Stored, read_stored
from migrator.engine.ground.definers import MIGRATING, Definers
from migrator.engine.ground.operation import Phase
from migrator.errors import Refused, SourceChanged
from migrator.schema.introspect import open_reader, read_schema
from migrator.schema.model import Code, CodeKind
from router.database import Connection
from router.model import Flavor
from router.servers.process import LocalServer
from tests.migrator.engine.program_victim import Orders
from tests.migrator.engine.victims import killed

TABLE = "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(60) NOT NULL DEFAULT '')"
FORMER = {
    CodeKind.TRIGGER: "CREATE TRIGGER p BEFORE INSERT ON t FOR EACH ROW PRECEDES z SET NEW.v = 'old'",
    CodeKind.PROCEDURE: "CREATE PROCEDURE p(OUT x INT) COMMENT 'it''s' BEGIN SELECT 'a' || 'ä' INTO @x; END",
    CodeKind.FUNCTION: "CREATE FUNCTION p(x INT) RETURNS INT DETERMINISTIC RETURN x + 1",
    CodeKind.EVENT: "CREATE EVENT p ON SCHEDULE EVERY 1 DAY STARTS '2037-01-01 02:00:00' "
    "ON COMPLETION PRESERVE DO INSERT INTO t VALUES (1, 'ä')",
}
TARGET = {
    CodeKind.TRIGGER: "CREATE TRIGGER p BEFORE INSERT ON t FOR EACH ROW SET NEW.v = 'new'",
    CodeKind.PROCEDURE: "CREATE PROCEDURE p() SELECT 'ö'",
    CodeKind.FUNCTION: "CREATE FUNCTION p(x INT) RETURNS BIGINT DETERMINISTIC RETURN x + 2",
    CodeKind.EVENT: "CREATE EVENT p ON SCHEDULE EVERY 1 DAY STARTS '2037-01-01 02:00:00' "
    "ON COMPLETION NOT PRESERVE DO DELETE FROM t",
}
KINDS = list(FORMER)
OWNER = "`programs_owner`@`%`"


@dataclass
class Bench:
    """A schema with a table and two triggers, and how the programs look that are to be."""

    server: LocalServer
    database: str
    connection: Connection

    async def made(self, kind: CodeKind) -> Stored:
        """Make the former program as an author with settings of her own, and return it."""
        await self.connection.execute(
            "SET SESSION sql_mode = 'PIPES_AS_CONCAT,ANSI_QUOTES', character_set_client = latin1, "
            "collation_connection = latin1_german1_ci, time_zone = '+05:00'"
        )
        text = FORMER[kind].replace("CREATE ", "CREATE DEFINER='author'@'nowhere' ", 1)
        await self.connection.execute(text.encode("latin1"))
        await self.connection.execute("SET NAMES utf8mb4")
        await self.connection.execute("SET SESSION sql_mode = DEFAULT, time_zone = DEFAULT")
        return await self.there(kind)

    async def there(self, kind: CodeKind) -> Stored:
        """What is there now."""
        found = await self.read(kind)
        assert found is not None
        return found

    async def read(self, kind: CodeKind) -> Stored | None:
        """What is there now, if anything is."""
        return await read_stored(self.server.server, self.database, kind, "p")

    async def target(self, kind: CodeKind) -> Code:
        """The program that is to be, as a branch has it."""
        place = self.database + "_branch"
        async with await open_reader(self.server.server) as reader:
            await reader.execute(f"CREATE DATABASE {place}")
            try:
                await reader.execute(f"USE {place}")
                await reader.execute(TABLE)
                await reader.execute(TARGET[kind])
                (code,) = (await read_schema(reader, place)).code
            finally:
                await reader.execute(f"DROP DATABASE {place}")
        return code

    def changing(self, kind: CodeKind, code: Code | None, definers: Definers = MIGRATING) -> ChangeProgram:
        """The operation."""
        return ChangeProgram(
            *(f"program-{self.database}-{kind}", self.server.server, self.database, kind, "p", code),
            table="t" if kind is CodeKind.TRIGGER else "",
            definers=definers,
        )

    async def triggers(self) -> list[str]:
        """The names of the triggers in the order in which they fire."""
        order = (
            "SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = %s "
            "ORDER BY ACTION_ORDER"
        )
        return [str(row[0]) for row in await self.connection.fetch_all(order, self.database)]


@pytest.fixture
async def bench(server: LocalServer, database: str, connection: Connection) -> Bench:
    await connection.execute(TABLE)
    await connection.execute("CREATE USER IF NOT EXISTS author@nowhere ACCOUNT LOCK")
    await connection.execute("GRANT ALL ON *.* TO author@nowhere")
    await connection.execute("CREATE TRIGGER z BEFORE INSERT ON t FOR EACH ROW SET @z = NEW.v")
    return Bench(server, database, connection)


@pytest.mark.parametrize("kind", KINDS, ids=str)
async def test_a_program_is_replaced_and_comes_back_to_the_byte(bench: Bench, kind: CodeKind) -> None:
    before, code = await bench.made(kind), await bench.target(kind)
    operation = bench.changing(kind, code)
    try:
        await operation.prepare()
        assert await bench.there(kind) == before
        await operation.cut_over()
        after = await bench.there(kind)
        assert after.definer == before.definer == "`author`@`nowhere`"
        assert (after.sql_mode, after.charset) == (code.sql_mode, "utf8mb4")
        assert after.status == before.status
        assert after.time_zone == before.time_zone
        await operation.revert()
        assert await bench.there(kind) == before
        await operation.finalize()
        assert await bench.there(kind) == before
    finally:
        await operation.close()


@pytest.mark.parametrize("trusted", [(), ("author@*",)], ids=["trusted", "not"][::-1])
@pytest.mark.parametrize("kind", KINDS, ids=str)
async def test_a_program_that_is_changed_has_its_former_rights_only_where_they_are_trusted(
    bench: Bench, kind: CodeKind, trusted: tuple[str, ...]
) -> None:
    await bench.connection.execute("CREATE USER IF NOT EXISTS programs_owner ACCOUNT LOCK")
    before = await bench.made(kind)
    operation = bench.changing(kind, await bench.target(kind), Definers(OWNER, trusted))
    try:
        await operation.prepare()
        await operation.cut_over()
        assert (await bench.there(kind)).definer == (before.definer if trusted else OWNER)
        await operation.revert()
        assert await bench.there(kind) == before
        await operation.finalize()
    finally:
        await operation.close()


@pytest.mark.parametrize("kind", KINDS, ids=str)
async def test_a_program_is_made_for_an_account_of_its_own_and_taken_back(
    bench: Bench, kind: CodeKind
) -> None:
    await bench.connection.execute("CREATE USER IF NOT EXISTS programs_owner ACCOUNT LOCK")
    operation = bench.changing(kind, await bench.target(kind), Definers(OWNER))
    try:
        await operation.prepare()
        assert await bench.read(kind) is None
        await operation.cut_over()
        assert (await bench.there(kind)).definer == "`programs_owner`@`%`"
        await operation.revert()
        assert await bench.read(kind) is None
        await operation.finalize()
        assert await bench.triggers() == ["z"]
        assert await bench.connection.fetch_all("SHOW TABLES") == [("t",)]
    finally:
        await operation.close()


@pytest.mark.parametrize("kind", KINDS, ids=str)
async def test_a_dropped_program_comes_back_to_the_byte(bench: Bench, kind: CodeKind) -> None:
    before = await bench.made(kind)
    operation = bench.changing(kind, None)
    try:
        await operation.prepare()
        await operation.cut_over()
        assert await bench.read(kind) is None
        await operation.revert()
        assert await bench.there(kind) == before
    finally:
        await operation.close()


async def test_an_event_keeps_whether_it_runs_also_when_that_changes_meanwhile(bench: Bench) -> None:
    kind = CodeKind.EVENT
    await bench.made(kind)
    await bench.connection.execute("ALTER EVENT p DISABLE")
    operation = bench.changing(kind, await bench.target(kind))
    try:
        await operation.prepare()
        await operation.cut_over()
        assert (await bench.there(kind)).status == "DISABLE"
        await bench.connection.execute("ALTER EVENT p ENABLE")
        await operation.revert()
        assert (await bench.there(kind)).status == "ENABLE"
    finally:
        await operation.close()


KILLED = [
    (CodeKind.TRIGGER, "before-direct", False),
    (CodeKind.TRIGGER, "program-guarded", False),
    (CodeKind.TRIGGER, "program-dropped", True),
    (CodeKind.TRIGGER, "program-made", False),
    (CodeKind.PROCEDURE, "program-dropped", False),
    (CodeKind.PROCEDURE, "program-dropped", True),
    (CodeKind.PROCEDURE, "program-made", True),
]


@pytest.mark.parametrize(
    ("server", "kind", "failpoint", "back"),
    # MariaDB replaces it by one statement, so there is but one moment before that.
    [(Flavor.MARIADB, *KILLED[0]), *((Flavor.MYSQL, *killed) for killed in KILLED)],
    indirect=["server"],
    ids=str,
)
async def test_a_process_that_is_killed_leaves_the_old_one_or_the_new_one(
    bench: Bench, kind: CodeKind, failpoint: str, back: bool
) -> None:
    before, code = await bench.made(kind), await bench.target(kind)
    steps = ["prepare", "cut_over", "revert"] if back else ["prepare", "cut_over"]
    place = f"{failpoint}:2" if back else failpoint
    server = bench.server.server
    await killed(Orders(server=server, schema=bench.database, code=code, steps=steps), place)
    if kind is CodeKind.TRIGGER and failpoint in ("program-guarded", "program-dropped"):
        with pytest.raises(Exception, match="try again"):
            await bench.connection.execute("INSERT INTO t VALUES (1, '')")
    operation = ChangeProgram(
        f"program-{code.name}", server, bench.database, kind, "p", code, table=code.table
    )
    try:
        await operation.prepare()
        # Only a trigger's guard says that it is not over when the new one is there.
        done = failpoint == "program-made" and kind is not CodeKind.TRIGGER
        expected = (Phase.READY, Phase.REVERTIBLE, Phase.REVERTED)[back + done]
        assert operation.status().phase is expected
        if back:
            await operation.revert()
            assert await bench.there(kind) == before
        else:
            await operation.cut_over()
            assert (await bench.there(kind)).text != before.text
        if kind is CodeKind.TRIGGER:
            assert await bench.triggers() == (["p", "z"] if back else ["z", "p"])
        await bench.connection.execute("INSERT INTO t VALUES (2, '')")
    finally:
        await operation.close()
        await bench.connection.execute("DELETE FROM _headgate.operation WHERE id = %s", operation.id)


async def test_what_author_else_did_is_left_alone(bench: Bench) -> None:
    kind = CodeKind.PROCEDURE
    await bench.made(kind)
    operation = bench.changing(kind, await bench.target(kind))
    try:
        await operation.prepare()
        await bench.connection.execute("DROP PROCEDURE p")
        await bench.connection.execute("CREATE PROCEDURE p() SELECT 'mine'")
        with pytest.raises(SourceChanged):
            await operation.cut_over()
        await operation.cancel()
        assert b"mine" in (await bench.there(kind)).text
    finally:
        await operation.close()


async def test_a_trigger_waits_for_the_table_that_comes_with_it(bench: Bench) -> None:
    code = await bench.target(CodeKind.TRIGGER)
    await bench.connection.execute("DROP TABLE t")
    operation = bench.changing(CodeKind.TRIGGER, code)
    try:
        await operation.prepare()
        await bench.connection.execute(TABLE)
        await operation.cut_over()
        assert await bench.triggers() == ["p"]
        await operation.revert()
        assert await bench.triggers() == []
    finally:
        await operation.close()


async def test_what_the_server_does_not_take_is_refused_before_anything_is_changed(bench: Bench) -> None:
    code = Code(CodeKind.PROCEDURE, "p", "CREATE PROCEDURE `p`() SELECT FROM", "STRICT_ALL_TABLES")
    before = await bench.made(CodeKind.PROCEDURE)
    operation = bench.changing(CodeKind.PROCEDURE, code)
    try:
        with pytest.raises(Refused, match="the server refuses procedure 'p' for `author`"):
            await operation.prepare()
        await operation.cancel()
        assert await bench.there(CodeKind.PROCEDURE) == before
    finally:
        await operation.close()
