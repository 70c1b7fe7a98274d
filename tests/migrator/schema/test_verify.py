from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from dataclasses import replace
from random import Random

import pytest

from migrator.schema import verify
from migrator.schema.diff import diff
from migrator.schema.errors import ProofFailed
from migrator.schema.introspect import open_reader, read_schema
from migrator.schema.model import Column, Schema
from migrator.schema.plan import Operation, OperationKind, Plan
from migrator.schema.verify import PREFIX, as_printed_by, drop_leftovers, prove, proving_ground, surroundings
from router.errors import DatabaseError
from router.model import Server
from router.servers.process import LocalServer
from tests.migrator.schema.corpus import drop_databases, load, make_database, split
from tests.migrator.schema.tables import make_family, make_table

# The number of random pairs of tables; set HEADGATE_SCHEMA_PAIRS for a longer run.
PAIRS = int(os.environ.get("HEADGATE_SCHEMA_PAIRS", "60"))
PAIR = ("pair_before", "pair_after")

BASE = "CREATE TABLE t (id INT PRIMARY KEY, n INT);\nCREATE TABLE u (id INT PRIMARY KEY);\n"


async def schemas(server: Server, database: str, *steps: str) -> list[Schema]:
    """Return the schema after each step."""
    found = []
    async with await load(server, database, []) as connection:
        for step in steps:
            for statement in split(step):
                await connection.execute(statement)
            found.append(await read_schema(connection, database))
    return found


async def scratch_databases(server: Server) -> list[object]:
    async with await open_reader(server) as connection:
        pattern = PREFIX.replace("_", r"\_") + "%"
        return await connection.fetch_all("SHOW DATABASES LIKE %s", pattern)


async def test_a_plan_that_does_what_it_should_is_proved(server: LocalServer, database: str) -> None:
    before, after = await schemas(
        server.server, database, BASE, "ALTER TABLE t ADD COLUMN c INT, ADD KEY (n);\n"
    )
    async with await open_reader(server.server) as scratch:
        proof = await prove(scratch, before, diff(before, after), after)
    assert proof.tables["t"].same_as(after.tables["t"])
    assert proof.no_way_back is None
    assert not await scratch_databases(server.server)


async def test_a_plan_that_does_something_else_is_caught(server: LocalServer, database: str) -> None:
    before, after = await schemas(server.server, database, BASE, "ALTER TABLE t ADD COLUMN c INT;\n")
    statement = "ALTER TABLE `t` ADD COLUMN `c` bigint"
    wrong = Plan((Operation(OperationKind.ALTER, "t", (statement,), before.tables["t"], after.tables["t"]),))
    async with await open_reader(server.server) as scratch:
        with pytest.raises(ProofFailed, match=r"(?s)'t' is not as it should be.*`c` bigint") as caught:
            await prove(scratch, before, wrong, after)
    assert caught.value.statement == statement
    assert not await scratch_databases(server.server)


async def test_a_refused_statement_is_told_with_the_servers_words(server: LocalServer, database: str) -> None:
    before, after = await schemas(server.server, database, BASE, "ALTER TABLE t ADD COLUMN c INT;\n")
    statement = "ALTER TABLE `t` DROP COLUMN `nothing`"
    wrong = Plan((Operation(OperationKind.ALTER, "t", (statement,), before.tables["t"], after.tables["t"]),))
    async with await open_reader(server.server) as scratch:
        with pytest.raises(ProofFailed, match="1091") as caught:
            await prove(scratch, before, wrong, after)
    assert (caught.value.statement, caught.value.table) == (statement, "t")


async def test_a_cancelled_proof_leaves_nothing_behind(mysql: LocalServer, mysql_database: str) -> None:
    (before,) = await schemas(mysql.server, mysql_database, BASE)
    started = asyncio.Event()

    async def proof() -> None:
        async with proving_ground(mysql.server, before):
            started.set()
            await asyncio.Event().wait()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(proof())
        await started.wait()
        assert len(await scratch_databases(mysql.server)) == 1
        task.cancel()
    assert not await scratch_databases(mysql.server)


async def test_leftovers_of_a_killed_process_are_dropped(server: LocalServer) -> None:
    await make_database(server.server, PREFIX + "0123456789ab", ["CREATE TABLE t (a INT)"])
    await drop_leftovers(server.server)
    assert not await scratch_databases(server.server)


async def test_tables_tied_to_the_changed_one_are_taken_along(server: LocalServer, database: str) -> None:
    base = (
        "CREATE TABLE p (id INT PRIMARY KEY);\n"
        "CREATE TABLE c (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES p (id));\n"
        "CREATE TABLE other (id INT PRIMARY KEY);\n"
    )
    (schema,) = await schemas(server.server, database, base)
    assert surroundings([schema], ["p"]) == {"p", "c"}
    assert surroundings([schema], ["c"]) == {"p", "c"}
    assert surroundings([schema], ["other"]) == {"other"}


FAMILY = (
    "CREATE TABLE p (id INT PRIMARY KEY, k INT NOT NULL, UNIQUE KEY k (k));\n"
    "CREATE TABLE c (id INT PRIMARY KEY, p INT, KEY (p), CONSTRAINT c_p FOREIGN KEY (p) REFERENCES p (k));\n"
    "CREATE TABLE far (id INT PRIMARY KEY, c INT, KEY c (c), FOREIGN KEY (c) REFERENCES c (id));\n"
    "CREATE TABLE other (id INT PRIMARY KEY);\n"
)


@pytest.mark.parametrize("whole", [False, True], ids=["with what is tied to it", "with all tables"])
@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("p", "DROP TABLE far, c;\nALTER TABLE p DROP KEY k;\n"),
        ("c", "ALTER TABLE c DROP FOREIGN KEY c_p, MODIFY p BIGINT;\n"),
    ],
    ids=["a child is in the way", "the parent is in the way"],
)
async def test_what_is_left_out_of_a_proof_does_not_change_it(
    server: LocalServer, database: str, table: str, change: str, whole: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after = await schemas(server.server, database, FAMILY, change)
    there = replace(after.tables[table], foreign_keys=before.tables[table].foreign_keys)
    after = replace(before, tables={**before.tables, table: there})
    grounds: list[set[str]] = []

    def chosen(schemas: Iterable[Schema], names: Iterable[str]) -> set[str]:
        grounds.append({*before.tables} if whole else surroundings(schemas, names))
        return grounds[-1]

    monkeypatch.setattr(verify, "surroundings", chosen)
    async with await open_reader(server.server) as scratch:
        with pytest.raises(ProofFailed, match=r"(?i)foreign key constraint|incompatible") as caught:
            await prove(scratch, before, diff(before, after), after)
    assert caught.value.table == table
    assert ("other" in grounds[0]) is whole
    assert {"p", "c"} <= grounds[0]


async def test_any_table_becomes_any_other_and_back(server: LocalServer) -> None:
    proved = 0
    for seed in range(PAIRS):
        random = Random(seed)
        proved += await is_proved(server.server, *([make_table(random, server.server.flavor)] for _ in PAIR))
    await drop_databases(server.server, *PAIR)
    assert proved > PAIRS * 0.9, "servers must take nearly all of the tables we make up"


async def test_any_family_of_tables_becomes_any_other_and_back(server: LocalServer) -> None:
    for seed in range(PAIRS // 4):
        random = Random(seed)
        assert await is_proved(server.server, make_family(random), make_family(random))
    await drop_databases(server.server, *PAIR)


async def is_proved(server: Server, *sides: list[str]) -> bool:
    """Prove the way between two schemas and back; False when the server does not take one of them."""
    found = []
    for name, statements in zip(PAIR, sides, strict=True):
        try:
            await make_database(server, name, statements)
        except DatabaseError:
            return False
        async with await open_reader(server) as connection:
            found.append(await read_schema(connection, name))
    before, after = found
    assert not before.opaque
    assert not after.opaque
    async with await open_reader(server) as scratch:
        proof = await prove(scratch, before, diff(before, after), after)
    assert proof.no_way_back is None, sides
    return True


async def test_a_schema_of_another_release_is_compared_in_this_servers_words(
    server: LocalServer, database: str
) -> None:
    before, after = await schemas(server.server, database, BASE, "ALTER TABLE t ADD COLUMN c INT;\n")
    old = {
        name: replace(table, columns=tuple(in_other_words(column) for column in table.columns))
        for name, table in before.tables.items()
    }
    from_old = replace(before, version="5.7.1", tables=old)
    assert not from_old.same_as(before)
    assert (await as_printed_by(server.server, from_old)).same_as(before)
    assert await as_printed_by(server.server, after) is after


def in_other_words(column: Column) -> Column:
    """Return an int column as no release prints it, though all would understand it."""
    return replace(column, type=replace(column.type, base="integer", arguments=None))


async def test_a_scratch_server_that_cannot_hold_a_schema_says_so(server: LocalServer, database: str) -> None:
    (before,) = await schemas(server.server, database, BASE)
    with pytest.raises(ProofFailed, match="cannot hold this schema"):
        async with proving_ground(server.server, replace(before, collation="klingon_ci")):
            pass
    assert not await scratch_databases(server.server)
