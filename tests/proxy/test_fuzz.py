"""I throw bytes at every parser, and random sessions at a proxy and at the server behind it.

`HEADGATE_FUZZ_EXAMPLES=5000` makes me look further than in a usual run.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import re
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy import channel
from proxy.courtesies import FileEnd
from proxy.wire import packets
from proxy.wire.auth import sha2_verifier
from proxy.wire.commands import ChangeUser, HandshakeResponse, SslRequest
from proxy.wire.compression import FrameCodec, Scheme
from proxy.wire.constants import CACHING_SHA2_PASSWORD, NATIVE_PASSWORD, Capability, Command
from proxy.wire.errors import RemoteError, ServerRefused
from proxy.wire.execute import parse_execute
from proxy.wire.framing import PacketReader, PacketTail, frame
from proxy.wire.handshake import ClientHandshake, ServerHandshake, ServerState
from proxy.wire.primitives import Reader, lenenc_bytes
from proxy.wire.proxy_header import ProxyHeaderReader
from proxy.wire.response import EDITED, FAILED, FINISHED, Response
from proxy.wire.session_state import Wishes, filter_state, parse_state
from router.database import Connection
from router.model import PoolMode
from router.servers.process import LocalServer
from tests.support.proxy import Proxy, production, running_proxy, user
from tests.support.raw_client import USUAL, RawClient, raw_client
from tests.support.servers import ADMIN, fresh_schema

EXAMPLES = int(os.environ.get("HEADGATE_FUZZ_EXAMPLES", "0"))
parsers = settings(max_examples=EXAMPLES or 300, deadline=None)
sessions = settings(
    max_examples=EXAMPLES or 20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

ALL = (
    USUAL
    | Capability.PROTOCOL_41
    | Capability.SECURE_CONNECTION
    | Capability.PLUGIN_AUTH
    | Capability.PLUGIN_AUTH_LENENC
    | Capability.DEPRECATE_EOF
    | Capability.SESSION_TRACK
    | Capability.ZSTD
)
NONCE = bytes(range(1, 21))
STATE = b"\0\x0f\x0aautocommit\3OFF\1\5\4shop\2\2\1\x31\4\1\0\5\x09\x08T_______"

GREETING = packets.Greeting("9.7.4", 77, NONCE, ALL, 45, 2, CACHING_SHA2_PASSWORD).build()
LOGIN = HandshakeResponse(
    ALL, 1 << 24, 45, "app", bytes(32), "shop", CACHING_SHA2_PASSWORD, {"program_name": "fuzz", "": ""}, 3
).build()
CHANGE = ChangeUser("app", bytes(20), "shop", 255, NATIVE_PASSWORD, {"a": "b"}).build(ALL)
OK = packets.OkPacket(status=2).build()
TRACKED = b"\0\1\7\2\x40\0\0\4info" + lenenc_bytes(STATE)
ERROR = packets.ErrPacket(1064, "42000", "You have an error").build()
SWITCH = packets.AuthSwitch(CACHING_SHA2_PASSWORD, NONCE).build()
COLUMN = packets.Column("a", 253).build()
EOF = packets.EofPacket(status=2).build()
EXECUTE = b"\x17\1\0\0\0\0\1\0\0\0\0\1\xfd\0\3abc"
ROW = b"\3one\xfb\xfc\x10\0" + bytes(16)

VALID = [GREETING, LOGIN, CHANGE, OK, TRACKED, ERROR, SWITCH, COLUMN, EOF, EXECUTE, ROW, STATE]

PARSERS: dict[str, Callable[[bytes], object]] = {
    "greeting": packets.Greeting.parse,
    "OK": packets.OkPacket.parse,
    "ERR": packets.ErrPacket.parse,
    "EOF": packets.EofPacket.parse,
    "auth switch": packets.AuthSwitch.parse,
    "column": packets.Column.parse,
    "row": packets.text_row,
    "error or not": packets.raise_if_err,
    "request for TLS": SslRequest.parse,
    "login": lambda data: HandshakeResponse.parse(data, ALL),
    "login of a modest client": lambda data: HandshakeResponse.parse(data, ~Capability.PLUGIN_AUTH_LENENC),
    "change of user": lambda data: ChangeUser.parse(data, ALL),
    "trackers": parse_state,
    "wished trackers": lambda data: filter_state(data, Wishes({"session_track_schema": "ON"})),
    "execute": lambda data: parse_execute(frame(data), 9),
    "length-encoded": lambda data: Reader(data).lenenc_bytes(),
}


@st.composite
def nearly_valid(draw: st.DrawFn, samples: Iterable[bytes] = tuple(VALID)) -> bytes:
    """A packet with some bytes changed, inserted or cut; or none of that; or noise."""
    data = bytearray(draw(st.sampled_from([*samples, b""])))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        piece = draw(
            st.one_of(st.binary(max_size=3), st.sampled_from([b"\xfb", b"\xff", b"\xfe" + b"\xff" * 8]))
        )
        data[at : at + draw(st.integers(0, 3))] = piece
    if draw(st.booleans()):
        del data[draw(st.integers(0, len(data))) :]
    return bytes(data)


@parsers
@given(st.sampled_from(sorted(PARSERS)), nearly_valid())
def test_a_parser_takes_any_bytes_or_calls_them_the_peers_fault(name: str, data: bytes) -> None:
    try:
        PARSERS[name](data)
    except (RemoteError, ServerRefused):
        pass


@pytest.mark.parametrize("name", PARSERS)
def test_a_parser_takes_every_beginning_of_every_packet(name: str) -> None:
    for sample in VALID:
        for end in range(len(sample) + 1):
            for tail in (b"", b"\xff" * 9, b"\xfb", bytes(9)):
                with contextlib.suppress(RemoteError, ServerRefused):
                    PARSERS[name](sample[:end] + tail)


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(at % (len(data) + 1) for at in cuts)})
    return [data[start:end] for start, end in itertools.pairwise(edges)]


def fed(machine: Callable[[], Callable[[bytes], object]], chunks: Iterable[bytes]) -> str:
    """Feed chunks and say how it ended: with which error, or with which state."""
    feed = machine()
    last: object = None
    try:
        for chunk in chunks:
            last = feed(chunk)
    except (RemoteError, ServerRefused) as error:
        return f"{type(error).__name__}: {error}"
    return repr(last)


def server_side() -> Callable[[bytes], object]:
    handshake = ServerHandshake(connection_id=1, version="9.7.4", capabilities=ALL, nonce=NONCE)
    handshake.greeting()
    replies = b""

    def feed(data: bytes) -> object:
        nonlocal replies
        replies += handshake.receive(data)
        if handshake.state is ServerState.NAMED:
            replies += handshake.choose(CACHING_SHA2_PASSWORD)
        if handshake.state is ServerState.IDENTIFIED:
            handshake.proof_holds(sha2_verifier("secret"))
        return handshake.state, replies

    return feed


def client_side() -> Callable[[bytes], object]:
    handshake = ClientHandshake("app", "secret", ALL, "shop", secure=True)
    replies = b""

    def feed(data: bytes) -> object:
        nonlocal replies
        replies += handshake.receive(data)
        return handshake.state, replies

    return feed


def tail() -> Callable[[bytes], object]:
    end, used = PacketTail(), 0

    def feed(data: bytes) -> object:
        nonlocal used
        used += end.feed(data)
        return end.over, used, end.sequence if end.over else 0

    return feed


def file_end() -> Callable[[bytes], object]:
    end, used = FileEnd(), 0

    def feed(data: bytes) -> object:
        nonlocal used
        used += end.feed(data)
        return end.over, used

    return feed


def reader() -> Callable[[bytes], object]:
    whole, found = PacketReader(1 << 16), list[tuple[int, bytes]]()

    def feed(data: bytes) -> object:
        found.extend(whole.feed(data))
        return found, whole.pending

    return feed


def proxy_header() -> Callable[[bytes], object]:
    header = ProxyHeaderReader()

    def feed(data: bytes) -> object:
        while data and header.header is None:
            size = header.missing
            header.feed(data[:size])
            data = data[size:]
        return header.header

    return feed


def codec(scheme: Scheme) -> Callable[[], Callable[[bytes], object]]:
    def machine() -> Callable[[bytes], object]:
        frames, inside = FrameCodec(scheme), b""

        def feed(data: bytes) -> object:
            nonlocal inside
            frames.feed(data)
            inside += b"".join(iter(lambda: frames.take(1 << 16), b""))
            return inside

        return feed

    return machine


def orders() -> Callable[[bytes], object]:
    side, found = channel.WorkerSide(), list[object]()

    def feed(data: bytes) -> object:
        try:
            found.extend(side.feed(data))
        except channel.ChannelError as error:
            raise RemoteError("channel") from error
        return found

    return feed


def response(
    command: Command, *, deprecate_eof: bool, tracked: bool
) -> Callable[[], Callable[[bytes], object]]:
    def machine() -> Callable[[bytes], object]:
        follower = Response(deprecate_eof=deprecate_eof, tracked=tracked)
        follower.begin(command)
        written = b""

        def feed(data: bytes) -> object:
            nonlocal written
            outcome = follower.feed(data)
            written += follower.take_output() if outcome & EDITED else data
            ended = outcome & (FINISHED | FAILED)
            return ended, ended and (written, follower.status, follower.errno, follower.changes)

        return feed

    return machine


MACHINES: dict[str, Callable[[], Callable[[bytes], object]]] = {
    "server's login": server_side,
    "client's login": client_side,
    "packets": reader,
    "end of a packet": tail,
    "end of a file": file_end,
    "load balancer's header": proxy_header,
    "zlib frames": codec(Scheme.ZLIB),
    "zstd frames": codec(Scheme.ZSTD),
    "orders of control": orders,
    **{
        f"answer to {command.name}, {deprecate_eof=}, {tracked=}": response(
            command, deprecate_eof=deprecate_eof, tracked=tracked
        )
        for command in (
            Command.QUERY,
            Command.STMT_PREPARE,
            Command.STMT_FETCH,
            Command.PING,
            Command.FIELD_LIST,
        )
        for deprecate_eof in (False, True)
        for tracked in (False, True)
    },
}

STREAMS = [
    frame(GREETING) + frame(SWITCH, 2) + frame(b"\1\3", 4) + frame(OK, 5),
    frame(LOGIN, 1) + frame(bytes(32), 3),
    frame(b"\1", 1) + frame(COLUMN, 2) + frame(EOF, 3) + frame(ROW, 4) + frame(EOF, 5),
    frame(b"\1", 1) + frame(COLUMN, 2) + frame(ROW, 3) + frame(b"\xfe" + TRACKED[1:], 4),
    frame(TRACKED, 1),
    frame(ERROR, 1),
    frame(b"\0\1\0\0\0\1\0\1\0\0\0\0", 1)
    + frame(COLUMN, 2)
    + frame(EOF, 3)
    + frame(COLUMN, 4)
    + frame(EOF, 5),
    b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + frame(LOGIN, 1),
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12) + frame(LOGIN, 1),
    b"\7\0\0\0\0\0\0" + OK + b"\7\0\0\1\x10\0\0" + OK,
]


@parsers
@given(st.sampled_from(sorted(MACHINES)), nearly_valid(STREAMS), st.lists(st.integers(0, 300), max_size=6))
def test_bytes_mean_the_same_however_they_are_cut(name: str, data: bytes, cuts: list[int]) -> None:
    machine = MACHINES[name]
    whole = fed(machine, [data])
    pieces = fed(machine, cut(data, cuts) or [b""])
    if "Error" in whole or "Error" in pieces:
        # What is wrong is seen as soon as it is there; what has been taken until then differs.
        assert ("RemoteError" in whole) == ("RemoteError" in pieces), (whole, pieces)
    else:
        assert whole == pieces


@pytest.mark.parametrize("name", MACHINES)
def test_bytes_mean_the_same_at_every_single_cut(name: str) -> None:
    for stream in STREAMS:
        whole = fed(MACHINES[name], [stream])
        for at in range(1, len(stream)):
            pieces = fed(MACHINES[name], [stream[:at], stream[at:]])
            assert pieces == whole or "Error" in whole, at
        by_bytes = fed(MACHINES[name], [stream[at : at + 1] for at in range(len(stream))])
        assert by_bytes == whole or "Error" in whole


# -- random sessions ----------------------------------------------------------------------------------------

QUERIES = [
    "CREATE TEMPORARY TABLE temp (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(20))",
    "SELECT 1, 'two', NULL",
    "SELECT DATABASE(), @@autocommit, @@sql_mode, @@collation_connection, @@time_zone",
    "SELECT * FROM fixed ORDER BY id",
    "SELECT id FROM fixed WHERE 1 = 0",
    "SELECT REPEAT('x', 70000), 'ä'",
    "INSERT INTO temp (v) VALUES ('a'), ('b')",
    "INSERT INTO temp VALUES (1, 'again')",
    "UPDATE temp SET v = 'c' WHERE id = 1",
    "SELECT * FROM temp ORDER BY id",
    "SELECT LAST_INSERT_ID()",
    "SELECT ROW_COUNT()",
    "SELECT SQL_CALC_FOUND_ROWS id FROM fixed LIMIT 1",
    "SELECT FOUND_ROWS()",
    "SELECT 1 / 0, CAST('x' AS SIGNED)",
    "SHOW WARNINGS",
    "SELECT nothing",
    "SELECT FROM",
    "INSERT INTO ledger VALUES (1, 'a')",
    "DELETE FROM ledger",
    "SELECT * FROM ledger",
    "BEGIN",
    "START TRANSACTION READ ONLY",
    "SAVEPOINT s",
    "ROLLBACK TO s",
    "COMMIT",
    "ROLLBACK",
    "ROLLBACK AND CHAIN",
    "SET autocommit = 0",
    "SET autocommit = 1",
    "SET @a = 5, @b = 'text'",
    "SELECT @a, @b",
    "SELECT @a := 7",
    "SELECT 8 INTO @a",
    "SET NAMES latin1",
    "SET NAMES utf8mb4",
    "SET sql_mode = 'ANSI_QUOTES'",
    "SET SESSION sql_mode = DEFAULT",
    "SET time_zone = '+05:30'",
    "SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
    "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE",
    "SET no_such_variable = 1",
    "USE information_schema",
    "CREATE TEMPORARY TABLE other (a INT)",
    "SELECT * FROM other",
    "DROP TEMPORARY TABLE other",
    "PREPARE p FROM 'SELECT ? + 1'",
    "EXECUTE p USING @a",
    "DEALLOCATE PREPARE p",
    "SELECT GET_LOCK('fuzz', 0)",
    "SELECT RELEASE_LOCK('fuzz')",
    "LOCK TABLES fixed READ",
    "UNLOCK TABLES",
    "HANDLER fixed OPEN",
    "HANDLER fixed READ FIRST",
    "HANDLER fixed CLOSE",
    "CALL two_results()",
    "CALL sets_variable()",
    "XA START 'x'",
    "XA END 'x'",
    "XA ROLLBACK 'x'",
    "DO 1",
    "",
]
SEVERAL = [
    "SELECT 1; SELECT 2",
    "SET @a = 1; SELECT @a; SELECT nothing; SELECT 3",
    "BEGIN; SELECT 1; ROLLBACK",
]
PREPARED = [
    "SELECT ?, ?",
    "SELECT * FROM fixed WHERE id >= ? ORDER BY id",
    "INSERT INTO temp (v) VALUES (?)",
    "SET @a = ?",
    "SELECT 1",
    "SELECT FROM",
]
DISTURBANCES = [
    "SELECT 1",
    "SET sql_mode = '', time_zone = '+01:00', autocommit = 0",
    "SET NAMES latin1",
    "USE information_schema",
]

OF_STATEMENTS = ("execute", "again", "cursor", "fetch", "reset", "close", "long")

Step = tuple[str, int, str]
"""What is done, with which of the prepared statements, and its text."""

steps = st.lists(
    st.one_of(
        st.tuples(st.just("query"), st.just(0), st.sampled_from(QUERIES)),
        st.tuples(st.just("query"), st.just(0), st.sampled_from(SEVERAL)),
        st.tuples(st.just("prepare"), st.just(0), st.sampled_from(PREPARED)),
        st.tuples(
            st.sampled_from(OF_STATEMENTS),
            st.integers(0, 3),
            st.just(""),
        ),
        st.tuples(st.sampled_from(["ping", "fields", "renew", "disturb"]), st.integers(0, 3), st.just("")),
        st.tuples(st.just("schema"), st.just(0), st.sampled_from(["information_schema", "nope", ""])),
    ),
    max_size=14,
)


class Talk:
    """One client's part of a random session, with what it has prepared so far."""

    def __init__(self, client: RawClient, other: RawClient | None) -> None:
        self.client = client
        self.other = other
        self.statements: list[tuple[int, int]] = []

    async def take(self, step: Step, schema: str) -> list[bytes]:
        """Take a step, and return the packets of the answer, numbers of statements taken out."""
        what, slot, text = step
        client = self.client
        if what in OF_STATEMENTS and slot >= len(self.statements):
            return []
        number, parameters = self.statements[slot] if slot < len(self.statements) else (0, 0)
        packed = number.to_bytes(4, "little")
        match what:
            case "query":
                return await client.run(Command.QUERY, text.encode())
            case "prepare":
                packets = await client.run(Command.STMT_PREPARE, text.encode())
                if packets[0][0] == 0:
                    self.statements.append(
                        (int.from_bytes(packets[0][1:5], "little"), int.from_bytes(packets[0][7:9], "little"))
                    )
                    packets[0] = packets[0][:1] + packets[0][5:]
                return packets
            case "execute" | "cursor":
                bound = b"\0\1" + b"\xfd\0" * parameters + b"\1" + b"3" + b"\1" * (parameters > 1) + b"4"
                bound = bound[: 2 + 4 * parameters] if parameters else b""
                return await client.execute(number, bound, cursor=what == "cursor")
            case "again":
                return await client.execute(number, (b"\0\0" + b"\0019" * parameters) if parameters else b"")
            case "fetch":
                return await client.run(Command.STMT_FETCH, packed + b"\2\0\0\0")
            case "reset":
                return await client.run(Command.STMT_RESET, packed)
            case "close":
                client.send(Command.STMT_CLOSE, packed)
                return []
            case "long":
                client.send(Command.STMT_SEND_LONG_DATA, packed + b"\0\0long")
                return []
            case "ping":
                return await client.run(Command.PING)
            case "fields":
                return await client.run(Command.FIELD_LIST, b"fixed\0")
            case "renew":
                self.statements.clear()
                return await client.run(Command.RESET_CONNECTION)
            case "schema":
                return await client.run(Command.INIT_DB, (text or schema).encode())
            case _:
                if self.other is not None:
                    await self.other.run(Command.QUERY, DISTURBANCES[slot].encode())
                return []


def alike(what: str, packet: bytes) -> bytes:
    """Take out of a packet what may differ: numbers of statements, and old warnings that nobody asked for.

    MariaDB tells in EOF packets that there are changes to tell, even to clients that are told none.
    """
    if packet[:1] == b"\xff":
        return re.sub(rb"\(\d+\)", b"(n)", packet)
    if packet[:1] == b"\xfe" and len(packet) == 5:
        return packet[:4] + bytes((packet[4] & ~0x40,))
    return packet[:5] if what in ("ping", "schema", "renew") else packet


async def hold(talk: Talk, plan: list[Step], schema: str, answers: list[tuple[Step, list[bytes]]]) -> None:
    client = talk.client
    await client.query("DELETE FROM ledger")
    await client.query("SELECT id FROM fixed")
    for step in plan:
        packets = await talk.take(step, schema)
        answers.append((step, [alike(step[0], packet) for packet in packets]))
    for sql in ("XA END 'x'", "XA ROLLBACK 'x'", "ROLLBACK"):
        await client.run(Command.QUERY, sql.encode())
    client.send(Command.QUIT)
    assert await client.gone()


@pytest.fixture(scope="module")
async def fuzz_schema(server: LocalServer) -> AsyncIterator[str]:
    async with (
        fresh_schema(server, "fuzz") as schema,
        await Connection.open(server.server, database=schema) as connection,
    ):
        for sql in (
            "CREATE TABLE fixed (id INT PRIMARY KEY, v TEXT)",
            "INSERT INTO fixed VALUES (1, 'a'), (2, NULL), (3, 'c')",
            "CREATE TABLE ledger (id INT PRIMARY KEY, v TEXT)",
            "CREATE PROCEDURE two_results() BEGIN SELECT 1; SELECT 2, 3; END",
            "CREATE PROCEDURE sets_variable() BEGIN SET @a = 11; SET time_zone = '+03:00'; END",
        ):
            await connection.execute(sql)
        yield schema


@pytest.fixture(scope="module", params=list(PoolMode), ids=str)
async def fuzz_proxy(
    request: pytest.FixtureRequest,
    server: LocalServer,
    fuzz_schema: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Proxy]:
    """A worker with one backend to share, so that each disturbance takes it away."""
    branch = replace(production(server.server, fuzz_schema), pool_mode=request.param)
    folder: Path = tmp_path_factory.mktemp("fuzz")
    shared = request.param is PoolMode.TRANSACTION
    environment = {
        "HEADGATE_PROXY_MAX_BACKEND_CONNECTIONS": "1" if shared else "9",
        "HEADGATE_PROXY_QUERY_WAIT_TIMEOUT_S": "0.1" if shared else "10",
    }
    async with running_proxy(folder, [branch], [user()], environment=environment) as proxy:
        yield proxy


@sessions
@given(steps, st.sampled_from([USUAL, USUAL | Capability.DEPRECATE_EOF]))
async def test_a_session_through_the_proxy_is_the_session_of_the_server(
    fuzz_proxy: Proxy, server: LocalServer, fuzz_schema: str, plan: list[Step], capabilities: Capability
) -> None:
    theirs: list[tuple[Step, list[bytes]]] = []
    ours: list[tuple[Step, list[bytes]]] = []
    direct = {"port": server.port, "user": ADMIN.user, "password": ADMIN.password}
    for where, answers in ((direct, theirs), ({"port": fuzz_proxy.port}, ours)):
        async with contextlib.AsyncExitStack() as stack:
            options = {"database": fuzz_schema, "capabilities": capabilities, **where}
            other = None
            if where is not direct:
                other = await stack.enter_async_context(raw_client(fuzz_proxy.port))
            client = await stack.enter_async_context(raw_client(**options))
            async with asyncio.timeout(60):
                await hold(Talk(client, other), plan, fuzz_schema, answers)
    for mine, direct_one in zip(ours, theirs, strict=True):
        # That is refused in place of a wrong answer.
        if not any(b"ran on another connection to the server" in packet for packet in mine[1]):
            assert mine == direct_one
