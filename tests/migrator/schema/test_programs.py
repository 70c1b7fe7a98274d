from __future__ import annotations

from dataclasses import replace

import pytest

from migrator.schema.check import check
from migrator.schema.errors import NotCanonical
from migrator.schema.introspect import open_reader
from migrator.schema.model import Code, CodeKind, Schema
from migrator.schema.program_text import (
    event_schedule,
    event_status,
    renamed,
    split_head,
    trigger_before,
    trigger_moment,
    with_status,
)
from migrator.schema.programs import program_changes
from migrator.schema.verdict import Verdict
from router.model import Flavor
from router.servers.process import LocalServer
from tests.migrator.schema.corpus import Case
from tests.migrator.schema.test_check import sides

EMPTY = Schema(Flavor.MYSQL, "9.7.4", "utf8mb4_0900_ai_ci")


def procedure(body: str, name: str = "p") -> Code:
    return Code(CodeKind.PROCEDURE, name, f"CREATE PROCEDURE `{name}`() {body}")


def schema(*code: Code) -> Schema:
    return replace(EMPTY, code=code)


@pytest.mark.parametrize(
    ("base", "branch", "production", "expected"),
    [
        ([], ["SELECT 1"], [], "CREATE"),
        (["SELECT 1"], ["SELECT 2"], ["SELECT 1"], "ALTER"),
        (["SELECT 1"], [], ["SELECT 1"], "DROP"),
        (["SELECT 1"], ["SELECT 1"], ["SELECT 2"], "nothing"),
        (["SELECT 1"], ["SELECT 1"], [], "nothing"),
        (["SELECT 1"], ["SELECT 2"], ["SELECT 2"], "nothing"),
        (["SELECT 1"], [], [], "nothing"),
        ([], ["SELECT 1"], ["SELECT 1"], "nothing"),
        ([], ["SELECT 1"], ["SELECT 2"], "conflict"),
        (["SELECT 1"], ["SELECT 2"], ["SELECT 3"], "conflict"),
        (["SELECT 1"], [], ["SELECT 2"], "conflict"),
        (["SELECT 1"], ["SELECT 2"], [], "conflict"),
    ],
)
def test_what_one_side_changed_is_carried_over_and_what_both_did_conflicts(
    base: list[str], branch: list[str], production: list[str], expected: str
) -> None:
    old, ours, theirs = (schema(*map(procedure, side)) for side in (base, branch, production))
    found = program_changes(old, ours, theirs, theirs)
    verdict = "conflict" if found.conflicts else found.changes[0].verb if found.changes else "nothing"
    assert verdict == expected
    if found.conflicts:
        assert found.conflicts[0].element == "procedure p"
        mirrored = program_changes(old, theirs, ours, ours)
        assert mirrored.conflicts


def test_heads_are_read_whatever_quotes_they_have() -> None:
    text = b'CREATE DEFINER="a""x"@"%" PROCEDURE "p"() SELECT 1'
    head = split_head(text, "p")
    assert (head.definer, head.kind, head.rest) == ('`a"x`@`%`', "PROCEDURE", b"() SELECT 1")
    assert renamed(text, "p", "q") == b'CREATE DEFINER="a""x"@"%" PROCEDURE `q`() SELECT 1'
    assert split_head(b"CREATE PACKAGE BODY `p` AS END", "p").kind == "PACKAGE BODY"
    with pytest.raises(NotCanonical, match="'p' begins"):
        split_head(b"CREATE /* x */ PROCEDURE p() SELECT 1", "p")
    with pytest.raises(NotCanonical, match="'p' begins"):
        renamed(b"PROCEDURE p() SELECT 1", "p", "q")
    with pytest.raises(NotCanonical, match="head of a trigger"):
        trigger_moment("CREATE TRIGGER x")


def test_a_trigger_is_put_before_another() -> None:
    text = (
        "CREATE TRIGGER `before insert on` /* x */ after\nupdate ON `t` FOR EACH ROW SET @a = 'FOR EACH ROW'"
    )
    assert trigger_moment(text) == "AFTER UPDATE"
    assert trigger_before(text.encode(), "o`r").endswith(
        b"ON `t` FOR EACH ROW PRECEDES `o``r` SET @a = 'FOR EACH ROW'"
    )


def test_an_events_status_is_told_apart_from_its_body() -> None:
    head = b"CREATE EVENT `e` ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' "
    text = head + b"ON COMPLETION NOT PRESERVE DISABLE ON SLAVE DO SELECT 'ON COMPLETION PRESERVE ENABLE'"
    assert event_status(text) == "DISABLE ON SLAVE"
    assert with_status(text, "ENABLE") == text.replace(b"DISABLE ON SLAVE", b"ENABLE")
    assert event_schedule(text) == b" ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00'"


async def reviewed(
    server: LocalServer, database: str, base: list[str], branch: list[str], production: list[str]
) -> Verdict:
    case = Case("", {"base": base, "branch": branch, "production": production})
    old, ours, theirs = await sides(server.server, database, case)
    async with await open_reader(server.server) as scratch:
        return await check(scratch, base=old, branch=ours, production=theirs)


TRIGGER = "CREATE TRIGGER {} BEFORE INSERT ON t FOR EACH ROW SET @{} = NEW.a"


async def test_triggers_come_in_the_order_of_the_branch_around_those_of_production(
    server: LocalServer, database: str
) -> None:
    base = ["CREATE TABLE t (a INT)", TRIGGER.format("m", "m"), TRIGGER.format("z", "z")]
    branch = [
        TRIGGER.format("first", "first").replace("SET", "PRECEDES m SET"),
        "DROP TRIGGER m",
        TRIGGER.format("m", "other").replace("SET", "PRECEDES z SET"),
        TRIGGER.format("y", "y"),
        TRIGGER.format("x", "x"),
    ]
    review = await reviewed(server, database, base, branch, [TRIGGER.format("own", "own")])
    assert [(change.name, change.place) for change in review.programs] == [
        ("first", "m"),
        ("m", "z"),
        ("y", ""),
        ("x", ""),
    ]
    assert [code.name for code in review.target.code] == ["first", "m", "z", "own", "y", "x"]
    assert "FOR EACH ROW PRECEDES `z`" in review.programs[1].statements[1]


async def test_triggers_go_with_their_table_and_need_it(server: LocalServer, database: str) -> None:
    base = ["CREATE TABLE t (a INT)", "CREATE TABLE other (a INT)", TRIGGER.format("g", "g")]
    review = await reviewed(server, database, base, ["DROP TABLE t"], [])
    assert review.programs == ()
    assert review.target.code == ()
    review = await reviewed(server, database, base[:2], [TRIGGER.format("n", "n")], ["DROP TABLE t"])
    assert [conflict.element for conflict in review.conflicts] == ["trigger n"]


async def test_what_is_not_deployed_of_triggers_is_told(server: LocalServer, database: str) -> None:
    base = [
        "CREATE TABLE t (a INT)",
        "CREATE TABLE o (a INT)",
        TRIGGER.format("g", "g"),
        TRIGGER.format("h", "h"),
    ]
    again = ["DROP TRIGGER g", TRIGGER.format("g", "g")]
    review = await reviewed(server, database, base, again, [])
    assert "fire in another order ('h', 'g')" in review.plan.unsupported[0]
    # The way out that it names.
    commented = [
        "DROP TRIGGER g",
        TRIGGER.format("g", "g").replace("FOR EACH ROW", "FOR EACH ROW /* last */"),
    ]
    review = await reviewed(server, database, base, commented, [])
    assert review.plan.unsupported == ()
    assert [code.name for code in review.target.code] == ["h", "g"]
    moved = ["DROP TRIGGER h", TRIGGER.format("h", "h").replace("ON t", "ON o")]
    review = await reviewed(server, database, base, moved, [])
    assert "moves from table 't' to 'o'" in review.plan.unsupported[0]


async def test_a_trigger_that_names_a_column_that_goes_is_told_unless_it_is_changed_too(
    server: LocalServer, database: str
) -> None:
    base = ["CREATE TABLE t (a INT, b INT)", TRIGGER.format("g", "g")]
    review = await reviewed(server, database, base, ["ALTER TABLE t DROP COLUMN a"], [])
    assert review.plan.unsupported[0].startswith("trigger 'g' would not work")
    branch = [
        "DROP TRIGGER g",
        "ALTER TABLE t DROP COLUMN a",
        TRIGGER.format("g", "g").replace("NEW.a", "NEW.b"),
    ]
    review = await reviewed(server, database, base, branch, [])
    assert review.plan.unsupported == ()
    assert [change.verb for change in review.programs] == ["ALTER"]


async def test_every_kind_is_tried_on_the_scratch_server(server: LocalServer, database: str) -> None:
    branch = [
        "CREATE FUNCTION f(x INT) RETURNS INT DETERMINISTIC RETURN x + 1",
        "CREATE PROCEDURE p() SELECT f(1)",
        "CREATE EVENT e ON SCHEDULE EVERY 1 DAY STARTS '2037-01-01 00:00:00' DO CALL p()",
        TRIGGER.format("g", "g"),
        "CREATE VIEW v AS SELECT f(a) AS b FROM t",
    ]
    review = await reviewed(server, database, ["CREATE TABLE t (a INT)"], branch, [])
    assert review.plan.unsupported == ()
    assert [change.kind.value for change in review.programs] == ["FUNCTION", "PROCEDURE", "TRIGGER", "EVENT"]


async def test_packages_are_tried_together(mariadb: LocalServer, mariadb_database: str) -> None:
    branch = [
        "SET sql_mode = 'ORACLE'",
        "CREATE PACKAGE k AS PROCEDURE p(); END",
        "CREATE PACKAGE BODY k AS PROCEDURE p() AS BEGIN SELECT 1; END; END",
    ]
    review = await reviewed(mariadb, mariadb_database, ["CREATE TABLE t (a INT)"], branch, [])
    assert review.plan.unsupported == ()
    assert [change.kind.value for change in review.programs] == ["PACKAGE", "PACKAGE BODY"]
    base = ["CREATE TABLE t (a INT)", *branch]
    again = ["SET sql_mode = 'ORACLE'", branch[2].replace("CREATE", "CREATE OR REPLACE").replace("1", "2")]
    review = await reviewed(mariadb, mariadb_database, base, again, [])
    assert review.plan.unsupported == ()
    assert [change.kind.value for change in review.programs] == ["PACKAGE BODY"]
