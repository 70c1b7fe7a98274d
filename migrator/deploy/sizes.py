"""I read how large tables are on a server and how far they have counted, as it estimates that now."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from migrator.deploy.storage import TableSize
from router.database import Connection
from router.model import Flavor, Server

TABLES: Final = (
    "SELECT TABLE_NAME, TABLE_ROWS, DATA_LENGTH, INDEX_LENGTH, AUTO_INCREMENT "
    "FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_TYPE = 'BASE TABLE'"
)
OF_THESE: Final = " AND TABLE_NAME IN ({})"
FRESH: Final = {
    # Estimates that the server keeps for a day are of no use.
    Flavor.MYSQL: ("SET SESSION information_schema_stats_expiry = 0",),
    Flavor.MARIADB: (),
}
"""What a connection is told first, by family."""


@dataclass(frozen=True, slots=True)
class TableStatus:
    """What a server says of a table, None where it says nothing: rows, bytes, the next AUTO_INCREMENT."""

    rows: int | None
    data_bytes: int | None
    index_bytes: int | None
    auto_increment: int | None

    @property
    def size(self) -> TableSize:
        """How large it is; what nobody knows counts nothing."""
        return TableSize(self.rows or 0, self.data_bytes or 0, self.index_bytes or 0)

    @property
    def bytes(self) -> int | None:
        """Data and indexes together."""
        if self.data_bytes is None or self.index_bytes is None:
            return None
        return self.data_bytes + self.index_bytes


async def read_status(
    link: Connection, schema: str, names: Collection[str] | None = None
) -> dict[str, TableStatus]:
    """Return what the server says of these tables, of all when None; `link` was told `FRESH`."""
    query = TABLES
    if names is not None:
        if not names:
            return {}
        query += OF_THESE.format(", ".join(["%s"] * len(names)))
    return {
        str(name): TableStatus(*(None if value is None else int(value) for value in values))
        for name, *values in await link.fetch_all(query, schema, *(names or ()))
    }


async def read_sizes(
    server: Server, schema: str, names: Collection[str] | None = None
) -> dict[str, TableSize]:
    """Return the sizes of these tables, of all when None."""
    async with await Connection.open(server, setup=FRESH[server.flavor]) as link:
        return {name: status.size for name, status in (await read_status(link, schema, names)).items()}
