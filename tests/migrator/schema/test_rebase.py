from __future__ import annotations

from typing import Any

import pytest

from migrator.schema.check import check
from migrator.schema.introspect import open_reader, read_schema
from migrator.schema.merge import Merged, merge
from migrator.schema.model import Schema
from migrator.schema.rebase import Rebased, rebase
from migrator.schema.renames import fold
from router.model import Server
from router.servers.process import LocalServer
from tests.migrator.schema.corpus import make_database

BASE = ["CREATE TABLE t (id INT PRIMARY KEY, a INT)", "CREATE TABLE u (id INT PRIMARY KEY)"]


async def made(server: Server, database: str, *statements: str) -> Schema:
    await make_database(server, database, [*BASE, *statements])
    async with await open_reader(server) as connection:
        return await read_schema(connection, database)


async def rebased(
    server: Server, database: str, branch: list[str], production: list[str]
) -> tuple[Rebased, Schema]:
    """Rebase, and require that the outcome has nothing against it any more."""
    base = await made(server, database)
    ours, theirs = await made(server, database, *branch), await made(server, database, *production)
    async with await open_reader(server) as scratch:
        found = await rebase(
            scratch,
            base=base,
            branch=ours,
            production=theirs,
            renames=fold(branch, base, ours),
            their_renames=fold(production, base, theirs),
        )
        again = await check(
            scratch, base=found.base, branch=found.target, production=theirs, renames=found.renames
        )
    assert not again.conflicts
    assert again.plan.statements == found.plan.statements
    return found, theirs


async def test_a_branch_keeps_its_change_on_production_as_it_is_now(
    server: LocalServer, database: str
) -> None:
    found, production = await rebased(
        server.server,
        database,
        ["ALTER TABLE t ADD COLUMN c INT", "CREATE VIEW v AS SELECT a FROM t"],
        ["ALTER TABLE t ADD COLUMN p INT", "CREATE VIEW w AS SELECT id FROM u"],
    )
    assert not found.left_out
    assert found.base.same_as(production)
    assert found.target.tables["t"].column_order == ("id", "a", "p", "c")
    assert {code.name for code in found.target.code} == {"v", "w"}


async def test_what_conflicts_is_left_out_and_told(server: LocalServer, database: str) -> None:
    found, _ = await rebased(
        server.server,
        database,
        ["ALTER TABLE t MODIFY a BIGINT, ADD COLUMN c INT"],
        ["ALTER TABLE t MODIFY a SMALLINT"],
    )
    (conflict,) = found.left_out
    assert (conflict.table, conflict.element) == ("t", "column a")
    assert found.plan.statements == ("ALTER TABLE `t` ADD COLUMN `c` int DEFAULT NULL",) or (
        "ADD COLUMN `c`" in found.plan.statements[0]
    )
    assert "smallint" in str(found.target.tables["t"].column("a"))


async def test_what_a_server_refuses_is_left_out_with_its_table(server: LocalServer, database: str) -> None:
    found, _ = await rebased(
        server.server,
        database,
        ["ALTER TABLE t ADD KEY k (a)", "ALTER TABLE u ADD COLUMN n INT"],
        ["ALTER TABLE t DROP COLUMN a"],
    )
    (conflict,) = found.left_out
    assert conflict.table == "t"
    assert "1072" in conflict.error
    assert [operation.table for operation in found.plan.operations] == ["u"]


async def test_a_renaming_that_conflicts_is_left_out_and_the_rest_goes_on(
    server: LocalServer, database: str
) -> None:
    found, _ = await rebased(
        server.server,
        database,
        ["ALTER TABLE t RENAME COLUMN a TO b", "ALTER TABLE u ADD COLUMN n INT"],
        ["ALTER TABLE t MODIFY a BIGINT"],
    )
    (conflict,) = found.left_out
    assert "renamed column 'a' to 'b'" in conflict.reason
    assert [operation.table for operation in found.plan.operations] == ["u"]


async def test_a_renaming_stays_one(server: LocalServer, database: str) -> None:
    found, _ = await rebased(
        server.server, database, ["ALTER TABLE t RENAME COLUMN a TO b"], ["ALTER TABLE t ADD COLUMN n INT"]
    )
    assert not found.left_out
    assert found.plan.statements == ("ALTER TABLE `t` RENAME COLUMN `a` TO `b`",)
    assert found.renames.columns == {"t": {"a": "b"}}


async def test_code_that_both_changed_stays_as_production_has_it(server: LocalServer, database: str) -> None:
    found, production = await rebased(
        server.server,
        database,
        ["CREATE VIEW v AS SELECT a FROM t"],
        ["CREATE VIEW v AS SELECT id FROM t"],
    )
    assert [conflict.element for conflict in found.left_out] == ["view v"]
    assert found.target.code == production.code


async def test_the_triggers_of_a_renamed_table_follow_it(server: LocalServer, database: str) -> None:
    trigger = "create trigger g before insert on u for each row set new.id = 1"
    base = await made(server.server, database, trigger)
    ours = await made(server.server, database, trigger, "RENAME TABLE u TO v")
    async with await open_reader(server.server) as scratch:
        renames = fold(["RENAME TABLE u TO v"], base, ours)
        found = await rebase(scratch, base=base, branch=ours, production=base, renames=renames)
        review = await check(scratch, base=base, branch=ours, production=base, renames=renames)
    assert not found.left_out
    assert [(code.name, code.table) for code in found.target.code] == [("g", "v")]
    assert not review.programs
    assert review.plan.statements == ("RENAME TABLE `u` TO `v`",)


@pytest.mark.parametrize(
    ("branch", "production"),
    [
        ("ALTER TABLE u ADD n INT, ADD FOREIGN KEY (n) REFERENCES t (id)", "RENAME TABLE t TO t2"),
        ("CREATE TABLE t2 (id INT PRIMARY KEY)", "RENAME TABLE t TO t2"),
        (
            "ALTER TABLE u ADD n INT, ADD FOREIGN KEY (n) REFERENCES t (id)",
            "ALTER TABLE t RENAME COLUMN id TO i",
        ),
    ],
)
async def test_what_another_table_of_the_branch_has_to_do_with_a_renaming_is_left_out(
    server: LocalServer, database: str, branch: str, production: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    merges = 0

    def counted(*schemas: Schema, **how: Any) -> Merged:
        nonlocal merges
        merges += 1
        assert merges < 9, "it would go on for ever"
        return merge(*schemas, **how)

    monkeypatch.setattr("migrator.schema.rebase.merge", counted)
    found, theirs = await rebased(server.server, database, [branch], [production])
    assert found.left_out
    assert found.target.same_as(theirs)
