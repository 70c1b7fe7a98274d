"""A review says what a request would do, or all that is against it, as findings."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from migrator.deploy.findings import Findings
from migrator.deploy.lifecycle import State
from migrator.deploy.request import OperationKind
from migrator.deploy.review import review
from migrator.engine.direct.choose import Method, Strategy
from migrator.engine.forecast import Forecast, forecast
from migrator.schema.fold import Change
from migrator.schema.introspect import open_reader, read_schema
from migrator.schema.lint.finding import Level
from migrator.schema.model import Schema
from migrator.schema.renames import Renames, fold
from router.model import Server
from router.servers.process import LocalServer
from tests.migrator.schema.corpus import make_database

BASE = ["CREATE TABLE t (id INT PRIMARY KEY, a INT)", "CREATE TABLE u (id INT PRIMARY KEY)"]


async def made(server: Server, database: str, *statements: str) -> Schema:
    await make_database(server, database, [*BASE, *statements])
    async with await open_reader(server) as connection:
        return await read_schema(connection, database)


async def reviewed(
    server: Server,
    database: str,
    branch: list[str],
    production: list[str] | None = None,
    ahead: list[str] | None = None,
) -> Findings:
    base = await made(server, database)
    ours, theirs = await made(server, database, *branch), await made(server, database, *production or [])
    changes = [Change(7, base, await made(server, database, *ahead))] if ahead else []
    # What the engine says is asked of the tables as they are.
    await made(server, database, *production or [])
    renames: Renames = fold(branch, base, ours)
    async with await open_reader(server) as scratch:
        return await review(
            scratch,
            base=base,
            branch=ours,
            production=theirs,
            forecast=partial(forecast, server, server, database),
            ahead=changes,
            renames=renames,
            way_out="rebase it",
        )


async def test_a_conflict_is_a_finding_with_the_way_out(server: LocalServer, database: str) -> None:
    found = await reviewed(
        server.server, database, ["ALTER TABLE t MODIFY a BIGINT"], ["ALTER TABLE t MODIFY a SMALLINT"]
    )
    assert found.state is State.ERROR
    (finding,) = found.findings
    assert (finding.code, finding.level, finding.subject, finding.element) == (
        "CONFLICT",
        Level.ERROR,
        "t",
        "column a",
    )
    assert finding.facts["conflict_columns"] == ["a"]
    assert finding.advice == "rebase it"
    assert not found.operations


async def test_a_conflict_with_the_queue_names_the_request(server: LocalServer, database: str) -> None:
    found = await reviewed(
        server.server, database, ["ALTER TABLE t ADD KEY k (a)"], ahead=["ALTER TABLE t DROP COLUMN a"]
    )
    (finding,) = found.findings
    assert finding.key == "CONFLICT:t:the change as a whole #7"
    assert finding.facts["conflict_against"] == 7
    assert "1072" in finding.facts["conflict_error"]


async def test_what_leaves_no_table_is_not_deployed(server: LocalServer, database: str) -> None:
    found = await reviewed(server.server, database, ["DROP TABLE t", "DROP TABLE u"])
    assert found.state is State.ERROR
    assert "EMPTY_SCHEMA" in {finding.code for finding in found.findings if finding.blocks}
    found = await reviewed(server.server, database, ["DROP TABLE t"])
    assert found.state is State.READY


async def test_a_renamed_column_is_one_clause_that_keeps_the_values(
    server: LocalServer, database: str
) -> None:
    found = await reviewed(server.server, database, ["ALTER TABLE t RENAME COLUMN a TO b"])
    (record,) = found.operations
    assert record.renames == {"a": "b"}
    assert record.statements == ("ALTER TABLE `t` RENAME COLUMN `a` TO `b`",)
    assert not record.losses
    choice = record.choices[Strategy.AUTO]
    assert (choice.method, choice.revertible) == (Method.INSTANT, True)
    # Nothing is lost; that the old name is gone from the cut-over on, is to be confirmed.
    assert [finding.key for finding in found.findings if finding.asks] == ["RENAME:t:column a"]


async def test_without_a_word_of_the_renaming_it_is_asked(server: LocalServer, database: str) -> None:
    found = await reviewed(
        server.server, database, ["ALTER TABLE t ADD COLUMN b INT AFTER a", "ALTER TABLE t DROP COLUMN a"]
    )
    asked = {finding.key for finding in found.findings if finding.asks}
    assert asked == {"RENAME:t:column a", "DROP_COLUMN:t:column a"}
    assert found.state is State.READY


async def test_a_renamed_table_is_an_operation_of_its_own(server: LocalServer, database: str) -> None:
    found = await reviewed(server.server, database, ["RENAME TABLE u TO v"])
    (record,) = found.operations
    assert (record.kind, record.table, record.becomes) == (OperationKind.RENAME, "u", "v")
    changed = await reviewed(
        server.server, database, ["RENAME TABLE u TO v", "ALTER TABLE v ADD COLUMN n INT"]
    )
    (finding,) = [each for each in changed.findings if each.blocks]
    assert finding.code == "TABLE_RENAME"
    assert "of its own" in finding.advice


async def test_what_is_changed_ahead_is_not_foreseen_yet(server: LocalServer, database: str) -> None:
    found = await reviewed(
        server.server,
        database,
        ["ALTER TABLE t ADD COLUMN b INT", "ALTER TABLE u ADD COLUMN b INT"],
        ahead=["ALTER TABLE t ADD COLUMN c INT"],
    )
    first, second = found.operations
    assert not first.choices
    assert not first.instant
    assert second.choices
    assert any("is changed ahead in the queue" in text for text in found.warnings)
    assert "`c`" not in "".join(line for line in found.diff["t"].splitlines() if line.startswith("+"))


async def test_what_cannot_be_made_again_is_a_finding(mysql: LocalServer, mysql_database: str) -> None:
    async def nothing(table: str, target: str, renames: Mapping[str, str]) -> Forecast:
        return Forecast()

    child = "CREATE TABLE c (u INT, FOREIGN KEY (u) REFERENCES u (id))"
    base = await made(mysql.server, mysql_database, child)
    branch = await made(mysql.server, mysql_database, child, "SET foreign_key_checks = 0", "DROP TABLE u")
    async with await open_reader(mysql.server) as scratch:
        found = await review(scratch, base=base, branch=branch, production=base, forecast=nothing)
    (finding,) = found.findings
    assert (finding.code, finding.hard, found.state) == ("PROOF_FAILED", True, State.ERROR)
    assert "3730" in finding.sentence
