"""Connections to servers: with TLS that is really there, or with a password that nobody else can read."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import uvloop

from control.certificate import ensure_certificate
from proxy.backend import Backend
from proxy.stream import accept
from proxy.wire.constants import CHARSET_UTF8MB4, Capability
from proxy.wire.errors import ServerRefused
from proxy.wire.framing import frame
from proxy.wire.handshake import ClientHandshake
from proxy.wire.packets import Greeting
from router.database import Connection
from router.model import Account, Address, Branch, Flavor, Server, ServerTls, TlsMode
from router.servers.process import LocalServer
from tests.support.proxy import Proxy, production, running_proxy, user
from tests.support.raw_client import RawClient, raw_client
from tests.support.servers import free_port

STRANGER = Account("by_tcp", "a secret that goes over the network")


def over_tcp(server: LocalServer, tls: ServerTls, public_key: str = "") -> Server:
    assert server.port is not None
    return replace(
        server.server,
        address=Address("127.0.0.1", server.port),
        account=STRANGER,
        tls=tls,
        public_key=public_key,
    )


def ways(server: LocalServer, folder: Path) -> dict[str, Server]:
    data = server.directory
    authority, _ = ensure_certificate(folder / "other")
    return {
        "plain": over_tcp(server, ServerTls()),
        "keyed": over_tcp(server, ServerTls(), str(data / "public_key.pem")),
        "wrong-key": over_tcp(server, ServerTls(), str(authority)),
        "no-key": over_tcp(server, ServerTls(), str(folder / "missing.pem")),
        "required": over_tcp(server, ServerTls(TlsMode.REQUIRED)),
        "verified": over_tcp(server, ServerTls(TlsMode.VERIFY_CA, str(data / "ca.pem"))),
        "with-certificate": over_tcp(
            server,
            ServerTls(
                TlsMode.VERIFY_CA,
                str(data / "ca.pem"),
                str(data / "client-cert.pem"),
                str(data / "client-key.pem"),
            ),
        ),
        "unknown-authority": over_tcp(server, ServerTls(TlsMode.VERIFY_CA, str(authority))),
        "another-name": over_tcp(server, ServerTls(TlsMode.VERIFY_IDENTITY, str(data / "ca.pem"))),
        "by-socket": replace(server.server, account=STRANGER, tls=ServerTls(TlsMode.REQUIRED)),
    }


@pytest.fixture(scope="module")
async def stranger(mysql: LocalServer) -> AsyncIterator[None]:
    """An account whose password the server has not seen since it started."""
    async with await Connection.open(mysql.server) as admin:
        await admin.execute(f"CREATE USER {STRANGER.user} IDENTIFIED BY '{STRANGER.password}'")
        yield
        await admin.execute(f"DROP USER {STRANGER.user}")


@pytest.fixture(scope="module")
async def secured(
    mysql: LocalServer, stranger: None, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Proxy]:
    """A worker with a branch for each way to the server."""
    folder = tmp_path_factory.mktemp("secured")
    branches = [production(mysql.server, "mysql")]
    for name, server in ways(mysql, folder).items():
        branches.append(Branch("shop", name, "information_schema", False, False, False, server))
    async with running_proxy(folder, branches, [user()]) as proxy:
        yield proxy


async def forget_passwords(server: LocalServer, requirement: str = "NONE") -> None:
    async with await Connection.open(server.server) as admin:
        await admin.execute(f"ALTER USER {STRANGER.user} REQUIRE {requirement}")
        await admin.execute("FLUSH PRIVILEGES")


@pytest.mark.parametrize(
    ("branch", "encrypted", "requirement"),
    [
        ("keyed", False, "NONE"),
        ("required", True, "SSL"),
        ("verified", True, "SSL"),
        ("with-certificate", True, "X509"),
        ("by-socket", True, "SSL"),
    ],
)
async def test_the_server_is_reached_as_it_was_asked_for(
    mysql: LocalServer, secured: Proxy, branch: str, encrypted: bool, requirement: str
) -> None:
    await forget_passwords(mysql, requirement)
    async with raw_client(secured.port, user=f"app.{branch}") as client:
        [[_, cipher]] = await client.query("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
        assert bool(cipher) == encrypted
        # More than one record of TLS, in both directions.
        assert await client.query(f"SELECT LENGTH('{'x' * 100_000}')") == [[b"100000"]]
        assert await client.query("SELECT REPEAT('x', 300000)") == [[b"x" * 300_000]]


@pytest.mark.parametrize(
    ("branch", "words"),
    [
        ("plain", "production.public_key"),
        ("wrong-key", "public key"),
        ("no-key", "missing.pem"),
        ("unknown-authority", "certificate verify failed"),
        ("another-name", "certificate verify failed"),
    ],
)
async def test_a_server_that_is_not_proved_is_not_told_the_password(
    mysql: LocalServer, secured: Proxy, branch: str, words: str
) -> None:
    await forget_passwords(mysql)
    with pytest.raises(ServerRefused, match=words) as caught:
        await RawClient.connect(secured.port, user=f"app.{branch}")
    assert caught.value.errno == 1105
    assert STRANGER.password not in caught.value.message


async def test_a_server_without_tls_is_left_before_anything_is_said(tmp_path: Path) -> None:
    heard = asyncio.get_running_loop().create_future()
    offered = Capability.PROTOCOL_41 | Capability.SECURE_CONNECTION | Capability.PLUGIN_AUTH
    greeting = Greeting("9.7.4", 1, b"n" * 20, offered, 45, 2, "caching_sha2_password")

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(frame(greeting.build()))
        heard.set_result(await reader.read())
        writer.close()

    port = free_port()
    async with await asyncio.start_server(greet, "127.0.0.1", port) as listening:
        server = Server(
            Flavor.MYSQL,
            "9.7.4",
            Address("127.0.0.1", port),
            STRANGER,
            ServerTls(TlsMode.REQUIRED),
        )
        async with running_proxy(tmp_path, [production(server, "mysql")], [user()]) as proxy:
            with pytest.raises(ServerRefused, match="SSL"):
                await RawClient.connect(proxy.port)
        assert await heard == b""
        listening.close()


class _Owner:
    """Who a backend works for, and who keeps it as a client does."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.over = asyncio.Event()

    def answered(self, data: bytes) -> None:
        raise AssertionError

    def backend_lost(self) -> None:
        self.over.set()


async def _come_and_go() -> None:
    near, far = socket.socketpair()
    near.setblocking(False)
    backend = Backend(ClientHandshake("user", "password", Capability.PROTOCOL_41, "", CHARSET_UTF8MB4, {}))
    await accept(backend, near, None, 0.0)
    backend._logged_in.set_result(None)
    owner = _Owner(backend)
    backend.serve(owner)
    far.close()
    await owner.over.wait()
    await asyncio.sleep(0)


def test_a_backend_that_is_over_leaves_nothing_to_the_collector() -> None:
    async def many() -> int:
        for _ in range(5):
            await _come_and_go()
        return sum(isinstance(thing, Backend) for thing in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        # In the event loop that workers have.
        assert uvloop.run(many()) == 0
    finally:
        gc.enable()
