"""I run a server and its replica, with GTIDs, and let the replica take the server's place."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from router.database import Connection
from router.model import Flavor
from router.servers.process import LocalServer
from tests.support.servers import free_port, running_server, until

RUNNING = {
    Flavor.MYSQL: "SELECT SERVICE_STATE FROM performance_schema.replication_applier_status",
    Flavor.MARIADB: "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS "
    "WHERE VARIABLE_NAME = 'SLAVE_RUNNING'",
}


@dataclass(frozen=True, slots=True)
class Replicas:
    """`source` is written to, `replica` follows it until it is promoted."""

    source: LocalServer
    replica: LocalServer

    @property
    def flavor(self) -> Flavor:
        """What both are."""
        return self.source.server.flavor

    async def on_source(self, *statements: str) -> None:
        """Run statements on the source."""
        await run(self.source, *statements)

    async def on_replica(self, *statements: str) -> None:
        """Run statements on the replica."""
        await run(self.replica, *statements)

    async def caught_up(self, *, timeout_s: float = 120.0) -> None:
        """Return when the replica has applied everything the source has written by now."""
        mysql = self.flavor is Flavor.MYSQL
        written = await ask(
            self.source, "SELECT @@GLOBAL.gtid_executed" if mysql else "SELECT @@GLOBAL.gtid_binlog_pos"
        )

        async def has_all() -> bool:
            if mysql:
                return bool(
                    await ask(self.replica, f"SELECT GTID_SUBSET('{written}', @@GLOBAL.gtid_executed)")
                )
            applied = str(await ask(self.replica, "SELECT @@GLOBAL.gtid_slave_pos"))
            return set(str(written).split(",")) <= set(applied.split(","))

        await until(has_all, timeout_s=timeout_s)

    async def pause(self) -> None:
        """Let the replica receive, but apply nothing."""
        await self.on_replica(f"STOP {self._word} SQL_THREAD")

    async def resume(self) -> None:
        """Let the replica apply again."""
        await self.on_replica(f"START {self._word} SQL_THREAD")

    async def promote(self) -> LocalServer:
        """Make the replica a server of its own; the former source stays as it is, or dead."""
        await self.on_replica(f"STOP {self._word}", f"RESET {self._word} ALL", "SET GLOBAL read_only = 0")
        return self.replica

    @property
    def _word(self) -> str:
        return "REPLICA" if self.flavor is Flavor.MYSQL else "SLAVE"


@contextlib.asynccontextmanager
async def replica_pair(
    flavor: Flavor, folder: Path, *, options: Mapping[str, str] | None = None, port: int | None = None
) -> AsyncIterator[Replicas]:
    """Run both in folders of their own; `options` are for both, `port` is the source's."""
    replica_options = {**(options or {}), "server-id": "2"}
    async with (
        running_server(flavor, folder / "source", port=port or free_port(), options=options) as source,
        running_server(flavor, folder / "replica", port=free_port(), options=replica_options) as replica,
    ):
        account, port = source.server.account, source.server.address.port
        if flavor is Flavor.MYSQL:
            follow = (
                f"CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = {port}, "
                f"SOURCE_USER = '{account.user}', SOURCE_PASSWORD = '{account.password}', "
                "SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1, SOURCE_HEARTBEAT_PERIOD = 0.5, "
                "SOURCE_CONNECT_RETRY = 1"
            )
            await run(source, "RESET BINARY LOGS AND GTIDS")
            await run(replica, "RESET BINARY LOGS AND GTIDS", follow, "START REPLICA")
        else:
            follow = (
                f"CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = {port}, "
                f"MASTER_USER = '{account.user}', MASTER_PASSWORD = '{account.password}', "
                "MASTER_USE_GTID = slave_pos, MASTER_HEARTBEAT_PERIOD = 0.5, MASTER_CONNECT_RETRY = 1"
            )
            await run(source, "RESET MASTER")
            await run(replica, "RESET MASTER", "SET GLOBAL gtid_slave_pos = ''", follow, "START SLAVE")
        pair = Replicas(source, replica)
        await until(lambda: _running(pair))
        await run(replica, "SET GLOBAL read_only = 1")
        yield pair


async def run(server: LocalServer, *statements: str) -> None:
    """Run statements one after another."""
    async with await Connection.open(server.server) as connection:
        for statement in statements:
            await connection.execute(statement)


async def ask(server: LocalServer, sql: str) -> object:
    """Return the first value of a query."""
    async with await Connection.open(server.server) as connection:
        value: object = await connection.fetch_value(sql)
        return value


async def _running(pair: Replicas) -> bool:
    return await ask(pair.replica, RUNNING[pair.flavor]) == "ON"
