from __future__ import annotations

import pytest

from migrator.schema.check import check
from migrator.schema.column_order import ColumnOrder
from migrator.schema.errors import ProofFailed, SchemaError
from migrator.schema.introspect import open_reader, read_schema
from migrator.schema.lint.finding import Level
from migrator.schema.model import Schema
from migrator.schema.renames import fold
from migrator.schema.verdict import Verdict
from router.model import Flavor, Server
from router.servers.process import LocalServer
from tests.migrator.schema.corpus import Case, conflict_cases, drop_databases, make_database

CASES = conflict_cases()


async def sides(server: Server, database: str, case: Case) -> list[Schema]:
    """Return base, branch and production of a case."""
    found = []
    for section in ("base", "branch", "production"):
        statements = case.statements["base"] + (case.statements[section] if section != "base" else [])
        await make_database(server, database, statements)
        async with await open_reader(server) as connection:
            found.append(await read_schema(connection, database))
    return found


def verdict(review: Verdict) -> str:
    if review.conflicts:
        return "conflict"
    return "ok" if review.plan.operations else "nothing"


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
async def test_two_changes_go_together_or_not_whoever_came_first(
    server: LocalServer, database: str, case: Case
) -> None:
    base, branch, production = await sides(server.server, database, case)
    ours, theirs = (
        fold(case.statements[side], base, schema)
        for side, schema in (("branch", branch), ("production", production))
    )
    async with await open_reader(server.server) as scratch:

        async def both(order: ColumnOrder) -> tuple[Verdict, Verdict]:
            return (
                await check(
                    scratch,
                    base=base,
                    branch=branch,
                    production=production,
                    renames=ours,
                    their_renames=theirs,
                    column_order=order,
                ),
                await check(
                    scratch,
                    base=base,
                    branch=production,
                    production=branch,
                    renames=theirs,
                    their_renames=ours,
                    column_order=order,
                ),
            )

        review, mirrored = await both(ColumnOrder.APPEND)
        if case.strict:
            assert [verdict(each) for each in await both(ColumnOrder.STRICT)] == [case.strict] * 2
    expected = case.expect(server.server.flavor)
    assert verdict(review) == expected, review
    assert (verdict(mirrored) == "conflict") == (expected == "conflict"), mirrored
    assert case.plan in "; ".join(review.plan.statements)
    assert case.note in "; ".join(review.notes)
    assert case.reason in "; ".join(map(str, review.conflicts))
    if expected != "ok":
        assert review.target == production


async def test_a_branch_without_changes_has_nothing_to_deploy(server: LocalServer, database: str) -> None:
    case = Case("", {"base": ["CREATE TABLE t (a INT)"], "branch": [], "production": []})
    base, branch, production = await sides(server.server, database, case)
    async with await open_reader(server.server) as scratch:
        review = await check(scratch, base=base, branch=branch, production=production)
    assert review.plan.empty
    assert review.target == production


async def test_the_target_is_what_the_server_makes_of_it(server: LocalServer, database: str) -> None:
    branch_does = ["ALTER TABLE t ADD COLUMN b INT"]
    branch_does += [
        "CREATE TABLE n (id INT PRIMARY KEY AUTO_INCREMENT) AUTO_INCREMENT=1000",
        "DROP TABLE gone",
    ]
    case = Case("", {"base": ["CREATE TABLE t (a INT)", "CREATE TABLE gone (a INT)"], "branch": branch_does})
    case.statements["production"] = []
    base, branch, production = await sides(server.server, database, case)
    async with await open_reader(server.server) as scratch:
        review = await check(scratch, base=base, branch=branch, production=production)
        assert [operation.kind.value for operation in review.plan.operations] == ["create", "alter", "drop"]
        assert review.plan.operations[2].losses == ("table 'gone' with all its rows",)
        assert review.targets.keys() == {"t", "n"}
        assert "AUTO_INCREMENT=1000" in review.targets["n"]
        again = await check(scratch, base=review.target, branch=branch, production=review.target)
    assert again.plan.empty


async def test_a_renamed_column_is_told_to_be_a_loss(server: LocalServer, database: str) -> None:
    branch_does = ["ALTER TABLE t RENAME COLUMN a TO b"]
    case = Case("", {"base": ["CREATE TABLE t (id INT, a INT)"], "branch": branch_does, "production": []})
    base, branch, production = await sides(server.server, database, case)
    async with await open_reader(server.server) as scratch:
        review = await check(scratch, base=base, branch=branch, production=production)
    assert review.plan.operations[0].losses == ("every value of column 'a'",)
    (question,) = review.remarks
    assert "'a' was renamed to 'b'" in question.sentence
    assert (question.code, question.level, question.key) == (
        "RENAME",
        Level.CONFIRM,
        "RENAME:t:column a",
    )


async def test_changes_of_views_and_triggers_are_found_until_production_has_them(
    server: LocalServer, database: str
) -> None:
    base_has = ["CREATE TABLE t (a INT)", "CREATE VIEW v AS SELECT a FROM t"]
    branch_does = [
        "CREATE OR REPLACE VIEW v AS SELECT a + 1 AS a FROM t",
        "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET NEW.a = 1",
    ]
    case = Case("", {"base": base_has, "branch": branch_does, "production": []})
    base, branch, production = await sides(server.server, database, case)
    async with await open_reader(server.server) as scratch:
        review = await check(scratch, base=base, branch=branch, production=production)
        known = await check(scratch, base=base, branch=branch, production=branch)
    assert review.plan.unsupported == ()
    assert [(change.kind, change.name) for change in review.views] == [("ALTER", "v")]
    assert [(change.verb, change.name) for change in review.programs] == [("CREATE", "g")]
    assert known.plan.empty
    assert known.views == ()
    assert known.programs == ()


async def test_views_are_changed_in_an_order_that_works_and_tried_first(
    server: LocalServer, database: str
) -> None:
    base_has = [
        "CREATE TABLE t (a INT)",
        "CREATE VIEW gone AS SELECT a FROM t",
        "CREATE VIEW both_sides AS SELECT a FROM t",
    ]
    branch_does = [
        "ALTER TABLE t ADD COLUMN b INT",
        "CREATE VIEW z AS SELECT b FROM t",
        "CREATE VIEW a AS SELECT b FROM z",
        "DROP VIEW gone",
        "CREATE OR REPLACE VIEW both_sides AS SELECT a + 1 AS a FROM t",
    ]
    production_does = ["CREATE OR REPLACE VIEW both_sides AS SELECT a + 2 AS a FROM t"]
    case = Case("", {"base": base_has, "branch": branch_does, "production": production_does})
    base, branch, production = await sides(server.server, database, case)
    async with await open_reader(server.server) as scratch:
        review = await check(scratch, base=base, branch=branch, production=production)
    assert [(change.kind, change.name) for change in review.views] == [
        ("CREATE", "z"),
        ("CREATE", "a"),
        ("DROP", "gone"),
    ]
    assert [sentence.split(" on ")[0] for sentence in review.plan.unsupported] == [
        "view 'both_sides' was changed differently"
    ]


async def test_a_new_view_that_does_not_work_on_production_is_told(
    server: LocalServer, database: str
) -> None:
    base_has = ["CREATE TABLE t (a INT)", "CREATE TABLE gone (a INT)"]
    branch_does = ["CREATE VIEW v AS SELECT a FROM gone"]
    case = Case("", {"base": base_has, "branch": branch_does, "production": ["DROP TABLE gone"]})
    base, branch, production = await sides(server.server, database, case)
    async with await open_reader(server.server) as scratch:
        review = await check(scratch, base=base, branch=branch, production=production)
    assert review.broken_views.keys() == {"v"}


async def test_a_view_that_would_break_is_told(server: LocalServer, database: str) -> None:
    base_has = [
        "CREATE TABLE t (a INT, b INT)",
        "CREATE TABLE gone (a INT)",
        "CREATE TABLE u (a INT, b INT)",
        "CREATE FUNCTION plus(x INT) RETURNS INT DETERMINISTIC RETURN x + 1",
        "CREATE VIEW v AS SELECT a, plus(b) AS c FROM t",
        "CREATE VIEW wide AS SELECT c FROM v",
        "CREATE VIEW fine AS SELECT a FROM t",
        "CREATE VIEW broken AS SELECT a FROM gone",
        "DROP TABLE gone",
    ]
    case = Case("", {"base": base_has, "branch": ["ALTER TABLE t DROP COLUMN b"], "production": []})
    base, branch, production = await sides(server.server, database, case)
    async with await open_reader(server.server) as scratch:
        review = await check(scratch, base=base, branch=branch, production=production)
    assert review.broken_views.keys() == {"v", "wide"}
    assert review.plan.operations


async def test_a_change_to_a_table_we_cannot_print_back_is_told(
    mariadb: LocalServer, mariadb_database: str
) -> None:
    base_has = ["CREATE TABLE t (a INT) WITH SYSTEM VERSIONING", "CREATE TABLE u (a INT)"]
    branch_does = ["SET system_versioning_alter_history = KEEP", "ALTER TABLE t ADD COLUMN b INT"]
    case = Case("", {"base": base_has, "branch": branch_does, "production": []})
    base, branch, production = await sides(mariadb.server, mariadb_database, case)
    async with await open_reader(mariadb.server) as scratch:
        review = await check(scratch, base=base, branch=branch, production=production)
    assert len(review.plan.unsupported) == 1
    assert "SYSTEM VERSIONING" in review.plan.unsupported[0]
    assert not review.plan.operations


async def test_a_change_that_cannot_be_repeated_is_no_conflict(
    mysql: LocalServer, mysql_database: str
) -> None:
    base_has = [
        "CREATE TABLE p (id INT PRIMARY KEY)",
        "CREATE TABLE c (p INT, FOREIGN KEY (p) REFERENCES p (id))",
    ]
    case = Case("", {"base": base_has, "branch": ["SET foreign_key_checks = 0", "DROP TABLE p"]})
    case.statements["production"] = []
    base, branch, production = await sides(mysql.server, mysql_database, case)
    async with await open_reader(mysql.server) as scratch:
        with pytest.raises(ProofFailed, match="3730"):
            await check(scratch, base=base, branch=branch, production=production)


async def test_schemas_of_two_flavours_are_not_compared(mysql: LocalServer, mysql_database: str) -> None:
    async with await open_reader(mysql.server) as scratch:
        schema = await read_schema(scratch, mysql_database)
        other = Schema(Flavor.MARIADB, "10.11", "utf8mb4_general_ci")
        with pytest.raises(SchemaError, match="cannot be compared"):
            await check(scratch, base=schema, branch=other, production=schema)
    await drop_databases(mysql.server)
