"""A name that belongs to one column or table before and to another after is never taken for the same."""

from __future__ import annotations

import pytest

from migrator.schema.check import check
from migrator.schema.introspect import open_reader, read_schema
from migrator.schema.lint.finding import Level
from migrator.schema.model import Schema
from migrator.schema.renames import Reused, fold
from migrator.schema.verdict import Verdict
from router.model import Server
from router.servers.process import LocalServer
from tests.migrator.schema.corpus import make_database

BASE = (
    "CREATE TABLE t (id INT PRIMARY KEY, v INT, v_new BIGINT NOT NULL, KEY k (v))",
    "CREATE TABLE u (id INT PRIMARY KEY)",
)
EXCHANGE = "ALTER TABLE w RENAME COLUMN a TO b, RENAME COLUMN b TO a"
EXCHANGED = "CREATE TABLE w (id INT PRIMARY KEY, a INT, b INT)"


async def made(server: Server, database: str, *statements: str) -> Schema:
    await make_database(server, database, [*statements])
    async with await open_reader(server) as connection:
        return await read_schema(connection, database)


async def checked(
    server: Server, base: Schema, branch: Schema, production: Schema, log: list[str]
) -> Verdict:
    async with await open_reader(server) as scratch:
        renames = fold(log, base, branch)
        return await check(scratch, base=base, branch=branch, production=production, renames=renames)


@pytest.mark.parametrize(
    ("branch", "reused"),
    [
        # The end of every expand and contract.
        (["ALTER TABLE t DROP v", "ALTER TABLE t CHANGE v_new v BIGINT NOT NULL"], Reused("t", "v_new", "v")),
        (["ALTER TABLE t DROP v, RENAME COLUMN v_new TO v"], Reused("t", "v_new", "v")),
        (["ALTER TABLE t RENAME COLUMN v TO w", "ALTER TABLE t ADD v INT"], Reused("t", "v", "w")),
        (["RENAME TABLE t TO t_2025", "CREATE TABLE t (id INT PRIMARY KEY)"], Reused("", "t", "t_2025")),
        (["DROP TABLE u", "RENAME TABLE t TO u"], Reused("", "t", "u")),
    ],
)
async def test_what_is_in_one_does_not_become_what_is_in_the_other(
    server: LocalServer, database: str, branch: list[str], reused: Reused
) -> None:
    base = await made(server.server, database, *BASE)
    ours = await made(server.server, database, *BASE, *branch)
    assert fold(branch, base, ours).reused == (reused,)
    found = await checked(server.server, base, ours, base, branch)
    assert [each.code for each in found.findings("") if each.level is Level.ERROR] == ["TABLE_RENAME"]


async def test_an_exchange_that_is_deployed_is_not_made_again(server: LocalServer, database: str) -> None:
    base = await made(server.server, database, EXCHANGED)
    ours = await made(server.server, database, EXCHANGED, EXCHANGE)
    found = await checked(server.server, base, ours, base, [EXCHANGE])
    assert "RENAME COLUMN" in found.plan.statements[0]
    # The branch has its base still; production has the exchange by now.
    found = await checked(server.server, base, ours, ours, [EXCHANGE])
    assert (found.plan.statements, found.conflicts) == ((), ())
    more = "ALTER TABLE w ADD COLUMN c INT"
    found = await checked(
        server.server,
        base,
        await made(server.server, database, EXCHANGED, EXCHANGE, more),
        ours,
        [EXCHANGE, more],
    )
    assert found.plan.statements == ("ALTER TABLE `w` ADD COLUMN `c` int DEFAULT NULL",) or (
        "ADD COLUMN `c`" in found.plan.statements[0] and "RENAME" not in found.plan.statements[0]
    )
