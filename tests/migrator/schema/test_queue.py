from __future__ import annotations

from dataclasses import dataclass

from migrator.schema.check import check
from migrator.schema.column_order import ColumnOrder
from migrator.schema.fold import Change
from migrator.schema.introspect import open_reader
from migrator.schema.model import Schema
from migrator.schema.renames import NONE, Renames
from migrator.schema.renames import fold as renames_of
from migrator.schema.verdict import Verdict
from router.model import Server
from router.servers.process import LocalServer
from tests.migrator.schema.corpus import make_database
from tests.migrator.schema.test_verify import schemas

BASE = [
    "CREATE TABLE p (id INT PRIMARY KEY, n INT)",
    "CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT)",
    "CREATE TABLE u (id INT PRIMARY KEY, a INT)",
]


@dataclass
class Branches:
    """Makes branches of one base."""

    server: Server
    database: str

    async def made(self, *statements: str) -> Schema:
        await make_database(self.server, self.database, [*BASE, *statements])
        (schema,) = await schemas(self.server, self.database, "")
        return schema

    async def ahead(self, base: Schema, *changes: tuple[str, ...]) -> list[Change]:
        found = []
        for number, statements in enumerate(changes, 1):
            branch = await self.made(*statements)
            found.append(Change(number, base, branch, renames_of(statements, base, branch)))
        return found

    async def review(
        self,
        *ours: str,
        ahead: tuple[tuple[str, ...], ...],
        production: tuple[str, ...] = (),
        order: ColumnOrder = ColumnOrder.APPEND,
    ) -> Verdict:
        base = await self.made()
        branch = await self.made(*ours)
        renames: Renames = renames_of(ours, base, branch) or NONE
        async with await open_reader(self.server) as scratch:
            return await check(
                scratch,
                base=base,
                branch=branch,
                production=await self.made(*production) if production else base,
                ahead=await self.ahead(base, *ahead),
                renames=renames,
                column_order=order,
            )


async def test_a_request_is_planned_on_top_of_what_is_ahead(server: LocalServer, database: str) -> None:
    review = await Branches(server.server, database).review(
        "ALTER TABLE t ADD COLUMN c INT AFTER b",
        ahead=(("ALTER TABLE t ADD COLUMN x INT AFTER b",), ("ALTER TABLE u ADD COLUMN x INT",)),
    )
    assert not review.conflicts
    assert review.plan.statements == ("ALTER TABLE `t` ADD COLUMN `c` int DEFAULT NULL AFTER `x`",) or (
        "ADD COLUMN `c`" in review.plan.statements[0]
    )
    assert review.start.tables["t"].column_order == ("id", "a", "b", "x")
    assert review.target.tables["t"].column_order == ("id", "a", "b", "x", "c")
    assert review.ahead == {"t", "u"}
    assert "deploy request 1 has gained" in review.notes[0]


async def test_strict_order_conflicts_with_the_request_it_is_about(
    server: LocalServer, database: str
) -> None:
    review = await Branches(server.server, database).review(
        "ALTER TABLE t ADD COLUMN c INT",
        ahead=(("ALTER TABLE u ADD COLUMN x INT",), ("ALTER TABLE t ADD COLUMN x INT",)),
        order=ColumnOrder.STRICT,
    )
    (conflict,) = review.conflicts
    assert (conflict.against, conflict.element, conflict.names) == (2, "column order", ("c", "x"))
    (finding,) = review.findings("headgate branch rebase shop mine")
    assert finding.code == "CONFLICT"
    assert finding.facts["conflict_columns"] == ["c", "x"]
    assert finding.facts["conflict_ddl_verb"] == "ALTER"
    assert finding.advice == "headgate branch rebase shop mine"
    assert "deploy request 2" in finding.sentence


async def test_what_something_ahead_does_alike_is_left_out(server: LocalServer, database: str) -> None:
    add = "ALTER TABLE t ADD COLUMN c INT"
    review = await Branches(server.server, database).review(add, ahead=((add,),))
    assert review.plan.empty
    review = await Branches(server.server, database).review(
        add, "CREATE TABLE more (id INT PRIMARY KEY)", ahead=((add,),)
    )
    assert [operation.table for operation in review.plan.operations] == ["more"]


async def test_elements_that_differ_conflict_with_the_request_ahead(
    server: LocalServer, database: str
) -> None:
    review = await Branches(server.server, database).review(
        "ALTER TABLE t ADD KEY k (a)",
        ahead=(("ALTER TABLE u ADD COLUMN x INT",), ("ALTER TABLE t ADD KEY k (b)",)),
    )
    (conflict,) = review.conflicts
    assert (conflict.table, conflict.element, conflict.against) == ("t", "index k", 2)
    assert review.plan.empty
    (finding,) = review.findings()
    assert finding.facts["conflict_indexes"] == ["k"]


async def test_the_server_finds_conflicts_with_a_request_ahead(server: LocalServer, database: str) -> None:
    review = await Branches(server.server, database).review(
        "ALTER TABLE t ADD KEY k (a)",
        ahead=(("ALTER TABLE u ADD COLUMN x INT",), ("ALTER TABLE t DROP COLUMN a",)),
    )
    (conflict,) = review.conflicts
    assert (conflict.table, conflict.against) == ("t", 2)
    assert "1072" in conflict.error
    mirrored = await Branches(server.server, database).review(
        "ALTER TABLE t DROP COLUMN a",
        ahead=(("ALTER TABLE u ADD COLUMN x INT",), ("ALTER TABLE t ADD KEY k (a)",)),
    )
    assert [conflict.against for conflict in mirrored.conflicts] == [2]


async def test_a_limit_that_only_the_sum_of_all_breaks_is_found(server: LocalServer, database: str) -> None:
    def indexes(prefix: str) -> str:
        return "ALTER TABLE t " + ", ".join(f"ADD KEY {prefix}{number} (a)" for number in range(25))

    review = await Branches(server.server, database).review(
        indexes("z"), ahead=((indexes("x"),), (indexes("y"),))
    )
    assert [conflict.against for conflict in review.conflicts] == [2]
    assert "1069" in review.conflicts[0].error


async def test_a_cycle_of_three_requests_is_no_conflict_of_schemas(
    server: LocalServer, database: str
) -> None:
    def points(table: str, parent: str) -> str:
        return f"ALTER TABLE {table} ADD CONSTRAINT f_{table} FOREIGN KEY (a) REFERENCES {parent} (id)"

    review = await Branches(server.server, database).review(
        "ALTER TABLE p ADD COLUMN a INT",
        "ALTER TABLE p ADD CONSTRAINT f_p FOREIGN KEY (a) REFERENCES t (id)",
        ahead=((points("t", "u"),), (points("u", "p"),)),
    )
    assert not review.conflicts
    assert [operation.table for operation in review.plan.operations] == ["p"]


async def test_dropping_what_something_ahead_points_to_conflicts(server: LocalServer, database: str) -> None:
    review = await Branches(server.server, database).review(
        "DROP TABLE p",
        ahead=(
            ("ALTER TABLE u ADD COLUMN x INT",),
            ("ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES p (id)",),
        ),
    )
    assert [conflict.against for conflict in review.conflicts] == [2]


async def test_a_column_renamed_ahead_conflicts_with_its_use(server: LocalServer, database: str) -> None:
    review = await Branches(server.server, database).review(
        "ALTER TABLE t ADD KEY k (a)", ahead=(("ALTER TABLE t RENAME COLUMN a TO c",),)
    )
    (conflict,) = review.conflicts
    assert (conflict.against, conflict.kind) == (1, "column")
    fine = await Branches(server.server, database).review(
        "ALTER TABLE t ADD KEY k (b)", ahead=(("ALTER TABLE t RENAME COLUMN a TO c",),)
    )
    assert not fine.conflicts


async def test_a_request_ahead_that_cannot_be_deployed_is_passed_over(
    server: LocalServer, database: str
) -> None:
    review = await Branches(server.server, database).review(
        "ALTER TABLE t ADD COLUMN c INT",
        ahead=(("ALTER TABLE u MODIFY a BIGINT",),),
        production=("ALTER TABLE u MODIFY a SMALLINT",),
    )
    assert not review.conflicts
    assert review.plan.operations
    assert "deploy request 1 ahead in the queue cannot be deployed" in review.notes[0]


async def test_requests_on_other_tables_never_conflict(server: LocalServer, database: str) -> None:
    """Whatever the queue holds: disjoint tables are disjoint."""
    branches = Branches(server.server, database)
    review = await branches.review(
        "ALTER TABLE t ADD COLUMN c INT, DROP COLUMN a",
        ahead=(("ALTER TABLE u DROP COLUMN a",), ("DROP TABLE p",), ("CREATE TABLE n (id INT PRIMARY KEY)",)),
    )
    assert not review.conflicts
    assert [operation.table for operation in review.plan.operations] == ["t"]
    assert review.start.tables.keys() == {"t", "u", "n"}
