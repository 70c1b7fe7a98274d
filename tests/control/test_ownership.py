"""What belongs to one account is handed over to another, and nothing is lost on the way, on both servers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import msgspec
import pytest

from control.handovers import HandOvers
from control.ownership import hand_over, put_back
from migrator.schema.errors import CloneFailed
from migrator.schema.introspect import open_reader, read_schema
from migrator.schema.model import Code
from router.database import Connection
from router.model import Flavor
from router.servers.process import LocalServer
from router.state import open_state
from tests.control.handover_victim import Orders
from tests.support.servers import fresh_schema

FORMER, NEW = "`handing`@`%`", "`taking`@`%`"
PROGRAMS = (
    "CREATE TRIGGER first BEFORE INSERT ON t FOR EACH ROW SET NEW.v = CONCAT(NEW.v, 'a')",
    "CREATE TRIGGER second BEFORE INSERT ON t FOR EACH ROW SET NEW.v = CONCAT(NEW.v, 'b')",
    "CREATE TRIGGER third BEFORE INSERT ON t FOR EACH ROW SET NEW.v = CONCAT(NEW.v, 'ö')",
    "CREATE PROCEDURE p(OUT x INT) COMMENT 'it''s' SET x = 1",
    "CREATE FUNCTION f(x INT) RETURNS INT DETERMINISTIC RETURN x + 1",
    "CREATE EVENT runs ON SCHEDULE EVERY 1 DAY STARTS '2037-01-01 02:00:00' DO DELETE FROM t",
    "CREATE EVENT rests ON SCHEDULE EVERY 1 DAY STARTS '2037-01-01 02:00:00' DISABLE DO DELETE FROM t",
    "CREATE SQL SECURITY INVOKER VIEW w AS SELECT v FROM t",
)


@dataclass
class Bench:
    """A schema with a program of each kind that belong to one account, and a state database."""

    server: LocalServer
    schema: str
    connection: Connection
    state: Path
    handovers: HandOvers

    async def code(self) -> tuple[Code, ...]:
        async with await open_reader(self.server.server) as reader:
            return (await read_schema(reader, self.schema)).code

    async def hand_over(self) -> None:
        note = partial(self.handovers.note, "branch")
        await hand_over(self.server.server, self.schema, FORMER, NEW, note)

    def killed_at(self, failpoint: str) -> None:
        orders = Orders(self.server.server, self.schema, FORMER, NEW, str(self.state), "branch")
        process = subprocess.run(
            [sys.executable, "-m", "tests.control.handover_victim"],
            input=msgspec.json.encode(orders),
            env={**os.environ, "HEADGATE_FAILPOINT": failpoint},
            check=False,
            capture_output=True,
        )
        assert process.returncode == -9, process.stderr.decode()


@pytest.fixture
async def bench(server: LocalServer, tmp_path: Path) -> AsyncIterator[Bench]:
    engine = open_state(tmp_path / "state.db")
    handovers = HandOvers(engine)
    await handovers.prepare()
    async with fresh_schema(server) as schema, await Connection.open(server.server, database=schema) as link:
        for user in ("handing", "taking"):
            await link.execute(f"CREATE USER IF NOT EXISTS {user} ACCOUNT LOCK")
            await link.execute(f"GRANT ALL ON *.* TO {user}")
        await link.execute("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(60) NOT NULL)")
        for program in PROGRAMS:
            await link.execute(program.replace("CREATE ", f"CREATE DEFINER={FORMER} ", 1))
        await link.execute("CREATE PROCEDURE mine() SELECT 1")
        yield Bench(server, schema, link, tmp_path / "state.db", handovers)
    await engine.dispose()


def owners(code: tuple[Code, ...]) -> set[str]:
    return {each.definer for each in code if each.name != "mine"}


async def test_everything_is_handed_over_and_stays_what_it_was(bench: Bench) -> None:
    before = await bench.code()
    assert owners(before) == {FORMER}
    await bench.hand_over()
    after = await bench.code()
    assert after == before
    assert owners(after) == {NEW}
    assert [each.enabled for each in after] == [each.enabled for each in before]
    assert [each.definer for each in after if each.name == "mine"] == [
        each.definer for each in before if each.name == "mine"
    ]
    await bench.connection.execute("INSERT INTO t VALUES (1, '')")
    assert await bench.connection.fetch_value("SELECT v FROM t") == "abö"
    assert await bench.handovers.begun() == {"branch": None}


@pytest.mark.parametrize("visit", range(1, len(PROGRAMS)))
@pytest.mark.parametrize("server", [Flavor.MYSQL], indirect=True, ids=str)
async def test_a_kill_loses_no_program(bench: Bench, visit: int) -> None:
    """MariaDB replaces each by one statement."""
    before = await bench.code()
    bench.killed_at(f"handed-over:{visit}")
    assert len(await bench.code()) == len(before) - 1
    missing = (await bench.handovers.begun())["branch"]
    assert missing is not None
    await put_back(bench.server.server, bench.schema, missing, partial(bench.handovers.note, "branch"))
    await bench.hand_over()
    after = await bench.code()
    assert after == before
    assert owners(after) == {NEW}
    assert [each.enabled for each in after] == [each.enabled for each in before]
    await bench.connection.execute("INSERT INTO t VALUES (1, '')")
    assert await bench.connection.fetch_value("SELECT v FROM t") == "abö"


async def test_what_was_there_when_putting_back_failed_may_be_dropped_for_good(bench: Bench) -> None:
    before, note = await bench.code(), partial(bench.handovers.note, "branch")
    async with await open_reader(bench.server.server) as reader:
        programs = replace(await read_schema(reader, bench.schema), tables={}, opaque={})
    await note(programs)
    link = bench.connection
    await link.execute("DROP TRIGGER third")
    await link.execute("RENAME TABLE t TO away")
    with pytest.raises(CloneFailed):
        await put_back(bench.server.server, bench.schema, programs, note)
    await link.execute("RENAME TABLE away TO t")
    await link.execute("DROP PROCEDURE p")
    missing = (await bench.handovers.begun())["branch"]
    assert missing is not None
    await put_back(bench.server.server, bench.schema, missing, note)
    assert {code.name for code in await bench.code()} == {code.name for code in before} - {"p"}


async def test_a_view_that_does_not_work_stays_as_it_is(bench: Bench) -> None:
    await bench.connection.execute("ALTER TABLE t CHANGE v u VARCHAR(60) NOT NULL")
    await bench.connection.execute("DROP TRIGGER first")
    await bench.connection.execute("DROP TRIGGER second")
    await bench.connection.execute("DROP TRIGGER third")
    await bench.hand_over()
    assert {each.name: each.definer for each in await bench.code()}["w"] == FORMER
