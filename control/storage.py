"""I ask production how large its tables are, and the machine how much room is left for copies of them."""

from __future__ import annotations

import os
from pathlib import Path

from migrator.deploy.storage import Disk, TableSize
from router.database import Connection
from router.model import Flavor, Server

SIZES = (
    "SELECT TABLE_NAME, TABLE_ROWS, DATA_LENGTH, INDEX_LENGTH FROM information_schema.TABLES "
    "WHERE TABLE_SCHEMA = %s AND TABLE_TYPE = 'BASE TABLE'"
)
FRESH = {Flavor.MYSQL: ("SET SESSION information_schema_stats_expiry = 0",), Flavor.MARIADB: ()}
HERE = frozenset({"127.0.0.1", "::1", "localhost"})


async def read_sizes(server: Server, schema: str) -> dict[str, TableSize]:
    """Return the sizes of all tables of a schema, as the server estimates them now."""
    async with await Connection.open(server, setup=FRESH[server.flavor]) as link:
        rows = await link.fetch_all(SIZES, schema)
    return {
        str(name): TableSize(int(count or 0), int(data or 0), int(index or 0))
        for name, count, data, index in rows
    }


async def read_disk(server: Server) -> Disk:
    """Return what is free on the disk with a server's data, where that is this machine's."""
    if server.address.socket is None and server.address.host not in HERE:
        return Disk(None, f"the server is on another machine ({server.address})")
    async with await Connection.open(server) as link:
        folder = Path(str(await link.fetch_value("SELECT @@datadir")))
        own = str(await link.fetch_value("SELECT @@hostname"))
    # What listens on this machine may be a container, or the end of a tunnel: its folder is not ours then.
    if own != os.uname().nodename or not folder.is_dir():
        return Disk(None, f"the data folder {folder} of the server cannot be seen from here")
    found = os.statvfs(folder)
    return Disk(found.f_bavail * found.f_frsize)
