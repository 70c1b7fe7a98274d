"""I say which replicas are close enough behind production to be read from."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import structlog

from router.database import Connection
from router.errors import DatabaseError
from router.model import Address, Flavor, Server

log = structlog.get_logger()

ASK_S: Final = 2.0
"""A replica that does not answer within this time is not read from."""


async def usable_replicas(
    production: Server, addresses: Sequence[str], *, lag_max_s: float
) -> tuple[Server, ...]:
    """Return the replicas at these addresses (host:port) that replicate and lag no more than `lag_max_s`.

    They are asked with the account, TLS and key of `production`, side by side. One that cannot be asked, that
    does not replicate, or whose lag is unknown is left out: reading from it could show anything.
    """
    servers = servers_at(production, addresses)
    lags = await asyncio.gather(*(replica_lag_s(server) for server in servers))
    return tuple(
        server
        for server, lag_s in zip(servers, lags, strict=True)
        if lag_s is not None and lag_s <= lag_max_s
    )


def servers_at(production: Server, addresses: Sequence[str]) -> list[Server]:
    """Return the servers at these addresses (host:port), reached as production is."""
    return [replace(production, address=_address(text)) for text in addresses]


async def replica_lag_s(server: Server) -> float | None:
    """Return how far a replica is behind its source, in whole seconds as it says; None when it is not known.

    Source: https://dev.mysql.com/doc/refman/9.7/en/show-replica-status.html (Seconds_Behind_Source) and
    MariaDB's SHOW REPLICA STATUS, whose columns have the older names.
    """
    statement = "SHOW REPLICA STATUS" if server.flavor is Flavor.MYSQL else "SHOW SLAVE STATUS"
    try:
        async with asyncio.timeout(ASK_S), await Connection.open(server, timeout_s=ASK_S) as connection:
            channels = await connection.fetch_dicts(statement)
    except (DatabaseError, TimeoutError) as error:
        log.debug("replica.unreachable", address=str(server.address), reason=str(error))
        return None
    lags = [_lag_s(channel) for channel in channels]
    if not lags or None in lags:
        return None
    return max(lag for lag in lags if lag is not None)


def _lag_s(channel: dict[str, object]) -> float | None:
    """Return the lag of one replication channel; None unless both its threads run."""
    running = [
        channel.get(new, channel.get(old))
        for new, old in (
            ("Replica_IO_Running", "Slave_IO_Running"),
            ("Replica_SQL_Running", "Slave_SQL_Running"),
        )
    ]
    behind = channel.get("Seconds_Behind_Source", channel.get("Seconds_Behind_Master"))
    if running != ["Yes", "Yes"] or behind is None:
        return None
    return float(str(behind))


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    return Address(host.strip("[]"), int(port))
