from __future__ import annotations

from router.database import Connection
from router.model import Address, Flavor, Server
from router.servers.process import LocalServer


async def test_a_started_server_answers_on_its_socket_and_its_port(
    server: LocalServer, database: str
) -> None:
    there = server.server
    tcp = Server(there.flavor, there.version, Address(port=server.port or 0), there.account)
    for place in (there, tcp):
        async with await Connection.open(place, database=database) as connection:
            version = await connection.fetch_value("SELECT VERSION()")
            assert version == there.version
            assert ("MariaDB" in version) is (server.programs.flavor is Flavor.MARIADB)
            assert await connection.fetch_value("SELECT DATABASE()") == database
