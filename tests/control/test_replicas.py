"""Replicas that are read from, and those that must not be: real ones, that stop, lag and die."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from control.replicas import replica_lag_s, usable_replicas
from router.database import Connection
from router.model import Account, Address, Flavor, Server, ServerTls, TlsMode
from router.servers.process import LocalServer
from tests.support.servers import free_port, running_server, until

ACCOUNT = Account("headgate_migrator", "a secret of the migrator")
FOLLOW = {
    Flavor.MYSQL: "CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT={port}, "
    "SOURCE_USER='{user}', SOURCE_PASSWORD='{password}', SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1",
    Flavor.MARIADB: "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={port}, "
    "MASTER_USER='{user}', MASTER_PASSWORD='{password}', MASTER_USE_GTID=slave_pos",
}
START = {Flavor.MYSQL: "START REPLICA", Flavor.MARIADB: "START SLAVE"}
STOP_SQL = {Flavor.MYSQL: "STOP REPLICA SQL_THREAD", Flavor.MARIADB: "STOP SLAVE SQL_THREAD"}
MONITOR = {Flavor.MYSQL: "REPLICATION CLIENT", Flavor.MARIADB: "REPLICA MONITOR"}


class Pair:
    """A primary and its replica, both reached by TCP as the migrator."""

    def __init__(self, primary: LocalServer, replica: LocalServer) -> None:
        self.primary = primary
        self.replica = replica

    def by_tcp(self, server: LocalServer) -> Server:
        # A server that has not seen the password yet wants it itself: it goes through TLS.
        mode = TlsMode.REQUIRED if server.server.flavor is Flavor.MYSQL else TlsMode.DISABLED
        address = Address("127.0.0.1", server.server.address.port)
        return replace(server.server, address=address, account=ACCOUNT, tls=ServerTls(mode))

    async def on(self, server: LocalServer, *statements: str) -> None:
        async with await Connection.open(server.server) as connection:
            for statement in statements:
                await connection.execute(statement)

    async def usable(self, lag_max_s: float = 5.0) -> list[int]:
        """The ports of the usable replicas."""
        addresses = [f"127.0.0.1:{self.replica.server.address.port}"]
        found = await usable_replicas(self.by_tcp(self.primary), addresses, lag_max_s=lag_max_s)
        return [server.address.port for server in found]


@pytest.fixture(params=list(Flavor), ids=str)
async def pair(request: pytest.FixtureRequest, server_folder: Path) -> AsyncIterator[Pair]:
    flavor: Flavor = request.param
    async with contextlib.AsyncExitStack() as stack:
        primary, replica = [
            await stack.enter_async_context(
                running_server(
                    flavor,
                    server_folder / f"{name}-{flavor}",
                    port=free_port(),
                    options={"server-id": number, "report-host": "127.0.0.1"},
                )
            )
            for name, number in (("primary", "1"), ("replica", "2"))
        ]
        pair = Pair(primary, replica)
        make = f"CREATE USER {ACCOUNT.user} IDENTIFIED BY '{ACCOUNT.password}'"
        await pair.on(primary, make, f"GRANT REPLICATION SLAVE, {MONITOR[flavor]} ON *.* TO {ACCOUNT.user}")
        follow = FOLLOW[flavor].format(
            port=primary.server.address.port, user=ACCOUNT.user, password=ACCOUNT.password
        )
        await pair.on(replica, follow, START[flavor])
        yield pair


async def test_a_replica_is_usable_while_it_replicates_and_not_when_it_stops(pair: Pair) -> None:
    async def keeps_up() -> bool:
        return await pair.usable() == [pair.replica.server.address.port]

    assert await replica_lag_s(pair.by_tcp(pair.primary)) is None, "it is nobody's replica"
    await until(keeps_up)
    await pair.on(pair.replica, STOP_SQL[pair.replica.server.flavor])
    assert await pair.usable() == []
    await pair.on(pair.replica, START[pair.replica.server.flavor])
    await until(keeps_up)
    assert await replica_lag_s(pair.by_tcp(pair.replica)) == 0
    pair.replica.kill()
    assert await pair.usable() == []
