"""I set up what all sections measure with: one server with sysbench's tables, the peers, the programs."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.peers import (
    ACCOUNT,
    DIRECT,
    SCHEMA,
    Certificate,
    Way,
    haproxy,
    make_certificate,
    router,
)
from bench.sysbench import Sysbench
from router.database import Connection
from router.model import Address, Flavor, Server
from router.servers.packages import fetch
from router.servers.process import LocalServer
from router.servers.programs import default_cache
from tests.support.servers import free_port, running_server, session_folder

ROWS: Final = 100_000
TABLES: Final = 4
DURABILITY: Final = {"innodb-flush-log-at-trx-commit": "1", "sync-binlog": "1"}
"""What an embedded production server has: each commit is on disk before it is confirmed."""


@dataclass(frozen=True, slots=True)
class World:
    """One MySQL server and the ways to it that are not ours."""

    folder: Path
    local: LocalServer
    server: Server
    sysbench: Sysbench
    shown: Certificate
    direct: Way
    haproxy: Way
    haproxy_two: Way
    router: Way

    def place(self, name: str) -> Path:
        """Return a folder of its own for a Headgate."""
        return self.folder / "headgate" / name


@contextlib.asynccontextmanager
async def world() -> AsyncIterator[World]:
    """Build everything, and take it away at the end."""
    cache = default_cache()
    programs = [
        await fetch(name, [name], suite, cache)
        for name, suite in (("sysbench", "bookworm"), ("haproxy", "bookworm"), ("mysql-router", "sid"))
    ]
    async with contextlib.AsyncExitStack() as stack:
        folder = stack.enter_context(session_folder())
        shown = make_certificate(folder / "tls")
        options = {
            **DURABILITY,
            "innodb-buffer-pool-size": "512M",
            "max-connections": "500",
            "ssl-cert": str(shown.certificate),
            "ssl-key": str(shown.key),
            "ssl-ca": str(shown.certificate),
        }
        port = free_port()
        local = await stack.enter_async_context(
            running_server(Flavor.MYSQL, folder / "mysql", port=port, options=options)
        )
        async with await Connection.open(local.server) as connection:
            await connection.execute(f"CREATE DATABASE {SCHEMA}")
            await connection.execute(f"CREATE USER {ACCOUNT.user} IDENTIFIED BY %s", ACCOUNT.password)
            await connection.execute(f"GRANT ALL ON {SCHEMA}.* TO {ACCOUNT.user}")
        direct = Way(DIRECT, port, (), port)
        sysbench = Sysbench(programs[0], folder, shown)
        await sysbench.prepare(direct, rows=ROWS, tables=TABLES)
        yield World(
            folder,
            local,
            # By TCP, as the others connect; the socket of an embedded server would cost less.
            Server(Flavor.MYSQL, local.server.version, Address("127.0.0.1", port), ACCOUNT),
            sysbench,
            shown,
            direct,
            await stack.enter_async_context(haproxy(programs[1], folder, port)),
            await stack.enter_async_context(haproxy(programs[1], folder, port, threads=2)),
            await stack.enter_async_context(router(programs[2], folder, port, shown)),
        )
