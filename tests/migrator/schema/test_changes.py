"""Each change of the corpus is planned, proved there and back, and empty when it is planned again."""

from __future__ import annotations

import pytest

from migrator.schema.check import check
from migrator.schema.diff import diff
from migrator.schema.introspect import open_reader, read_schema
from migrator.schema.model import Schema
from migrator.schema.renames import fold
from migrator.schema.verify import prove
from router.model import Server
from router.servers.process import LocalServer
from tests.migrator.schema.corpus import Case, change_cases, make_database

CASES = change_cases()


async def both(server: Server, database: str, case: Case) -> tuple[Schema, Schema]:
    found = []
    for statements in (case.statements["base"], case.statements["base"] + case.statements["branch"]):
        await make_database(server, database, statements)
        async with await open_reader(server) as connection:
            found.append(await read_schema(connection, database))
    return found[0], found[1]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
async def test_a_change_is_proved_there_and_back(server: LocalServer, database: str, case: Case) -> None:
    if case.only and case.only != server.server.flavor:
        return
    base, branch = await both(server.server, database, case)
    renames = fold(case.statements["branch"], base, branch)
    plan = diff(base, branch, renames)
    assert bool(plan.operations) == (case.expect(server.server.flavor) == "proved")
    assert case.plan in "; ".join(plan.statements)
    async with await open_reader(server.server) as scratch:
        proof = await prove(scratch, base, plan, branch)
        assert proof.no_way_back is None
        # What is proved needs no changes any more, and none is found when it is planned once more.
        again = await check(scratch, base=base, branch=branch, production=branch, renames=renames)
    assert again.plan.empty
    assert not diff(branch, branch).operations
