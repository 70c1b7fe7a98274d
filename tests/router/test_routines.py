from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from router.accounts import make_migrator_account
from router.database import Connection
from router.model import Account, Server
from router.routines import warn_of_programs
from router.servers.process import LocalServer

MIGRATOR = Account("routines_migrator", "secret of the migrator")


@pytest.fixture
async def owner(server: LocalServer, database: str) -> AsyncIterator[Connection]:
    """A connection of the account that defines what tests define."""
    async with await Connection.open(server.server, database=database) as owner:
        await owner.execute("CREATE TABLE t (id INT PRIMARY KEY)")
        yield owner
        await owner.execute("DROP USER IF EXISTS routines_migrator, routines_weak, routines_strong")


async def warnings(server: Server, database: str, *proved: str) -> list[str]:
    return await warn_of_programs(server, database, proved)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("BEGIN ALTER TABLE t ADD COLUMN a INT; END", "definition statements"),
        ("BEGIN IF 1 THEN /* ; */ DROP TABLE t; END IF; END", "definition statements"),
        ("TRUNCATE TABLE t", "definition statements"),
        ("BEGIN SET @a = 'x'; PREPARE s FROM @a; EXECUTE s; DEALLOCATE PREPARE s; END", "text as statements"),
        ("CALL sys.execute_prepared_stmt('DROP TABLE t')", "text as statements"),
    ],
)
async def test_a_procedure_that_could_change_the_schema_for_its_caller_is_named(
    server: LocalServer, database: str, owner: Connection, body: str, found: str
) -> None:
    await owner.execute(f"CREATE PROCEDURE p() {body}")
    (warning,) = await warnings(server.server, database)
    assert warning.startswith(f"the procedure {database}.p runs {found} as tester@%, past the guard")
    assert await warnings(server.server, database, "tester") == []


@pytest.mark.parametrize(
    "body",
    [
        "SELECT 1",
        "BEGIN INSERT INTO t VALUES (TRUNCATE(1.5, 0)); SELECT 'DROP TABLE t' AS `create`; END",
        "BEGIN CREATE TEMPORARY TABLE x (a INT); DROP TEMPORARY TABLE x; /* DROP TABLE t */ END",
        "SQL SECURITY INVOKER DROP TABLE t",
    ],
)
async def test_a_harmless_procedure_is_not(
    server: LocalServer, database: str, owner: Connection, body: str
) -> None:
    await owner.execute(f"CREATE PROCEDURE p() {body}")
    assert await warnings(server.server, database) == []


async def test_an_event_counts_whoever_switched_it_on(
    server: LocalServer, database: str, owner: Connection
) -> None:
    await owner.execute("CREATE EVENT e ON SCHEDULE EVERY 1 DAY DISABLE DO DROP TABLE t")
    (warning,) = await warnings(server.server, database)
    assert warning.startswith(f"the event {database}.e runs definition statements as tester@%")


async def test_what_a_definer_may_do_decides_when_it_can_be_seen(
    server: LocalServer, database: str, owner: Connection
) -> None:
    await owner.execute("CREATE USER routines_weak, routines_strong")
    await owner.execute(f"GRANT SELECT, INSERT ON {database}.* TO routines_weak")
    await owner.execute(f"GRANT DROP ON {database}.* TO routines_strong")
    for name in ("weak", "strong"):
        await owner.execute(f"CREATE DEFINER = routines_{name}@`%` PROCEDURE {name}() DROP TABLE t")
    (warning,) = await warnings(server.server, database)
    assert f"{database}.strong runs" in warning


async def test_the_migrators_account_can_read_what_it_needs_and_takes_nothing_for_granted(
    server: LocalServer, database: str, owner: Connection
) -> None:
    await make_migrator_account(owner, MIGRATOR, database)
    await owner.execute("CREATE PROCEDURE harmless() SELECT 1")
    await owner.execute("CREATE PROCEDURE p() DROP TABLE t")
    await owner.execute("CREATE EVENT e ON SCHEDULE EVERY 1 DAY DISABLE DO SELECT 1")
    (warning,) = await warnings(replace(server.server, account=MIGRATOR), database)
    assert f"{database}.p runs definition statements" in warning
