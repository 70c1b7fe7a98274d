from __future__ import annotations

from datetime import UTC, datetime

from migrator.schema.introspect import read_schema
from migrator.schema.model import Schema
from migrator.schema.order import Observed, Refused
from migrator.schema.replay import replay
from migrator.schema.shapes import SeenShape
from migrator.schema.usage import use_of
from router.model import Server
from router.servers.process import LocalServer
from tests.migrator.schema.corpus import load

AT = datetime(2026, 1, 2, tzinfo=UTC)
BEFORE = """
CREATE TABLE customers (id INT PRIMARY KEY, name VARCHAR(20), nick VARCHAR(20));
CREATE TABLE orders (id INT PRIMARY KEY, customer INT, note TEXT, KEY by_customer (customer));
CREATE TABLE others (id INT PRIMARY KEY);
CREATE VIEW named AS SELECT id, nick FROM customers;
CREATE VIEW twice AS SELECT nick FROM named;
"""
AFTER = """
ALTER TABLE customers DROP COLUMN nick, ADD COLUMN label VARCHAR(20);
ALTER TABLE orders DROP KEY by_customer, ADD COLUMN name VARCHAR(20);
"""


async def both(server: Server, database: str) -> tuple[Schema, Schema]:
    found = []
    async with await load(server, database, []) as connection:
        for step in (BEFORE, AFTER):
            for statement in filter(str.strip, step.split(";\n")):
                await connection.execute(statement)
            found.append(await read_schema(connection, database))
    return found[0], found[1]


def seen(text: str, *, on_branch: bool = False) -> SeenShape:
    return SeenShape(text, 1, 0, AT, AT, ("app",), on_branch, use_of(text))


def errnos(observed: Observed) -> dict[str, tuple[int, int]]:
    def number(refused: Refused | None) -> int:
        return refused.errno if refused else 0

    return {each.shape.text: (number(each.now), number(each.afterwards)) for each in observed.tried}


async def test_statements_are_tried_on_both_schemas(server: LocalServer, database: str) -> None:
    before, after = await both(server.server, database)
    texts = [
        "SELECT id, name FROM customers WHERE id = ? LIMIT ?",
        "SELECT nick FROM shop.customers WHERE id IN (?)",
        "SELECT label FROM customers",
        "INSERT INTO customers VALUES (?, ?, ?)",
        "INSERT INTO orders VALUES (?, ?, ?)",
        "SELECT name FROM customers c JOIN orders o ON o.customer = c.id",
        "SELECT o.note FROM orders o FORCE INDEX (by_customer) WHERE o.customer = ?",
        "SELECT nick FROM twice",
        "SELECT id FROM named",
        "SELECT nowhere FROM customers",
        "SELECT id FROM others",
    ]
    touched = frozenset({"customers", "orders"})
    observed = await replay(
        server.server,
        before,
        after,
        [*map(seen, texts)],
        touched=touched,
        names=frozenset({"shop"}),
        days=2.0,
    )
    assert errnos(observed) == {
        texts[0]: (0, 0),
        texts[1]: (0, 1054),
        texts[2]: (1054, 0),
        texts[3]: (0, 0),
        texts[4]: (0, 1136),
        texts[5]: (0, 1052),
        texts[6]: (0, 1176),
        texts[7]: (0, 1356),
        texts[8]: (0, 1356),
    }
    assert (observed.untried, observed.days) == (1, 2.0)
    assert all("_headgate_proof" not in str(each) for each in observed.tried)


async def test_what_does_not_concern_the_change_is_not_tried(server: LocalServer, database: str) -> None:
    before, after = await both(server.server, database)
    shapes = [seen("SELECT id FROM others"), seen("SELECT id FROM elsewhere")]
    observed = await replay(server.server, before, after, shapes, touched=frozenset({"customers"}), days=1.0)
    assert observed == Observed(1.0)
