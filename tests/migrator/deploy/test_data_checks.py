"""Rows of production are looked at for every data check, in bounded time, and a sample of each is named."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from conf.settings import ThrottleSettings
from migrator.deploy.data_checks import look_at_rows
from migrator.deploy.facts import failing_views, read_facts
from migrator.deploy.linting import examine
from migrator.schema.introspect import open_reader, read_schema
from migrator.schema.lint.facts import DataAnswer
from migrator.schema.lint.finding import Level
from migrator.schema.lint.rules import fk_hash_index
from migrator.schema.lint.subject import Subject
from migrator.schema.model import Schema
from migrator.throttle.throttler import Throttle
from router.database import Connection
from router.model import Flavor, Server
from router.servers.process import LocalServer
from tests.support.servers import fresh_schema

THROTTLE = Throttle(ThrottleSettings(enabled=False))
T = (
    "CREATE TABLE t (id INT UNSIGNED PRIMARY KEY AUTO_INCREMENT, a INT, b VARCHAR(20), e ENUM('x','y'), "
    "d DATETIME, KEY by_a (a))"
)
ROWS = (
    "INSERT INTO t (id, a, b, e, d) VALUES (1, 1, 'one', 'x', '2026-01-01'), "
    "(2, 1000, 'two', 'y', '2026-01-01 10:00'), (3, NULL, 'ONE', 'x', NULL)"
)


async def schema_after(server: Server, database: str, statements: Sequence[str]) -> Schema:
    async with await open_reader(server, database=database) as connection:
        for statement in statements:
            await connection.execute(statement)
        return await read_schema(connection, database)


async def subject_for(
    local: LocalServer, database: str, before: Sequence[str], change: Sequence[str]
) -> Subject:
    """Make production in `database`, and what a branch makes of it elsewhere."""
    production = await schema_after(local.server, database, before)
    async with fresh_schema(local) as branch:
        only_tables = [statement for statement in before if not statement.startswith("INSERT")]
        target = await schema_after(local.server, branch, [*only_tables, *change])
    return Subject(production, target)


CASES = {
    "NULL": ("MODIFY a INT NOT NULL", "SET_NOT_NULL", Level.ERROR, "3"),
    "out of range": ("MODIFY a TINYINT", "NARROWING", Level.ERROR, "2"),
    "fits": ("MODIFY a SMALLINT", "NARROWING", Level.CONFIRM, "no row has values outside"),
    "a member in use": ("MODIFY e ENUM('x')", "ENUM_SET", Level.ERROR, "2"),
    "a time of day": ("MODIFY d DATE", "SILENT_LOSS", Level.CONFIRM, "2"),
    "equal in a collation": ("ADD UNIQUE KEY u (b)", "ADD_UNIQUE", Level.ERROR, "2 times"),
    "duplicate through a constant": (
        "ADD COLUMN n INT NOT NULL DEFAULT 1, ADD UNIQUE KEY u (n)",
        "ADD_UNIQUE",
        Level.ERROR,
        "3 times",
    ),
    "no duplicates": ("ADD UNIQUE KEY u (d)", "ADD_UNIQUE", Level.WARNING, "no row has the same d"),
    "an orphan": ("ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES p (id)", "ADD_FK", Level.ERROR, "2"),
    "a CHECK": ("ADD CONSTRAINT k CHECK (a < 100)", "ADD_CHECK", Level.ERROR, "2"),
}
PARENT = ["CREATE TABLE p (id INT PRIMARY KEY)", "INSERT INTO p VALUES (1)"]


@pytest.mark.parametrize("name", CASES)
async def test_a_row_that_does_not_fit_is_named_or_none_is_there(
    server: LocalServer, database: str, name: str
) -> None:
    clause, code, level, said = CASES[name]
    subject = await subject_for(server, database, [*PARENT, T, ROWS], [f"ALTER TABLE t {clause}"])
    found = [each for each in await examine(subject, server.server, database, THROTTLE) if each.code == code]
    assert [finding.level for finding in found] == [level], found
    assert said in found[0].sentence
    assert found[0].facts["rows"]["looked"] is True


async def test_what_takes_too_long_is_told_as_not_known(server: LocalServer, database: str) -> None:
    rows = ["INSERT INTO t (a, b) VALUES " + ", ".join(f"({n}, 'x{n}')" for n in range(5000))]
    subject = await subject_for(
        server, database, [T, *rows], ["ALTER TABLE t MODIFY a INT NOT NULL, ADD UNIQUE KEY u (b)"]
    )
    answers = await look_at_rows(server.server, database, subject.changes, THROTTLE, seconds=0.0)
    assert {(each.complete, each.found, bool(each.reason)) for each in answers} == {(False, False, True)}
    slow = await look_at_rows(server.server, database, subject.changes, _Slow(), seconds=0.5)
    assert {each.reason for each in slow} == {"looking at all rows takes longer than there is time"}


class _Slow(Throttle):
    """A throttle that never permits anything."""

    def __init__(self) -> None:
        super().__init__(ThrottleSettings(enabled=False))

    async def permit(self, kind: object = None) -> object:  # type: ignore[override]
        await asyncio.Event().wait()
        raise AssertionError


async def test_a_table_without_a_key_is_looked_at_at_once(server: LocalServer, database: str) -> None:
    subject = await subject_for(
        server,
        database,
        ["CREATE TABLE t (a INT)", "INSERT INTO t VALUES (NULL)"],
        ["ALTER TABLE t MODIFY a INT NOT NULL"],
    )
    answers = await look_at_rows(server.server, database, subject.changes, THROTTLE, seconds=10)
    assert answers == (DataAnswer("t", "column 'a'", "NULL", found=True),)


async def test_facts_are_read_live(server: LocalServer, database: str) -> None:
    async with await Connection.open(server.server, database=database) as connection:
        await connection.execute(T)
        await connection.execute(ROWS)
        await connection.execute("ALTER TABLE t AUTO_INCREMENT = 77")
        await connection.execute("CREATE VIEW v AS SELECT a FROM t")
        await connection.execute("CREATE VIEW w AS SELECT e FROM t")
        await connection.execute("ALTER TABLE t ADD COLUMN n INT, ALGORITHM=INSTANT")
        facts = await read_facts(server.server, database, ["t"])
        assert facts.tables.keys() == {"t"}
        assert facts.table("t").auto_increment == 77
        assert facts.now is not None
        assert facts.accounts is not None
        versions = 1 if server.server.flavor is Flavor.MYSQL else None
        assert facts.table("t").row_versions == versions
        await connection.execute("ALTER TABLE t DROP COLUMN a")
        broken = await failing_views(connection, database, ["v", "w"])
    assert broken.keys() == {"v"}


async def test_a_swap_that_may_stall_on_a_hash_index_is_told_and_held_up_by_nothing(
    server: LocalServer, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    children = [
        f"CREATE TABLE c{n} (id INT PRIMARY KEY, CONSTRAINT to_p{n} FOREIGN KEY (id) REFERENCES p (id))"
        for n in range(10)
    ]
    change = ["ALTER TABLE p ADD COLUMN v VARCHAR(20), ADD KEY (v)"]
    # The pool of a server for tests is small.
    monkeypatch.setattr(fk_hash_index, "LARGE_BYTES", 2**20)
    subject = await subject_for(server, database, [*PARENT, *children], change)

    async def told() -> list[str]:
        found = await examine(subject, server.server, database, THROTTLE)
        assert not [finding for finding in found if finding.level in (Level.ERROR, Level.CONFIRM)]
        return [finding.sentence + finding.advice for finding in found if finding.code == "FK_HASH_INDEX"]

    async with await Connection.open(server.server) as connection:
        before = await connection.fetch_value("SELECT @@GLOBAL.innodb_adaptive_hash_index")
        try:
            await connection.execute("SET GLOBAL innodb_adaptive_hash_index = ON")
            (said,) = await told()
            assert "foreign keys of 10 tables refer to 'p'" in said
            # What it says to do is taken by both.
            assert "SET GLOBAL innodb_adaptive_hash_index = OFF" in said
            await connection.execute("SET GLOBAL innodb_adaptive_hash_index = OFF")
            assert await told() == []
        finally:
            await connection.execute("SET GLOBAL innodb_adaptive_hash_index = %s", before)


async def test_production_that_cannot_be_asked_leaves_the_rules_that_need_nothing(
    mysql: LocalServer, mysql_database: str
) -> None:
    subject = await subject_for(mysql, mysql_database, [T], ["ALTER TABLE t DROP COLUMN b"])
    gone = replace(mysql.server, address=replace(mysql.server.address, host="127.0.0.1", port=1, socket=None))
    found = await examine(subject, gone, mysql_database, THROTTLE)
    assert "DROP_COLUMN" in {finding.code for finding in found}
