"""Every rule on real schemas of both servers: what it finds, what it leaves, and that its statements work."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from migrator.schema.diff import diff
from migrator.schema.introspect import open_reader, read_schema
from migrator.schema.lint.lint import lint
from migrator.schema.lint.subject import Subject
from migrator.schema.model import ColumnType, Schema
from migrator.schema.recommend import recommend
from migrator.schema.recommend.evidence import Evidence, Use
from migrator.schema.recommend.recommendation import Kind, Recommendation
from migrator.schema.recommend.sequences import retyped
from router.database import Connection
from router.model import Flavor
from router.servers.process import LocalServer

pytestmark = pytest.mark.filterwarnings("ignore::Warning:aiomysql")

NOW = datetime(2026, 11, 20, tzinfo=UTC)
IDLE = Use(NOW - timedelta(days=40), None, "counted by the test")
USED = Use(NOW - timedelta(days=40), NOW - timedelta(days=3), "counted by the test")


class Shop:
    """A database that is changed and read again."""

    def __init__(self, server: LocalServer, database: str) -> None:
        self.server, self.database = server, database

    async def run(self, statements: Iterable[str]) -> None:
        off = ("SET foreign_key_checks = 0",)
        async with await Connection.open(self.server.server, database=self.database, setup=off) as link:
            for statement in statements:
                await link.execute(statement)

    async def follow(self, advice: Iterable[Recommendation]) -> None:
        """Do what is recommended; no lint rule may refuse any of it."""
        for each in advice:
            before = await self.schema()
            await self.run(each.statements)
            after = await self.schema()
            said = lint(Subject(before, after, diff(before, after).operations))
            assert [finding for finding in said if finding.blocks] == [], each.key

    async def schema(self) -> Schema:
        async with await open_reader(self.server.server) as reader:
            return await read_schema(reader, self.database)

    async def advice(self, **known: Any) -> list[Recommendation]:
        return recommend(Evidence(await self.schema(), NOW, **known))


@pytest.fixture
def shop(server: LocalServer, database: str) -> Shop:
    return Shop(server, database)


def found(advice: list[Recommendation], kind: Kind) -> list[tuple[str, str]]:
    return sorted((each.table, each.element) for each in advice if each.kind is kind)


async def test_an_index_that_another_one_makes_superfluous_can_go(shop: Shop) -> None:
    await shop.run(
        [
            "CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT, c VARCHAR(50), d VARCHAR(50), "
            "UNIQUE u (a, b), KEY same_as_u (a, b), KEY first_of_u (a), KEY b1 (b), KEY b2 (b), KEY pk (id), "
            "KEY c_part (c(10)), KEY c_all (c), KEY wide (d, a), UNIQUE narrow (d), UNIQUE narrow_too (d), "
            "FULLTEXT f1 (c), FULLTEXT f2 (c))",
        ]
    )
    advice = await shop.advice(rows={"t": 1234})
    gone = ["b2", "f2", "first_of_u", "narrow_too", "pk", "same_as_u"]
    assert found(advice, Kind.DUPLICATE_INDEX) == [("t", name) for name in gone]
    assert all("about 1,234 rows" in each.reason for each in advice)
    by_name = {each.element: each for each in advice}
    assert "the primary key has the same columns (id)" in by_name["pk"].reason
    assert "in the order of the primary key" in by_name["first_of_u"].reason
    await shop.follow(advice)
    assert await shop.advice() == []


async def test_an_index_that_something_needs_stays(shop: Shop) -> None:
    await shop.run(
        [
            "CREATE TABLE parent (id INT PRIMARY KEY, code INT NOT NULL, x INT, UNIQUE by_code (code), "
            "KEY hinted (x), KEY x_too (x, code))",
            # The foreign key can use either index: one may go. by_code serves the key of the child.
            "CREATE TABLE child (id INT AUTO_INCREMENT, p INT, q INT, PRIMARY KEY (id, p), KEY own (id), "
            "KEY p1 (p), KEY p2 (p, q), FOREIGN KEY (p) REFERENCES parent (code))",
            "CREATE VIEW v AS SELECT id FROM parent FORCE INDEX (hinted) WHERE x = 1",
        ]
    )
    advice = await shop.advice(hinted=frozenset({"hinted"}))
    assert found(advice, Kind.DUPLICATE_INDEX) == [("child", "own"), ("child", "p1")]
    await shop.follow(advice)
    idle = {("child", "p2"): IDLE, ("parent", "by_code"): IDLE, ("parent", "hinted"): IDLE}
    assert found(await shop.advice(indexes=idle, hinted=frozenset({"hinted"})), Kind.UNUSED_INDEX) == []


async def test_an_index_is_unused_only_when_it_was_watched_for_long_enough(shop: Shop) -> None:
    await shop.run(
        [
            "CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT, c INT, d INT, KEY a (a), KEY b (b), "
            "KEY c (c), KEY d (d))"
        ]
    )
    short = replace(IDLE, since=NOW - timedelta(days=27))
    indexes = {("t", "a"): IDLE, ("t", "b"): USED, ("t", "c"): short}
    [one] = await shop.advice(indexes=indexes)
    assert (one.kind, one.element, one.key) == (Kind.UNUSED_INDEX, "a", "unused_index:t:a")
    assert "40 days; counted by the test" in one.reason
    await shop.follow([one])
    assert [index.name for index in (await shop.schema()).tables["t"].indexes] == ["", "b", "c", "d"]


async def test_a_table_is_unused_only_when_nothing_mentions_it(shop: Shop) -> None:
    await shop.run(
        [
            "CREATE TABLE lonely (id INT PRIMARY KEY, a INT, KEY a (a))",
            "CREATE TABLE viewed (id INT PRIMARY KEY)",
            "CREATE TABLE parent (id INT PRIMARY KEY)",
            "CREATE TABLE child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (id))",
            "CREATE TABLE counted (id INT PRIMARY KEY)",
            "CREATE TABLE schema_migrations (version VARCHAR(20) PRIMARY KEY)",
            "CREATE TABLE itself (id INT PRIMARY KEY, up INT, FOREIGN KEY (up) REFERENCES itself (id))",
            "CREATE VIEW v AS SELECT id FROM viewed",
            "CREATE TRIGGER g BEFORE INSERT ON child FOR EACH ROW INSERT INTO counted VALUES (NEW.id)",
        ]
    )
    tables = dict.fromkeys((await shop.schema()).tables, IDLE)
    advice = await shop.advice(
        tables=tables,
        indexes={("lonely", "a"): IDLE},
        spared=frozenset({"schema_migrations"}),
        rows={"lonely": 0, "itself": 7},
    )
    assert found(advice, Kind.UNUSED_TABLE) == [("itself", ""), ("lonely", "")]
    assert len(advice) == 2
    reasons = {each.table: each.reason for each in advice}
    assert "It is empty" in reasons["lonely"]
    assert "about 7 rows" in reasons["itself"]
    await shop.follow(advice)
    assert "lonely" not in (await shop.schema()).tables


async def test_a_sequence_gets_room_before_its_numbers_end(shop: Shop) -> None:
    await shop.run(
        [
            "CREATE TABLE early (id INT PRIMARY KEY AUTO_INCREMENT) AUTO_INCREMENT = 1000000",
            "CREATE TABLE late (id INT UNSIGNED PRIMARY KEY AUTO_INCREMENT, early_id INT) "
            "AUTO_INCREMENT = 2600000001",
            "CREATE TABLE last (id BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT) "
            "AUTO_INCREMENT = 18000000000000000000",
        ]
    )
    [one] = await shop.advice()
    assert (one.kind, one.table, one.element) == (Kind.SEQUENCE_OVERFLOW, "late", "id")
    assert "2,600,000,000" in one.reason
    assert "4,294,967,295 (60.5% used)" in one.reason
    await shop.follow([one])
    column = (await shop.schema()).tables["late"].column("id")
    assert column is not None
    assert (column.type.base, column.type.unsigned, column.auto_increment) == ("bigint", True, True)
    assert await shop.advice() == []


BOUND = (("orders", "parent"), ("items", "order_id"), ("parcels", "item_order"))


async def test_what_foreign_keys_bind_together_changes_together(shop: Shop) -> None:
    await shop.run(
        [
            "CREATE TABLE orders (id INT PRIMARY KEY AUTO_INCREMENT, parent INT, KEY (parent), "
            "FOREIGN KEY (parent) REFERENCES orders (id)) AUTO_INCREMENT = 2000000000",
            "CREATE TABLE items (n INT, order_id INT NOT NULL, PRIMARY KEY (order_id, n), "
            "CONSTRAINT of_order FOREIGN KEY (order_id) REFERENCES orders (id) ON DELETE CASCADE)",
            "CREATE TABLE parcels (id INT PRIMARY KEY, item_order INT, KEY (item_order), "
            "FOREIGN KEY (item_order) REFERENCES items (order_id))",
        ]
        if shop.server.server.flavor is Flavor.MARIADB
        else [
            "CREATE TABLE orders (id INT PRIMARY KEY AUTO_INCREMENT, parent INT, KEY (parent), "
            "FOREIGN KEY (parent) REFERENCES orders (id)) AUTO_INCREMENT = 2000000000",
            "CREATE TABLE items (order_id INT NOT NULL PRIMARY KEY, "
            "CONSTRAINT of_order FOREIGN KEY (order_id) REFERENCES orders (id) ON DELETE CASCADE)",
            "CREATE TABLE parcels (id INT PRIMARY KEY, item_order INT, KEY (item_order), "
            "FOREIGN KEY (item_order) REFERENCES items (order_id))",
        ]
    )
    before = await shop.schema()
    [one] = await shop.advice()
    assert (one.kind, one.table, one.element) == (Kind.SEQUENCE_OVERFLOW_FOREIGN_KEY, "orders", "id")
    assert "items.order_id, orders.parent, parcels.item_order" in one.reason
    assert all("DROP FOREIGN KEY" in statement for statement in one.statements)
    assert len(one.statements) == 2
    arguments = "20" if shop.server.server.flavor is Flavor.MARIADB else None
    steps = retyped(before, [*BOUND, ("orders", "id")], ColumnType("bigint", arguments))
    assert steps[0] == one.statements
    assert all(statement in one.reason for step in steps[1:] for statement in step)
    await shop.run(statement for step in steps for statement in step)
    after = await shop.schema()
    for table, column in (("orders", "id"), *BOUND):
        changed = after.tables[table].column(column)
        assert changed is not None
        assert changed.type.base == "bigint"
    for name, table_before in before.tables.items():
        kept = [key.meaning for key in after.tables[name].foreign_keys]
        assert kept == [key.meaning for key in table_before.foreign_keys]
    assert await shop.advice() == []


async def test_a_column_that_follows_a_sequence_by_name_must_be_as_wide(shop: Shop) -> None:
    await shop.run(
        [
            "CREATE TABLE orders (id BIGINT PRIMARY KEY AUTO_INCREMENT) AUTO_INCREMENT = 2000000001",
            "CREATE TABLE stories (id INT UNSIGNED PRIMARY KEY AUTO_INCREMENT) AUTO_INCREMENT = 10",
            "CREATE TABLE notes (id INT PRIMARY KEY, order_id INT NOT NULL, story_id INT, other_id INT)",
        ]
    )
    [one] = await shop.advice()
    assert (one.kind, one.table, one.element) == (Kind.SEQUENCE_OVERFLOW_FOREIGN_KEY, "notes", "order_id")
    assert "2,147,483,647 (93.1% used)" in one.reason
    await shop.follow([one])
    assert await shop.advice() == []


async def test_text_moves_to_utf8mb4_with_its_order(shop: Shop) -> None:
    await shop.run(
        [
            "CREATE TABLE old (id INT PRIMARY KEY, name VARCHAR(50) NOT NULL DEFAULT 'x', "
            "code VARCHAR(20) COLLATE utf8mb3_bin, body TEXT, kind ENUM('a', 'b'), "
            "plain VARCHAR(9) CHARACTER SET latin1, UNIQUE (name), FULLTEXT (body)) "
            "DEFAULT CHARSET = utf8mb3 COLLATE = utf8mb3_unicode_ci",
            "CREATE TABLE wide_index (id INT PRIMARY KEY, a VARCHAR(1000), KEY (a)) CHARSET = utf8mb3",
            "CREATE TABLE wide_row (id INT PRIMARY KEY, a VARCHAR(20000)) DEFAULT CHARSET = utf8mb3",
            "CREATE TABLE parent (code VARCHAR(9) PRIMARY KEY) DEFAULT CHARSET = utf8mb3",
            "CREATE TABLE child (id INT PRIMARY KEY, code VARCHAR(9), "
            "FOREIGN KEY (code) REFERENCES parent (code)) DEFAULT CHARSET = utf8mb3",
            "CREATE TABLE new (id INT PRIMARY KEY, name VARCHAR(9)) DEFAULT CHARSET = utf8mb4",
        ]
    )
    advice = await shop.advice()
    assert found(advice, Kind.ENCODING_UPGRADE) == [("old", "")]
    assert "name, code, body, kind" in advice[0].reason
    await shop.follow(advice)
    table = (await shop.schema()).tables["old"]
    assert table.collation == "utf8mb4_unicode_ci"
    collations = {column.name: column.collation for column in table.columns}
    assert collations["code"] == "utf8mb4_bin"
    assert collations["kind"] == "utf8mb4_unicode_ci"
    assert str(collations["plain"]).startswith("latin1")
    assert found(await shop.advice(), Kind.ENCODING_UPGRADE) == []
