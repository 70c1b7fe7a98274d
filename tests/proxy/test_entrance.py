"""What those who have logged in are held to."""

from __future__ import annotations

import pytest

from proxy.wire.constants import Command
from tests.support.proxy import Proxy
from tests.support.raw_client import raw_client


@pytest.mark.parametrize("login", ["app|replica", "dev|replica"])
async def test_who_asked_to_read_from_a_replica_cannot_write_though_the_primary_answers(
    proxy: Proxy, login: str
) -> None:
    async with raw_client(proxy.port, user=login) as client:
        assert await client.query("SELECT 1") == [[b"1"]]
        for statement in (
            b"DELETE FROM nothing",
            b"CREATE TEMPORARY TABLE t (id INT)",
            b"SELECT 1; DELETE FROM t",
        ):
            error = await client.error(Command.QUERY, statement)
            assert (error.errno, error.sqlstate) == (1142, "42000"), statement
        assert (await client.error(Command.STMT_PREPARE, b"DELETE FROM nothing")).errno == 1142
        assert await client.query("SELECT 2") == [[b"2"]]
