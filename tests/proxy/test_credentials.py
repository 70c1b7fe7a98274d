"""Who gets in, by which proof, and that nobody can tell from a refusal who there is."""

from __future__ import annotations

import asyncio
import collections
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pymysql
import pytest

from proxy.channel import Stats
from proxy.credentials import PASSWORD_KEY, Credentials
from proxy.wire.auth import PasswordKey, native_proof, native_verifier, rsa_encrypt_password, sha2_proof
from proxy.wire.commands import HandshakeResponse
from proxy.wire.constants import Capability
from proxy.wire.errors import ServerRefused
from proxy.wire.framing import PacketReader, frame
from proxy.wire.handshake import ClientHandshake, ClientState
from proxy.wire.packets import AuthSwitch, ErrPacket, Greeting
from router.database import Connection
from router.model import Account, Address, Branch, Flavor, Role, User
from router.secrets import slow_hash
from router.servers.process import LocalServer
from router.servers.programs import Programs
from router.table import RoutingTable
from tests.proxy.conftest import open_branch
from tests.support.proxy import PASSWORD, Proxy, password_key_pem, production, running_proxy, user
from tests.support.raw_client import USUAL, RawClient, raw_client
from tests.support.servers import until

CHOSEN = "correct horse battery staple ☃"
SHA2, NATIVE = "caching_sha2_password", "mysql_native_password"
NEEDED = Capability.PROTOCOL_41 | Capability.SECURE_CONNECTION | Capability.PLUGIN_AUTH


def people() -> list[User]:
    hashed = slow_hash(CHOSEN)
    chooses = User("chooses", b"", "shop", slow_hash=hashed)
    return [
        user("app"),
        replace(user("old"), native_verifier=native_verifier(PASSWORD)),
        chooses,
        *(replace(chooses, name=f"chooses_{number}") for number in range(6)),
        *(replace(chooses, name=f"{flavor}_{way}") for flavor in Flavor for way in ("tls", "plain")),
        replace(user("expired"), expires_at_s=time.time() - 1),
        replace(user("lives"), expires_at_s=time.time() + 3600),
        replace(user("elsewhere"), networks=("192.0.2.0/24", "2001:db8::/32")),
        replace(user("here"), networks=("192.0.2.0/24", "127.0.0.0/8")),
        replace(user("nowhere"), networks=("not a network",)),
        replace(chooses, name="chooses_old", native_verifier=native_verifier(CHOSEN)),
        replace(chooses, name="chooses_expired", expires_at_s=time.time() - 1),
    ]


@pytest.fixture(scope="module")
async def door(mysql: LocalServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Proxy]:
    """A worker that knows users of every kind."""
    main = production(mysql.server, "mysql")
    branches: list[Branch] = [main, open_branch(main), replace(open_branch(main, "strict"), require_tls=True)]
    folder = tmp_path_factory.mktemp("door")
    async with running_proxy(folder, branches, people()) as proxy:
        yield proxy


def by_pymysql(port: int, name: str, password: str, **options: object) -> bool:
    """Log in and ask something; return whether TLS was on."""
    connection = pymysql.connect(
        host="127.0.0.1", port=port, user=name, password=password.encode(), **options
    )
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)
        return bool(connection._secure)


def logins(proxy: Proxy) -> set[tuple[str, str, str]]:
    """How logins ended so far: result, plugin and TLS."""
    counts = [count for stats in proxy.control.all(Stats) for count in stats.counts]
    found = [dict(count.labels) for count in counts if count.name == "auth_total"]
    return {(labels["result"], labels["plugin"], labels["tls"]) for labels in found}


async def refused(port: int, **options: object) -> ServerRefused:
    with pytest.raises(ServerRefused) as caught:
        await RawClient.connect(port, **options)  # type: ignore[arg-type]
    return caught.value


# -- passwords that people chose ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "tls"),
    [("chooses_0", {"ssl": {"check_hostname": False}}, True), ("chooses_1", {"ssl_disabled": True}, False)],
)
async def test_a_chosen_password_opens_with_tls_and_without(
    door: Proxy, name: str, options: dict[str, object], tls: bool
) -> None:
    with pytest.raises(pymysql.err.OperationalError, match="1045"):
        await asyncio.to_thread(by_pymysql, door.port, name, "wrong", **options)
    assert await asyncio.to_thread(by_pymysql, door.port, name, CHOSEN, **options) == tls
    with pytest.raises(pymysql.err.OperationalError, match="1045"):
        await asyncio.to_thread(by_pymysql, door.port, name, CHOSEN + "x", **options)


async def test_a_chosen_password_that_was_right_is_proved_quickly_from_then_on(door: Proxy) -> None:
    slowly, quickly = [b"password wanted", b"key", b"\0\0"], [b"\x01\x03", b"\0\0"]
    assert await dialogue(door.port, "chooses_2", SHA2, CHOSEN) == slowly
    assert await dialogue(door.port, "chooses_2", SHA2, CHOSEN) == quickly
    assert (await dialogue(door.port, "chooses_2", SHA2))[:2] == slowly[:2]
    assert await dialogue(door.port, "chooses_2", NATIVE, CHOSEN) == [b"switch to " + SHA2.encode(), *quickly]


async def test_logins_are_counted_by_how_they_went(door: Proxy) -> None:
    await dialogue(door.port, "chooses_3", SHA2, CHOSEN)
    for name, plugin, password in (("old", NATIVE, PASSWORD), ("old", NATIVE, "x"), ("app", SHA2, PASSWORD)):
        await dialogue(door.port, name, plugin, password)
    wanted = {("ok", "full", "no"), ("ok", "native", "no"), ("denied", "native", "no"), ("ok", "fast", "no")}
    await until(lambda: wanted <= logins(door))


async def test_a_changed_password_is_not_remembered(mysql: LocalServer) -> None:
    credentials = Credentials()
    chooses = User("chooses", b"", "shop", slow_hash=await asyncio.to_thread(slow_hash, CHOSEN))
    table = RoutingTable.of("9.7.4", [chooses], [])
    first = credentials.candidate(table, "chooses")
    assert not await credentials.password_holds(first, lambda: b"wrong")
    assert credentials.candidate(table, "chooses").verifier == first.verifier
    assert await credentials.password_holds(first, CHOSEN.encode)
    assert credentials.candidate(table, "chooses").verifier != first.verifier
    changed = replace(chooses, slow_hash=await asyncio.to_thread(slow_hash, "another one"))
    table = RoutingTable.of("9.7.4", [changed], [])
    assert credentials.candidate(table, "chooses").verifier == first.verifier


@pytest.mark.parametrize("stored", ["nonsense", "scrypt$x$8$1$AA==$AA==", "argon2$a$b$c$d$e", "a$b"])
async def test_a_slow_hash_that_cannot_be_read_lets_nobody_in(stored: str) -> None:
    credentials = Credentials()
    broken = User("broken", b"", "shop", slow_hash=stored)
    candidate = credentials.candidate(RoutingTable.of("9.7.4", [broken], []), "broken")
    assert not await credentials.password_holds(candidate, lambda: b"anything")


async def test_the_loop_goes_on_while_passwords_are_checked(door: Proxy) -> None:
    async with raw_client(door.port) as client:
        wrong = [
            asyncio.ensure_future(refused(door.port, user=f"chooses_{number}", password="wrong"))
            for number in range(6)
        ]
        answered = 0
        while not all(login.done() for login in wrong):
            assert await client.query("SELECT 1") == [[b"1"]]
            answered += 1
        assert answered > 20
        assert {(await login).errno for login in wrong} == {1045}


async def shell(programs: Programs, port: int, name: str, password: str, options: list[str]) -> str:
    """Ask something in a flavour's own shell and return what it printed."""
    if programs.flavor is Flavor.MARIADB:
        plugins = (programs.root or Path("/usr")).rglob("libmariadb3/plugin")
        options = [*options, *(f"--plugin-dir={folder}" for folder in plugins)]
    login = ["--host=127.0.0.1", f"--port={port}", f"--user={name}", f"--password={password}"]
    process = await asyncio.create_subprocess_exec(
        *programs.command(
            str(programs.flavor), "--no-defaults", *login, *options, "--batch", "-N", "-e", "SELECT 40 + 2"
        ),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    return out.decode()


SHELLS = {
    Flavor.MYSQL: (["--ssl-mode=REQUIRED"], ["--ssl-mode=DISABLED", "--get-server-public-key"]),
    Flavor.MARIADB: (["--ssl"], ["--skip-ssl"]),
}


@pytest.mark.parametrize("tls", [True, False])
async def test_the_shells_log_in_with_a_chosen_password(door: Proxy, server: LocalServer, tls: bool) -> None:
    programs = server.programs
    options = SHELLS[programs.flavor][0 if tls else 1]
    name = f"{programs.flavor}_{'tls' if tls else 'plain'}"
    assert "ERROR 1045" in await shell(programs, door.port, name, CHOSEN + "!", options)
    for _ in range(2):
        assert "42" in (await shell(programs, door.port, name, CHOSEN, options)).splitlines()


# -- the older plugin ---------------------------------------------------------------------------------------


async def dialogue(
    port: int, name: str, plugin: str, password: str = "wrong", *, login: bytes | None = None
) -> list[bytes]:
    """Log in naming a plugin; return the server's packets, nonces and keys left out."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    packets, seen = PacketReader(), list[bytes]()
    queue: list[bytes] = []
    sequence = 0

    async def receive() -> bytes:
        nonlocal sequence
        while not queue:
            data = await reader.read(65536)
            if not data:
                raise ConnectionResetError
            for number, payload in packets.feed(data):
                sequence = number
                queue.append(payload)
        return queue.pop(0)

    def send(payload: bytes) -> None:
        writer.write(frame(payload, sequence + 1))

    def proof(nonce: bytes) -> bytes:
        return native_proof(password, nonce) if plugin == NATIVE else sha2_proof(password, nonce)

    nonce = Greeting.parse(await receive()).nonce
    send(HandshakeResponse(USUAL | NEEDED, 1, 45, name, proof(nonce), "", plugin).build())
    try:
        while True:
            payload = await receive()
            if payload[0] == 0xFE:
                switch = AuthSwitch.parse(payload)
                plugin, nonce = switch.plugin, switch.nonce
                seen.append(b"switch to " + plugin.encode())
                send(proof(nonce))
            elif payload == b"\x01\x04":
                seen.append(b"password wanted")
                send(b"\x02")
            elif payload.startswith(b"\x01-----BEGIN PUBLIC KEY"):
                seen.append(b"key")
                send(rsa_encrypt_password(password, nonce, payload[1:]))
            elif payload[0] == 0xFF:
                error = ErrPacket.parse(payload)
                seen.append(f"{error.errno} {error.sqlstate} {error.message}".replace(name, "?").encode())
                assert await reader.read() == b""
                return seen
            else:
                seen.append(payload[:2])
                if payload[0] == 0:
                    return seen
    finally:
        writer.close()


async def test_the_older_plugin_is_for_those_who_may_use_it(door: Proxy) -> None:
    assert await dialogue(door.port, "old", NATIVE, PASSWORD) == [b"switch to " + NATIVE.encode(), b"\0\0"]
    assert await dialogue(door.port, "old", SHA2, PASSWORD) == [b"\x01\x03", b"\0\0"]
    assert await dialogue(door.port, "app", NATIVE, PASSWORD) == [
        b"switch to " + SHA2.encode(),
        b"\x01\x03",
        b"\0\0",
    ]
    assert (await dialogue(door.port, "old", NATIVE))[-1].startswith(b"1045")


async def test_pymysql_uses_the_older_plugin(door: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    learn = pymysql.connections.Connection._get_server_information

    def prefer(connection: pymysql.connections.Connection) -> None:
        learn(connection)
        connection._auth_plugin_name = NATIVE

    monkeypatch.setattr(pymysql.connections.Connection, "_get_server_information", prefer)
    for tls in ({"ssl_disabled": True}, {"ssl": {"check_hostname": False}}):
        await asyncio.to_thread(by_pymysql, door.port, "old", PASSWORD, **tls)
        with pytest.raises(pymysql.err.OperationalError, match="1045"):
            await asyncio.to_thread(by_pymysql, door.port, "old", "wrong", **tls)


# -- what a refusal does not tell ---------------------------------------------------------------------------


def strangers(folder: Path) -> list[str]:
    """A name nobody has of each kind there is, as the proxies of this session see them."""
    (folder / "tls").mkdir()
    (folder / PASSWORD_KEY).write_bytes(password_key_pem())
    credentials, kinds = Credentials.of(folder), dict[tuple[bool, bool], str]()
    for number in range(200):
        found = credentials.candidate(RoutingTable(), f"stranger{number}")
        kinds.setdefault((bool(found.slow_hash), bool(found.native_verifier)), f"stranger{number}")
    assert len(kinds) == 4
    return [*kinds.values()]


@pytest.mark.parametrize("plugin", [SHA2, NATIVE, "mysql_clear_password", ""])
async def test_names_nobody_has_answer_like_those_of_users(door: Proxy, tmp_path: Path, plugin: str) -> None:
    """Packet by packet, each way a stranger's login goes is one that some user's goes."""
    users = ("app", "old", "chooses", "chooses_old", "elsewhere", "expired")
    ways = {tuple(await dialogue(door.port, name, plugin)) for name in users}
    unknown = strangers(tmp_path)
    seen = [tuple(await dialogue(door.port, name, plugin)) for name in unknown]
    assert set(seen) == ways
    assert seen == [tuple(await dialogue(door.port, name, plugin)) for name in unknown]
    refusals = {way[-1] for way in ways}
    assert refusals == {b"1045 28000 Access denied for user '?'@'127.0.0.1' (using password: YES)"}


async def test_a_suffix_does_not_tell_who_there_is(door: Proxy, tmp_path: Path) -> None:
    suffixes = (
        "",
        ".dev",
        ".nope",
        ".shop.dev",
        ".other.dev",
        ".a.b.c",
        "|replica",
        ".dev|replica",
        "|replica|x",
    )
    for name in (*strangers(tmp_path), "chooses", "app", "old"):
        for plugin in (SHA2, NATIVE):
            ways = {tuple(await dialogue(door.port, name + suffix, plugin)) for suffix in suffixes}
            assert len(ways) == 1, name


async def test_who_may_not_come_now_or_from_here_is_refused_like_a_wrong_password(door: Proxy) -> None:
    for name in ("expired", "elsewhere", "nowhere"):
        right = await refused(door.port, user=name)
        wrong = await refused(door.port, user=name, password="wrong")
        assert (right.errno, right.sqlstate, right.message) == (1045, "28000", wrong.message)
    assert (await refused(door.port, user="chooses_expired", password=CHOSEN)).errno == 1045
    for name in ("lives", "here"):
        async with raw_client(door.port, user=name) as client:
            assert await client.query("SELECT 1") == [[b"1"]]


async def test_that_a_branch_wants_tls_is_told_to_who_proved_to_be_somebody(door: Proxy) -> None:
    assert (await refused(door.port, user="app.strict", password="wrong")).errno == 1045
    error = await refused(door.port, user="app.strict")
    assert (error.errno, error.sqlstate) == (3159, "HY000")
    assert "--ssl-mode=REQUIRED" in error.message
    tls = {"ssl": {"check_hostname": False}}
    assert await asyncio.to_thread(by_pymysql, door.port, "app.strict", PASSWORD, **tls)


def test_names_nobody_has_look_the_same_in_every_worker_and_after_a_restart() -> None:
    key, table = PasswordKey(password_key_pem()), RoutingTable()
    kinds = collections.Counter[tuple[bool, bool]]()
    for number in range(200):
        name = f"stranger{number}"
        one, other = (
            (bool(found.slow_hash), bool(found.native_verifier))
            for found in (Credentials(b"seed", key).candidate(table, name) for _ in range(2))
        )
        assert one == other
        kinds[one] += 1
    assert min(kinds.values()) > 20
    assert len(kinds) == 4


async def test_a_client_that_will_not_hide_its_password_is_refused(door: Proxy) -> None:
    for given in (b"", b"\0", CHOSEN.encode() + b"\0", bytes(256)):
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
        handshake = ClientHandshake("chooses", CHOSEN, USUAL)
        writer.write(handshake.receive(await reader.read(4096)))
        assert handshake.state is ClientState.AUTHENTICATING
        [(sequence, wanted)] = PacketReader().feed(await reader.read(4096))
        assert wanted == b"\x01\x04"
        writer.write(frame(given, sequence + 1) + frame(b"\x03SELECT 'served'"))
        answer = await reader.read()
        assert ErrPacket.parse(answer[4:]).errno in (1043, 1045)
        assert b"served" not in answer
        writer.close()


# -- roles --------------------------------------------------------------------------------------------------


async def test_a_role_without_an_account_on_production_is_told_what_to_set(
    mysql: LocalServer, door: Proxy
) -> None:
    reader = replace(user("reads"), role=Role.READER)
    await door.publish(door.control.routes.branches, [*people(), reader])

    async def error() -> ServerRefused:
        return await refused(door.port, user="reads")

    while (found := await error()).errno == 1045:
        pass
    assert found.errno == 1105
    assert "production.reader_user" in found.message
    async with raw_client(door.port, user="reads.dev") as client:
        assert await client.query("SELECT 1") == [[b"1"]]


async def test_a_role_chooses_the_account_and_a_replica_the_server(
    mysql: LocalServer, tmp_path: Path
) -> None:
    accounts = {
        Role.READER: Account("only_reads", "a secret"),
        Role.WRITER: Account("only_writes", "a secret"),
    }
    async with await Connection.open(mysql.server) as admin:
        for account in accounts.values():
            await admin.execute(f"CREATE USER {account.user} IDENTIFIED BY '{account.password}'")
            await admin.execute(f"GRANT SELECT ON mysql.* TO {account.user}")
            # What is known to the server opens over TCP, too.
            (await Connection.open(replace(mysql.server, account=account))).abort()
    # By TCP, where the server calls the client by its address.
    replica = replace(mysql.server, address=Address("127.0.0.1", mysql.port or 0))
    main = replace(production(mysql.server, "mysql"), accounts=accounts, replicas=(replica,))
    far = replace(main, name="far", production=False, replicas=(), replica_fallback=False)
    near = replace(main, name="near", production=False, replicas=())
    users = [user(), replace(user("reports"), replica=True)]
    users += [replace(user(str(role)), role=role) for role in (Role.READER, Role.WRITER)]
    async with running_proxy(tmp_path, [main, near, far], users) as proxy:
        for name, database, who in (
            ("app", "", b"tester@localhost"),
            ("reader", "", b"only_reads@localhost"),
            ("writer", "", b"only_writes@localhost"),
            ("reports", "", b"only_reads@127.0.0.1"),
            ("app|replica", "", b"only_reads@127.0.0.1"),
            ("app", "@replica", b"only_reads@127.0.0.1"),
            ("app.near|replica", "", b"only_reads@localhost"),
        ):
            async with raw_client(proxy.port, user=name, database=database) as client:
                assert await client.query("SELECT USER()") == [[who]]
        error = await refused(proxy.port, user="app.far|replica")
        assert error.errno == 1105
        assert "production.replica_fallback" in error.message
