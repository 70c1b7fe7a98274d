"""Who is connected can be told whatever letters are in the statements that run."""

from __future__ import annotations

import asyncio

from migrator.engine.checks.preflight import check_pending
from migrator.engine.ground.blockers import find_blockers
from migrator.engine.ground.session import end_thread
from migrator.engine.table.shape import read_shape
from migrator.processes import processes
from router.database import Connection
from router.errors import DatabaseError
from router.servers.process import LocalServer
from tests.support.servers import fresh_schema, until

LETTERS = "😀𝄞"


async def test_statements_with_letters_of_four_bytes_keep_nobody_from_telling(server: LocalServer) -> None:
    async with (
        fresh_schema(server) as here,
        await Connection.open(server.server, database=here) as client,
        await Connection.open(server.server, database=here) as admin,
    ):
        await admin.execute("CREATE TABLE t (id INT PRIMARY KEY, v TEXT) DEFAULT CHARSET = utf8mb4")
        await admin.execute("INSERT INTO t VALUES (1, 'x')")
        shape = await read_shape(admin, here, "t")
        assert shape is not None
        await client.execute("BEGIN")
        await client.execute("UPDATE t SET v = 'y'")
        running = asyncio.ensure_future(client.fetch_all(f"SELECT SLEEP(600), '{LETTERS}' FROM t"))
        try:

            async def runs() -> bool:
                return any(
                    each.id == client.thread_id and "SLEEP" in each.info
                    for each in await processes(admin, full=True)
                )

            await until(runs)
            await check_pending(admin, shape)
        finally:
            await end_thread(admin, client.thread_id)
            assert isinstance((await asyncio.gather(running, return_exceptions=True))[0], DatabaseError)
        assert not any(each.id == client.thread_id for each in await processes(admin))


async def test_a_transaction_is_seen_as_soon_as_such_a_statement_is_over(server: LocalServer) -> None:
    async with (
        fresh_schema(server) as here,
        await Connection.open(server.server, database=here) as client,
        await Connection.open(server.server, database=here) as other,
        await Connection.open(server.server, database=here) as admin,
    ):
        await admin.execute("CREATE TABLE t (id INT PRIMARY KEY)")
        await admin.execute("CREATE TABLE u (id INT PRIMARY KEY)")
        for connection, table in ((client, "t"), (other, "u")):
            await connection.execute("BEGIN")
            await connection.execute(f"INSERT INTO {table} VALUES (1)")
        running = asyncio.ensure_future(other.fetch_all(f"SELECT SLEEP(0.3), '{LETTERS}'"))

        async def seen() -> bool:
            found = await find_blockers(admin, [(here, "t")], {admin.thread_id}, old_s=0.0)
            return [each.thread for each in found] == [client.thread_id]

        await until(seen)
        await running
