"""What those who have logged in are held to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.admission import destination
from proxy.branches import Branches
from proxy.entrance import Visitor
from proxy.errors import ProxyError
from proxy.wire.constants import Capability, Command
from router.model import Branch, Role
from router.table import RoutingTable
from tests.support.proxy import Proxy, user
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


async def test_a_client_may_say_of_itself_what_it_likes(proxy: Proxy) -> None:
    odd = {
        "_client_name": "libmysql",
        "_client_version": "9" * 5000 + ".0.1",
    }
    for attributes in (odd, odd | {"_client_version": "8.0.٢٤"}, {"_client_version": "..."}):
        async with raw_client(proxy.port, attributes=attributes) as client:
            assert await client.query("SELECT 1") == [[b"1"]]


@pytest.mark.parametrize("size_bytes", [20_000, 65_400, 75_000])
async def test_long_attributes_do_not_keep_a_client_out(proxy: Proxy, size_bytes: int) -> None:
    attributes = {"program_name": "raw", "x": "y" * size_bytes, "_client_ip": "192.0.2.1"}
    async with raw_client(proxy.port, attributes=attributes) as client:
        assert await client.query("SELECT 1") == [[b"1"]]


@pytest.mark.parametrize("role", [Role.WRITER, Role.REPLICATION, Role.READER])
def test_asking_for_a_replica_gives_nobody_the_right_to_read(role: Role) -> None:
    visitor = Visitor(replace(user(), role=role), "192.0.2.1", 1, Capability(0), 45, replica=True)
    assert visitor.role is role


@pytest.mark.parametrize(("login", "database"), [("app|replica", ""), ("app", "@replica")])
def test_a_writer_is_told_that_a_replica_is_not_for_it(login: str, database: str) -> None:
    writer = replace(user(branch="main"), role=Role.WRITER)
    branches = Branches()
    branches.apply(RoutingTable.of("9.7.0", [writer], [Branch("shop", "main", "shop", False, True, False)]))
    with pytest.raises(ProxyError, match="has the role writer") as caught:
        destination(branches, writer, login, database, tls=True)
    assert caught.value.errno == 1142
