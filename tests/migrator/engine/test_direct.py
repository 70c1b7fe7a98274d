"""Tables are changed at once where the server can, undone by the inverse, whatever happens in between."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from migrator.engine.direct.choose import Choice, Facts, Method, Shortcut, Strategy, Tried, choose, shortcuts
from migrator.engine.direct.direct import Direct, read_facts, try_shortcuts
from migrator.engine.ground.operation import Phase
from migrator.engine.ground.state import prepare_state
from migrator.errors import MigratorError, OwnershipUnknown, Refused, SourceChanged, WrongPhase
from migrator.schema.introspect import open_reader, read_table
from migrator.schema.render import render_create
from router.database import Connection
from router.model import Flavor
from router.servers.process import LocalServer
from tests.migrator.engine.direct_victim import Orders
from tests.migrator.engine.ledger import OpenGate
from tests.migrator.engine.victims import killed
from tests.support.servers import until

BEFORE = (
    "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(10), n INT NOT NULL DEFAULT 1, "
    "e ENUM('a','b'), KEY v (v), KEY n (n), CONSTRAINT positive CHECK (n > 0))"
)
ADD = "ADD COLUMN phone VARCHAR(20) NOT NULL DEFAULT 'none' AFTER id"


async def tried(server: LocalServer, database: str, connection: Connection, clauses: str) -> list[Tried]:
    """Say what this server makes of a change of table t, tried on tables of the same definition."""
    await connection.execute("CREATE DATABASE IF NOT EXISTS scratch_direct")
    await connection.execute("DROP TABLE IF EXISTS scratch_direct.t")
    try:
        await connection.execute(f"CREATE TABLE scratch_direct.t LIKE {database}.t")
        await connection.execute(f"ALTER TABLE scratch_direct.t {clauses}")
        async with await open_reader(server.server) as reader:
            before = await read_table(reader, database, "t")
            after = await read_table(reader, "scratch_direct", "t")
        await connection.execute("DROP TABLE scratch_direct.t")
        async with await Connection.open(server.server, database="scratch_direct") as scratch:
            return await try_shortcuts(scratch, render_create(before), shortcuts(before, after))
    finally:
        await connection.execute("DROP DATABASE scratch_direct")


async def chosen(
    server: LocalServer,
    database: str,
    connection: Connection,
    clauses: str,
    strategy: Strategy = Strategy.AUTO,
) -> Choice:
    facts = await read_facts(connection, database, "t")
    return choose(strategy, await tried(server, database, connection, clauses), facts)


async def way_of(server: LocalServer, database: str, connection: Connection, clauses: str) -> Shortcut:
    choice = await chosen(server, database, connection, clauses)
    assert choice.way is not None, choice
    return choice.way


def changing(server: LocalServer, database: str, way: Shortcut, gate: OpenGate | None = None) -> Direct:
    return Direct(f"direct-{database}", server.server, database, "t", "", way, gate)


async def definition(connection: Connection) -> str:
    row = await connection.fetch_one("SHOW CREATE TABLE t")
    assert row is not None
    return str(row[1])


CHOICES = [
    (ADD, Method.INSTANT, Method.INSTANT),
    ("ADD COLUMN x INT, ALTER COLUMN n SET DEFAULT 5", Method.INSTANT, Method.INSTANT),
    ("DROP COLUMN e", Method.SHADOW, {Flavor.MYSQL: Method.INSTANT, Flavor.MARIADB: Method.INSTANT}),
    ("MODIFY COLUMN e ENUM('a','b','c')", Method.SHADOW, Method.INSTANT),
    (
        "MODIFY COLUMN v VARCHAR(20)",
        Method.SHADOW,
        {Flavor.MYSQL: Method.INPLACE, Flavor.MARIADB: Method.INSTANT},
    ),
    # MariaDB needs no longer length bytes for what was at most 127 bytes long.
    ("MODIFY COLUMN v VARCHAR(300)", Method.SHADOW, {Flavor.MARIADB: Method.INSTANT}),
    ("MODIFY COLUMN n BIGINT NOT NULL DEFAULT 1", Method.SHADOW, None),
    ("COMMENT='phones'", {Flavor.MYSQL: Method.INPLACE, Flavor.MARIADB: Method.INSTANT}, None),
    ("RENAME INDEX v TO w", {Flavor.MYSQL: Method.INPLACE, Flavor.MARIADB: Method.INSTANT}, None),
    ("ADD INDEX vn (v, n)", Method.INPLACE, None),
    ("DROP INDEX v", Method.HIDE_INDEX, Method.HIDE_INDEX),
    ("DROP INDEX v, DROP INDEX n", Method.HIDE_INDEX, Method.HIDE_INDEX),
    ("ADD UNIQUE u (v)", Method.SHADOW, None),
    ("ADD CONSTRAINT CHECK (n < 900)", Method.SHADOW, None),
]


@pytest.mark.parametrize(("clauses", "auto", "instant"), CHOICES, ids=[case[0] for case in CHOICES])
async def test_the_server_says_which_way_a_change_can_go(
    server: LocalServer,
    database: str,
    connection: Connection,
    clauses: str,
    auto: Method | dict[Flavor, Method],
    instant: Method | dict[Flavor, Method] | None,
) -> None:
    await connection.execute(BEFORE)
    flavor = server.server.flavor
    wanted = auto if isinstance(auto, Method) else auto[flavor]
    choice = await chosen(server, database, connection, clauses)
    assert choice.method is wanted, choice
    assert choice.revertible
    if wanted is not Method.SHADOW:
        return
    at_once_by = instant if isinstance(instant, Method) else (instant or {}).get(flavor)
    if at_once_by is None:
        with pytest.raises(Refused, match="cop"):
            await chosen(server, database, connection, clauses, Strategy.INSTANT)
        return
    at_once = await chosen(server, database, connection, clauses, Strategy.INSTANT)
    assert at_once.method is at_once_by, at_once
    assert not at_once.revertible
    copied = await chosen(server, database, connection, clauses, Strategy.REVERTIBLE)
    assert copied.method is Method.SHADOW


def test_what_is_known_of_the_table_can_speak_against_a_way() -> None:
    add = Shortcut(Method.INSTANT, "ADD COLUMN x INT, ALGORITHM=INSTANT", "DROP COLUMN x, ALGORITHM=INSTANT")
    index = Shortcut(Method.INPLACE, "ADD INDEX x (x)", "DROP INDEX x", builds=True)
    hide = Shortcut(Method.HIDE_INDEX, "…", "…", "…")

    def auto(way: Shortcut, facts: Facts) -> Choice:
        return choose(Strategy.AUTO, [Tried(way, None)], facts)

    assert auto(add, Facts((8, 0, 32), row_versions=62)).method is Method.INSTANT
    assert auto(add, Facts((8, 0, 32), row_versions=63)).method is Method.SHADOW
    assert auto(add, Facts((9, 7, 4), row_versions=253)).method is Method.INSTANT
    assert auto(add, Facts((9, 7, 4), row_versions=254)).method is Method.SHADOW
    for broken in ((8, 0, 29), (8, 0, 30), (8, 0, 31)):
        assert "may corrupt" in auto(add, Facts(broken)).reason
    assert auto(index, Facts((9, 7, 4))).method is Method.INPLACE
    assert "replicas" in auto(index, Facts((9, 7, 4), replicated=True)).reason
    assert "too large" in auto(index, Facts((9, 7, 4), bytes=10**9)).reason
    assert "foreign key" in auto(hide, Facts((9, 7, 4), referenced=True)).reason


async def test_an_index_that_a_foreign_key_needs_is_not_hidden(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await connection.execute("CREATE TABLE p (id INT PRIMARY KEY)")
    await connection.execute(
        "CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT, KEY a (a), KEY ab (a, b), KEY b (b), "
        "FOREIGN KEY (a) REFERENCES p (id))"
    )
    async with await open_reader(server.server) as reader:
        before = await read_table(reader, database, "t")

    def without(name: str) -> list[Method]:
        kept = tuple(index for index in before.indexes if index.name != name)
        return [way.method for way in shortcuts(before, replace(before, indexes=kept))]

    assert Method.HIDE_INDEX not in without("ab")
    assert without("b")[0] is Method.HIDE_INDEX


@pytest.mark.parametrize("clauses", [ADD, "COMMENT='x'", "RENAME INDEX v TO w", "ADD INDEX vn (v, n)"])
async def test_a_table_is_changed_at_once_and_back_under_writers(
    server: LocalServer, database: str, connection: Connection, clauses: str
) -> None:
    await connection.execute(BEFORE)
    before = await definition(connection)
    way = await way_of(server, database, connection, clauses)
    gate = OpenGate()
    operation = changing(server, database, way, gate)
    errors: list[Exception] = []
    written = 0
    stop = False

    async def write() -> None:
        nonlocal written
        async with await Connection.open(server.server, database=database) as own:
            while not stop:
                try:
                    await own.execute("INSERT INTO t (v) VALUES ('x')")
                    written += 1
                except Exception as error:
                    errors.append(error)

    writers = [asyncio.ensure_future(write()) for _ in range(3)]
    try:
        await operation.prepare()
        assert operation.status().phase is Phase.READY
        assert [row[0] for row in await connection.fetch_all("SHOW TABLES")] == ["t"]
        cut = await operation.cut_over()
        assert cut.attempts >= 1
        after = await definition(connection)
        assert _bare(after) != _bare(before)
        goal = written + 20
        await until(lambda: written > goal)
        assert operation.status().revert_blocked is None
        await operation.revert()
        assert _bare(await definition(connection)) == _bare(before)
        await operation.finalize()
        assert operation.status().phase is Phase.FINALIZED
    finally:
        stop = True
        await asyncio.gather(*writers)
        await operation.close()
    assert errors == []
    assert await connection.fetch_value("SELECT COUNT(*) FROM t") == written
    assert gate.closed == gate.opened == (0 if way.builds else gate.closed)


def _bare(create: str) -> str:
    return "\n".join(line for line in create.split("\n") if not line.startswith(")")) + (
        "commented" if "COMMENT='x'" in create else ""
    )


async def test_what_it_was_tried_on_is_nobodys_afterwards(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await prepare_state(server.server)
    await connection.execute(BEFORE)
    direct = changing(server, database, await way_of(server, database, connection, ADD))
    try:
        await direct.prepare()
        await connection.execute("CREATE TABLE t__hg1_new (precious INT)")
        await direct.cut_over()
        await direct.finalize()
    finally:
        await direct.close()
    assert await connection.fetch_all("SHOW TABLES LIKE 't__hg1_new'")
    garbage = "SELECT table_name FROM _headgate.garbage WHERE table_schema = %s"
    assert await connection.fetch_all(garbage, database) == []


async def test_an_index_is_hidden_first_and_dropped_when_the_window_ends(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await connection.execute(BEFORE)
    way = await way_of(server, database, connection, "DROP INDEX v")
    operation = changing(server, database, way)
    try:
        await operation.prepare()
        await operation.cut_over()
        assert "KEY `v`" in await definition(connection)
        plan = str(await connection.fetch_all("EXPLAIN SELECT id FROM t WHERE v = 'x'"))
        assert "'v'" not in plan
        await operation.revert()
        assert _bare(await definition(connection)) == _bare(await _fresh(connection))
        await operation.finalize()
    finally:
        await operation.close()
    await connection.execute("DELETE FROM _headgate.operation WHERE id = %s", f"direct-{database}")
    again = changing(server, database, way)
    try:
        await again.prepare()
        await again.cut_over()
        await again.finalize()
        assert "KEY `v`" not in await definition(connection)
    finally:
        await again.close()


async def _fresh(connection: Connection) -> str:
    await connection.execute("DROP TABLE IF EXISTS fresh")
    await connection.execute(BEFORE.replace("TABLE t", "TABLE fresh").replace("positive", "positive2"))
    row = await connection.fetch_one("SHOW CREATE TABLE fresh")
    await connection.execute("DROP TABLE fresh")
    assert row is not None
    return str(row[1]).replace("`fresh`", "`t`").replace("positive2", "positive")


async def test_trying_a_way_uses_none_of_the_shapes_that_rows_may_have(
    mysql: LocalServer, mysql_database: str
) -> None:
    await prepare_state(mysql.server)
    async with await Connection.open(mysql.server, database=mysql_database) as connection:
        await connection.execute(BEFORE)
        way = await way_of(mysql, mysql_database, connection, ADD)
        operation = changing(mysql, mysql_database, way)
        try:
            await operation.prepare()
            assert (await read_facts(connection, mysql_database, "t")).row_versions == 0
            await operation.cut_over()
            assert (await read_facts(connection, mysql_database, "t")).row_versions == 1
            await operation.revert()
            assert (await read_facts(connection, mysql_database, "t")).row_versions == 2
        finally:
            await operation.close()


async def test_a_table_in_use_is_changed_later_and_the_blocker_is_shown(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await connection.execute(BEFORE)
    way = await way_of(server, database, connection, ADD)
    gate = OpenGate()
    operation = changing(server, database, way, gate)
    try:
        await operation.prepare()
        async with await Connection.open(server.server, database=database) as other:
            await other.execute("START TRANSACTION")
            await other.execute("INSERT INTO t (v) VALUES ('held')")
            changing_now = asyncio.ensure_future(operation.cut_over())
            await until(lambda: "trying again" in operation.status().activity)
            if server.server.flavor is Flavor.MYSQL:
                await until(lambda: f"connection {other.thread_id}" in operation.status().activity)
            # Nobody waits behind it.
            async with asyncio.timeout(120):
                await connection.execute("INSERT INTO t (v) VALUES ('free')")
            await other.execute("COMMIT")
        assert (await changing_now).attempts > 1
        assert gate.closed == gate.opened
    finally:
        await operation.close()


async def test_somebody_elses_change_meanwhile_ends_it(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await connection.execute(BEFORE)
    operation = changing(server, database, await way_of(server, database, connection, ADD))
    try:
        await operation.prepare()
        await connection.execute("ALTER TABLE t ADD COLUMN mine INT")
        with pytest.raises(SourceChanged):
            await operation.cut_over()
        await operation.cancel()
        assert "phone" not in await definition(connection)
    finally:
        await operation.close()


async def test_what_is_for_good_says_so_and_is_not_reverted(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await connection.execute(BEFORE)
    choice = await chosen(server, database, connection, "DROP COLUMN e", Strategy.INSTANT)
    assert choice.way is not None
    operation = changing(server, database, choice.way)
    try:
        await operation.prepare()
        await operation.cut_over()
        assert "for good" in (operation.status().revert_blocked or "")
        with pytest.raises(WrongPhase, match="for good"):
            await operation.revert()
        await operation.finalize()
        assert "`e`" not in await definition(connection)
    finally:
        await operation.close()


async def test_a_way_that_the_server_does_not_take_is_refused_before_anything(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await connection.execute(BEFORE)
    way = Shortcut(Method.INSTANT, "MODIFY COLUMN n BIGINT NOT NULL DEFAULT 1, ALGORITHM=INSTANT", None)
    operation = changing(server, database, way)
    try:
        with pytest.raises(Refused, match="strategy revertible"):
            await operation.prepare()
        await operation.cancel()
        assert [row[0] for row in await connection.fetch_all("SHOW TABLES")] == ["t"]
    finally:
        await operation.close()


PARTITIONED = (
    "CREATE TABLE t (id INT PRIMARY KEY) PARTITION BY RANGE (id) "
    "(PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN (20))"
)


async def test_a_partition_is_added_and_taken_back_while_it_is_empty(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await connection.execute(PARTITIONED)
    await connection.execute("INSERT INTO t VALUES (1), (11)")
    way = await way_of(server, database, connection, "ADD PARTITION (PARTITION p2 VALUES LESS THAN (30))")
    assert way.method is Method.PARTITION
    operation = changing(server, database, way)
    try:
        await operation.prepare()
        await operation.cut_over()
        await connection.execute("INSERT INTO t VALUES (21)")
        with pytest.raises(MigratorError, match="no place in the old definition"):
            await operation.revert()
        await connection.execute("DELETE FROM t WHERE id = 21")
        await operation.revert()
        assert "p2" not in await definition(connection)
        assert await connection.fetch_all("SELECT id FROM t ORDER BY id") == [(1,), (11,)]
        await operation.finalize()
    finally:
        await operation.close()


async def test_a_partition_is_dropped_only_at_once_and_for_good(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await connection.execute(PARTITIONED)
    await connection.execute("INSERT INTO t VALUES (1), (11)")
    clauses = "DROP PARTITION p0"
    assert (await chosen(server, database, connection, clauses)).method is Method.SHADOW
    choice = await chosen(server, database, connection, clauses, Strategy.INSTANT)
    assert choice.method is Method.PARTITION
    assert not choice.revertible
    assert choice.way is not None
    operation = changing(server, database, choice.way)
    try:
        await operation.prepare()
        await operation.cut_over()
        assert await connection.fetch_all("SELECT id FROM t") == [(11,)]
    finally:
        await operation.close()


KILLED = [
    ("direct-ready", ["prepare"], Phase.READY),
    ("before-direct", ["prepare", "cut_over"], Phase.READY),
    ("after-direct", ["prepare", "cut_over"], Phase.REVERTIBLE),
    ("before-direct:2", ["prepare", "cut_over", "revert"], Phase.REVERTIBLE),
    ("after-direct:2", ["prepare", "cut_over", "revert"], Phase.REVERTED),
    ("before-finish", ["prepare", "cut_over", "finalize"], Phase.REVERTIBLE),
    ("after-finish", ["prepare", "cut_over", "finalize"], Phase.REVERTIBLE),
]


@pytest.mark.parametrize("clauses", [ADD, "DROP INDEX v"])
@pytest.mark.parametrize(("failpoint", "steps", "phase"), KILLED, ids=[case[0] for case in KILLED])
async def test_after_a_kill_the_definition_says_what_happened(
    server: LocalServer,
    database: str,
    connection: Connection,
    clauses: str,
    failpoint: str,
    steps: list[str],
    phase: Phase,
) -> None:
    if "finish" in failpoint and clauses == ADD:
        return  # nothing is left for the end
    await connection.execute(BEFORE)
    before = await definition(connection)
    way = await way_of(server, database, connection, clauses)
    await killed(Orders(server=server.server, schema=database, way=way, steps=steps), failpoint)
    operation = changing(server, database, way)
    try:
        await operation.prepare()
        assert operation.status().phase is phase
        if phase is Phase.READY:
            assert await definition(connection) == before
            await operation.cut_over()
        if phase is Phase.REVERTED:
            assert _bare(await definition(connection)) == _bare(before)
        else:
            assert await definition(connection) != before
        await operation.finalize()
        assert [row[0] for row in await connection.fetch_all("SHOW TABLES")] == ["t"]
        if clauses != ADD and phase is not Phase.REVERTED:
            assert "KEY `v`" not in await definition(connection)
    finally:
        await operation.close()


async def test_a_definition_that_fits_nothing_after_a_kill_stops_everything(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await connection.execute(BEFORE)
    way = await way_of(server, database, connection, ADD)
    operation = changing(server, database, way)
    await operation.prepare()
    await operation.close()
    await connection.execute("UPDATE _headgate.operation SET phase = 'cutting' WHERE id = %s", operation.id)
    await connection.execute("ALTER TABLE t ADD COLUMN mine INT")
    again = changing(server, database, way)
    try:
        with pytest.raises(OwnershipUnknown):
            await again.prepare()
    finally:
        await again.close()
