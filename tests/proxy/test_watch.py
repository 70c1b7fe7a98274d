from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from proxy import channel
from proxy.watch import Crowd
from proxy.wire.constants import Command
from router.database import Connection
from router.model import PoolMode
from router.servers.process import LocalServer
from tests.support.proxy import Proxy, production, running_proxy, user
from tests.support.raw_client import raw_client

Key = tuple[str, str, str]


@pytest.fixture(scope="module")
async def table(server: LocalServer, shop: str) -> str:
    async with await Connection.open(server.server, database=shop) as admin:
        await admin.execute("CREATE TABLE watched (a INT PRIMARY KEY, b VARCHAR(20))")
    return "watched"


def seen(proxy: Proxy) -> dict[Key, tuple[int, int]]:
    """How often each shape has run and failed so far, by branch, user and text."""
    counts: Counter[Key] = Counter()
    errors: Counter[Key] = Counter()
    for message in proxy.control.all(channel.Shapes):
        for shape in message.shapes:
            key = shape.branch, shape.user, shape.text
            counts[key] += shape.count
            errors[key] += shape.errors
    return {key: (counts[key], errors[key]) for key in counts}


async def until_seen(proxy: Proxy, matches: Callable[[dict[Key, tuple[int, int]]], bool]) -> None:
    try:
        await proxy.control.wait_for(channel.Shapes, lambda _: matches(seen(proxy)))
    except TimeoutError:
        raise AssertionError(seen(proxy)) from None


async def test_statements_are_counted_by_shape_and_user(proxy: Proxy, table: str) -> None:
    async with raw_client(proxy.port) as client:
        await client.query(f"DELETE FROM {table}")
        for number in range(30):
            await client.query(f"INSERT INTO {table} VALUES ({number}, 'secret {number}')")
        await client.error(Command.QUERY, b"INSERT INTO watched VALUES (1, 'secret')")
        await client.query("SELECT b FROM watched WHERE a = 7 /* secret */")
        await client.query("SHOW TABLES")
    insert = ("main", "app", "INSERT INTO watched VALUES (?, ?)")
    select = ("main", "app", "SELECT b FROM watched WHERE a = ?")
    await until_seen(proxy, lambda all_: all_.get(insert) == (31, 1) and all_.get(select) == (1, 0))
    assert not any("secret" in text or text.startswith("SHOW") for _, _, text in seen(proxy))


async def test_what_is_prepared_is_counted_run_by_run(proxy: Proxy, table: str) -> None:
    text = "SELECT a FROM watched WHERE b = 'prepared'"
    async with raw_client(proxy.port) as client:
        statement = await client.prepare(text)
        for _ in range(5):
            await client.execute(statement)
        await client.prepare("SELECT b FROM watched WHERE a < 5")
    ran = ("main", "app", "SELECT a FROM watched WHERE b = ?")
    prepared = ("main", "app", "SELECT b FROM watched WHERE a < ?")
    await until_seen(proxy, lambda all_: all_.get(ran) == (5, 0) and all_.get(prepared) == (0, 0))


async def test_control_hears_at_once_of_definitions_that_changed(proxy: Proxy, table: str) -> None:
    async with raw_client(proxy.port, user="dev") as client:
        await client.query("CREATE TABLE told (a INT, b VARCHAR(9) DEFAULT 'secret')")
        await client.error(Command.QUERY, b"ALTER TABLE told DROP COLUMN nowhere")
        statement = await client.prepare("ALTER TABLE told RENAME COLUMN a TO c")
        await client.execute(statement)
        await client.query("PREPARE s FROM 'ALTER TABLE told ADD d INT'")
        await client.query("EXECUTE s")
        await client.run(Command.QUERY, b"SELECT 1; ALTER TABLE told RENAME COLUMN c TO e; DROP TABLE told")
    texts = [
        "CREATE TABLE told (a INT, b VARCHAR(1) DEFAULT ?)",
        "ALTER TABLE told RENAME COLUMN a TO c",
        "ALTER TABLE told ADD d INT",
        "ALTER TABLE told RENAME COLUMN c TO e",
        "DROP TABLE told",
    ]
    await proxy.control.wait_for(channel.DefinitionChanged, lambda message: message.text == texts[-1])
    changed = [one for one in proxy.control.all(channel.DefinitionChanged) if "told" in one.text]
    assert [one.text for one in changed] == texts
    assert {(one.branch, one.user) for one in changed} == {("dev", "dev")}


async def test_definitions_wait_for_control_and_nothing_else_is_looked_at_when_off(
    server: LocalServer, shop: str, tmp_path_factory: pytest.TempPathFactory, pool_mode: PoolMode
) -> None:
    main = production(server.server, shop, safe=False)
    folder = tmp_path_factory.mktemp("unwatched")
    off = {"HEADGATE_PROXY_WATCHED_PER_S": "0"}
    async with running_proxy(folder, [main], [user()], environment=off) as proxy:
        async with raw_client(proxy.port) as client:
            await client.query("SELECT 12345")
            proxy.control.hang_up()
            await client.query("CREATE TABLE IF NOT EXISTS waits (a INT)")
            await client.query("DROP TABLE waits")
        await proxy.control.wait_for(channel.DefinitionChanged, lambda message: "DROP" in message.text)
        assert not proxy.control.all(channel.Shapes)


def test_what_a_crowd_counts_is_shared_among_what_was_found_in_it() -> None:
    crowd = Crowd()
    crowd.count, crowd.errors = 11, 3
    assert crowd.take() == []
    crowd.count += 1
    one, other = ("app", "read", "SELECT 1", False), ("app", "read", "SELECT 2", True)
    crowd.looked = [one, other, one]
    assert crowd.take() == [(one, 4, 0), (other, 4, 3), (one, 4, 0)]
    crowd.count = 5
    assert crowd.take() == [(one, 2, 0), (other, 2, 0), (one, 1, 0)]
    assert crowd.take() == []
