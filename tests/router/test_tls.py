"""Our own connections to servers by TLS, and without it by a key that is known."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import uvloop

from control.certificate import ensure_certificate
from migrator.engine.log.binlog import _Link
from router.database import Connection
from router.errors import ConnectionLost, DatabaseError
from router.model import Account, Address, Server, ServerTls, TlsMode
from router.servers.process import LocalServer
from router.tls import client_context

PLAIN = ServerTls()
ACCOUNT = Account("by_tls", "a secret that goes over the network")


def over_tcp(server: LocalServer, tls: ServerTls = PLAIN, public_key: str = "") -> Server:
    address = Address("127.0.0.1", server.port or 0)
    return replace(server.server, address=address, account=ACCOUNT, tls=tls, public_key=public_key)


@pytest.fixture(scope="module")
async def admin(mysql: LocalServer) -> AsyncIterator[Connection]:
    async with await Connection.open(mysql.server) as admin:
        await admin.execute(f"CREATE USER {ACCOUNT.user} IDENTIFIED BY '{ACCOUNT.password}'")
        yield admin
        await admin.execute(f"DROP USER {ACCOUNT.user}")


@pytest.fixture
async def forgotten(admin: Connection) -> None:
    """The server has not seen the account's password since its start."""
    await admin.execute("FLUSH PRIVILEGES")


async def cipher(server: Server) -> str:
    async with await Connection.open(server) as connection:
        row = await connection.fetch_one("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
        assert row is not None
        assert await connection.fetch_value("SELECT REPEAT('x', 200000)") == "x" * 200_000
        return str(row[1])


@pytest.mark.usefixtures("forgotten")
@pytest.mark.parametrize("mode", [TlsMode.REQUIRED, TlsMode.VERIFY_CA])
async def test_tls_is_on_when_it_is_asked_for(mysql: LocalServer, mode: TlsMode) -> None:
    tls = ServerTls(mode, "" if mode is TlsMode.REQUIRED else str(mysql.directory / "ca.pem"))
    assert await cipher(over_tcp(mysql, tls))
    # The control process runs on the other event loop.
    assert await asyncio.to_thread(uvloop.run, cipher(over_tcp(mysql, tls)))
    assert await cipher(replace(mysql.server, account=ACCOUNT, tls=ServerTls(TlsMode.REQUIRED)))


@pytest.mark.usefixtures("forgotten")
async def test_without_tls_the_password_is_hidden_by_a_known_key_only(mysql: LocalServer) -> None:
    with pytest.raises(DatabaseError, match=r"production\.public_key"):
        await cipher(over_tcp(mysql))
    assert await cipher(over_tcp(mysql, public_key=str(mysql.directory / "public_key.pem"))) == ""
    # Now the server knows the password, and a proof is enough.
    assert await cipher(over_tcp(mysql)) == ""


@pytest.mark.usefixtures("forgotten")
async def test_a_server_that_is_another_is_not_logged_in_to(mysql: LocalServer, tmp_path: Path) -> None:
    other, _ = ensure_certificate(tmp_path)
    for tls in (
        ServerTls(TlsMode.VERIFY_CA, str(other)),
        ServerTls(TlsMode.VERIFY_IDENTITY, str(mysql.directory / "ca.pem")),
    ):
        with pytest.raises(ConnectionLost, match="certificate verify failed"):
            await cipher(over_tcp(mysql, tls))
    (tmp_path / "empty.pem").touch()
    for file, words in (("missing.pem", "there is no file"), ("empty.pem", "cannot be used")):
        with pytest.raises(ConnectionLost, match=words) as caught:
            await cipher(over_tcp(mysql, ServerTls(TlsMode.VERIFY_CA, str(tmp_path / file))))
        assert file in caught.value.message


async def test_a_server_without_tls_is_not_talked_to_in_the_clear(mariadb: LocalServer) -> None:
    async with await Connection.open(mariadb.server) as connection:
        if await connection.fetch_value("SELECT @@have_ssl") == "YES":
            pytest.skip("this MariaDB has TLS")
    with pytest.raises(DatabaseError, match="does not offer TLS"):
        await cipher(over_tcp(mariadb, ServerTls(TlsMode.REQUIRED)))


def test_settings_are_made_once_as_long_as_the_files_stay(tmp_path: Path) -> None:
    certificate, key = ensure_certificate(tmp_path / "one")
    tls = ServerTls(TlsMode.VERIFY_CA, str(certificate), str(certificate), str(key))
    first = client_context(tls)
    assert first is not None
    assert client_context(tls) is first
    renewed, renewed_key = ensure_certificate(tmp_path / "two")
    renewed_key.replace(key)
    renewed.replace(certificate)
    assert client_context(tls) is not first
    assert client_context(ServerTls()) is None


@pytest.mark.usefixtures("forgotten")
async def test_the_log_is_read_by_tls_too(mysql: LocalServer, admin: Connection) -> None:
    await admin.execute(f"ALTER USER {ACCOUNT.user} REQUIRE SSL")
    tls = ServerTls(TlsMode.VERIFY_CA, str(mysql.directory / "ca.pem"))

    async def talk() -> None:
        link = await _Link.open(over_tcp(mysql, tls))
        await link.ask("SET @there_is_an_answer = 1")
        await link.gather(asyncio.Event())
        await link.ask("SET @there_is_another = 1")
        link.close()

    try:
        await talk()
        # The control process runs on the other event loop, whose transports are of other classes.
        await asyncio.to_thread(uvloop.run, talk())
        with pytest.raises(ConnectionLost, match="Access denied"):
            await _Link.open(over_tcp(mysql, public_key=str(mysql.directory / "public_key.pem")))
    finally:
        await admin.execute(f"ALTER USER {ACCOUNT.user} REQUIRE NONE")
