from __future__ import annotations

import asyncio
import os
import shutil
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pymysql
import pytest

from conf.settings import ProxySettings
from control.certificate import ensure_certificate
from proxy.channel import Stats
from proxy.listener import turn_away
from proxy.tls import GENERATED_CERTIFICATE, GENERATED_KEY, TlsDoor, server_context
from proxy.wire.constants import Capability
from proxy.wire.errors import ServerRefused
from proxy.wire.handshake import ClientHandshake, ClientState
from router.servers.process import LocalServer
from tests.support.proxy import PASSWORD, Proxy, production, running_proxy, user
from tests.support.raw_client import USUAL, RawClient
from tests.support.servers import until


def test_the_generated_certificate_is_used(tmp_path: Path) -> None:
    made = ensure_certificate((tmp_path / GENERATED_CERTIFICATE).parent)
    assert made == (tmp_path / GENERATED_CERTIFICATE, tmp_path / GENERATED_KEY)
    assert server_context(ProxySettings(), tmp_path) is not None


def test_without_a_certificate_tls_is_not_offered(tmp_path: Path) -> None:
    assert server_context(ProxySettings(), tmp_path) is None


def test_a_configured_certificate_is_used(tmp_path: Path) -> None:
    certificate, key = ensure_certificate(tmp_path / "own")
    settings = ProxySettings(tls_certificate=str(certificate), tls_key=str(key))
    assert server_context(settings, tmp_path / "state") is not None
    both = tmp_path / "both.pem"
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    assert server_context(ProxySettings(tls_certificate=str(both)), tmp_path / "state") is not None


def test_a_configured_file_that_is_no_certificate_is_an_error(tmp_path: Path) -> None:
    own = tmp_path / "own.pem"
    own.write_text("nothing")
    with pytest.raises(ssl.SSLError):
        server_context(ProxySettings(tls_certificate=str(own)), tmp_path)


# -- renewal ------------------------------------------------------------------------------------------------


def renew(folder: Path, source: Path) -> None:
    """Put another certificate in place, as whoever renews it does: one file after the other."""
    certificate, key = ensure_certificate(source)
    shutil.copy(key, folder / "server.key.new")
    (folder / "server.key.new").replace(folder / "server.key")
    shutil.copy(certificate, folder / "server.pem.new")
    (folder / "server.pem.new").replace(folder / "server.pem")


def test_a_renewed_certificate_is_used_from_then_on(tmp_path: Path) -> None:
    ensure_certificate(tmp_path / "tls")
    door = TlsDoor(ProxySettings(), tmp_path)
    first = door.context
    door.refresh()
    assert door.context is first
    renew(tmp_path / "tls", tmp_path / "other")
    door.refresh()
    assert door.context is not first


def test_a_broken_certificate_leaves_the_one_before_in_use(tmp_path: Path) -> None:
    certificate, key = ensure_certificate(tmp_path / "tls")
    door = TlsDoor(ProxySettings(), tmp_path)
    first = door.context
    whole = certificate.read_bytes()
    for broken in (b"", b"nothing", whole[:100], ensure_certificate(tmp_path / "other")[0].read_bytes()):
        certificate.write_bytes(broken)
        os.utime(certificate, ns=(len(broken), len(broken)))
        door.refresh()
        assert door.context is first
    key.unlink()
    door.refresh()
    certificate.unlink()
    door.refresh()
    assert door.context is first
    renew(tmp_path / "tls", tmp_path / "third")
    door.refresh()
    assert door.context is not first


def test_other_settings_name_another_certificate(tmp_path: Path) -> None:
    ensure_certificate(tmp_path / "tls")
    door = TlsDoor(ProxySettings(), tmp_path)
    certificate, key = ensure_certificate(tmp_path / "own")
    first = door.context
    door.refresh(ProxySettings(tls_certificate="/missing.pem", tls_key="/missing.pem"))
    assert door.context is first
    door.refresh(ProxySettings(tls_certificate=str(certificate), tls_key=str(key)))
    assert door.context is not first


# -- with clients -------------------------------------------------------------------------------------------


def no_questions(version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    """TLS that trusts everybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context


def log_in(port: int, context: ssl.SSLContext, session: ssl.SSLSession | None = None) -> ssl.SSLSocket:
    """Log in by TLS, ask something, and return the socket."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=120)
    handshake = ClientHandshake("app", PASSWORD, USUAL, tls=True)
    while handshake.state is not ClientState.TLS_WANTED:
        request = handshake.receive(sock.recv(4096))
    sock.sendall(request)
    inside = context.wrap_socket(sock, session=session)
    try:
        inside.sendall(handshake.tls_started())
        while handshake.state is not ClientState.DONE:
            data = inside.recv(4096)
            if not data:
                raise ConnectionResetError
            inside.sendall(handshake.receive(data) or b"")
        inside.sendall(b"\x09\0\0\0\x03SELECT 1")
        assert b"1" in inside.recv(4096)
    except BaseException:
        inside.close()
        raise
    return inside


@pytest.fixture(scope="module")
async def secured(mysql: LocalServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Proxy]:
    """A worker of its own, whose certificate may be renewed."""
    folder = tmp_path_factory.mktemp("renewing")
    async with running_proxy(folder, [production(mysql.server, "mysql")], [user()]) as proxy:
        proxy.state = folder / "state"  # type: ignore[attr-defined]
        yield proxy


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_clients_may_come_back_with_a_ticket(secured: Proxy, version: ssl.TLSVersion) -> None:
    def work() -> tuple[str | None, bool]:
        context = no_questions(version)
        with log_in(secured.port, context) as first, log_in(secured.port, context, first.session) as second:
            return second.version(), bool(second.session_reused)

    assert await asyncio.to_thread(work) == (version.name.replace("_", "."), True)


async def test_older_versions_of_tls_are_not_spoken(secured: Proxy) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(OSError):
        await asyncio.to_thread(log_in, secured.port, context)


async def test_handshakes_are_counted_with_the_time_they_take(secured: Proxy) -> None:
    (await asyncio.to_thread(log_in, secured.port, no_questions())).close()

    def seconds() -> float:
        counts = [count for stats in secured.control.all(Stats) for count in stats.counts]
        return sum(count.increase for count in counts if count.name == "tls_handshake_seconds_sum")

    await until(lambda: seconds() > 0)


async def test_new_connections_see_the_renewed_certificate_and_old_ones_go_on(
    secured: Proxy, tmp_path: Path
) -> None:
    def certificate() -> bytes | None:
        with log_in(secured.port, no_questions()) as inside:
            return inside.getpeercert(binary_form=True)

    old = await asyncio.to_thread(log_in, secured.port, no_questions())
    first = await asyncio.to_thread(certificate)
    renew(secured.state / "tls", tmp_path / "other")  # type: ignore[attr-defined]

    async def renewed() -> bool:
        return await asyncio.to_thread(certificate) != first

    await until(renewed)
    with old:
        old.sendall(b"\x09\0\0\0\x03SELECT 1")
        assert b"1" in await asyncio.to_thread(old.recv, 4096)


async def test_clients_must_show_a_certificate_where_one_is_asked_for(
    mysql: LocalServer, tmp_path: Path
) -> None:
    authority, key = ensure_certificate(tmp_path / "clients")
    stranger, its_key = ensure_certificate(tmp_path / "stranger")
    environment = {"HEADGATE_PROXY_TLS_CLIENT_CA": str(authority)}
    main = production(mysql.server, "mysql")
    async with running_proxy(tmp_path, [main], [user()], environment=environment) as proxy:
        known = no_questions()
        known.load_cert_chain(authority, key)
        (await asyncio.to_thread(log_in, proxy.port, known)).close()
        unknown = no_questions()
        unknown.load_cert_chain(stranger, its_key)
        for context in (no_questions(), unknown):
            with pytest.raises(OSError):
                await asyncio.to_thread(log_in, proxy.port, context)
        with pytest.raises(ServerRefused, match="insecure transport") as caught:
            await RawClient.connect(proxy.port)
        assert caught.value.errno == 3159

        def by_pymysql(**options: object) -> None:
            with pymysql.connect(
                host="127.0.0.1", port=proxy.port, user="app", password=PASSWORD, **options
            ) as connection:
                connection.ping()

        await asyncio.to_thread(
            by_pymysql, ssl={"cert": str(authority), "key": str(key), "check_hostname": False}
        )
        with pytest.raises(pymysql.err.OperationalError):
            await asyncio.to_thread(by_pymysql, ssl={"check_hostname": False})


async def test_what_is_not_tls_ends_the_connection(secured: Proxy) -> None:
    for wrong in (b"GET / HTTP/1.1\r\n\r\n", bytes(100), b"\x16\x03\x01\xff\xff" + bytes(200)):
        reader, writer = await asyncio.open_connection("127.0.0.1", secured.port)
        handshake = ClientHandshake("app", PASSWORD, USUAL | Capability.SSL, tls=True)
        writer.write(handshake.receive(await reader.read(4096)) + wrong)
        async with asyncio.timeout(120):
            assert b"served" not in await reader.read()
        writer.close()
    (await asyncio.to_thread(log_in, secured.port, no_questions())).close()


def test_who_has_left_needs_no_last_answer() -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    turn_away(ours, b"too late")
    assert ours.fileno() == -1
