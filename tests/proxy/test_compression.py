from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import random
import zlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from proxy.compression import ROUND_BYTES, CompressedTransport, switch_on
from proxy.stream import INBOX_IS_FULL, Stream
from proxy.wire import framing as packets
from proxy.wire.auth import sha2_proof
from proxy.wire.commands import ChangeUser
from proxy.wire.compression import FRAME_HEADER_BYTES, FrameCodec, Scheme
from proxy.wire.constants import CACHING_SHA2_PASSWORD, MAX_FRAME, Capability, Command
from proxy.wire.framing import PacketReader
from proxy.wire.packets import AuthSwitch
from router.database import Connection
from router.model import Address, Flavor, PoolMode
from router.servers.process import LocalServer
from tests.support.chaos import Chaos, Way, chaos
from tests.support.proxy import PASSWORD, Proxy, production, running_proxy, user
from tests.support.raw_client import USUAL, RawClient, raw_client


class Socket(asyncio.Transport):
    """Stands for uvloop's transport: remembers what is done to it."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.1", 1)})
        self.written = b""
        self.writes = 0
        self.reading = True
        self.ended = ""
        self.protocol: asyncio.BaseProtocol | None = None
        self.limits = (0, 0)

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        self.written += data
        self.writes += 1

    def pause_reading(self) -> None:
        assert self.reading
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.reading
        self.reading = True

    def close(self) -> None:
        self.ended = self.ended or "closed"

    def abort(self) -> None:
        self.ended = "aborted"

    def is_closing(self) -> bool:
        return bool(self.ended)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.limits = (high or 0, low or 0)

    def get_write_buffer_size(self) -> int:
        return 0


class Reader:
    """A client of which only the reading matters. It has a Stream: from a compiled one nobody can inherit."""

    def __init__(self, then: Callable[[Reader], object] = lambda reader: None) -> None:
        self.stream = Stream()
        self.data = bytearray()
        self.taken: list[int] = []
        self.then = then
        self.lost = False

    def data_received(self, data: bytes) -> None:
        assert data
        assert not self.stream._holds, "it did not want more"
        self.data += data
        self.taken.append(len(data))
        self.then(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def header(length: int, number: int, announced: int) -> bytes:
    return length.to_bytes(3, "little") + bytes((number,)) + announced.to_bytes(3, "little")


def frame(data: bytes, number: int = 0) -> bytes:
    packed = zlib.compress(data)
    return header(len(packed), number, len(data)) + packed


def connected(reader: Reader) -> tuple[Socket, CompressedTransport]:
    socket = Socket()
    compressed = switch_on(socket, cast("Stream", reader), Capability.COMPRESS)
    assert isinstance(compressed, CompressedTransport)
    assert socket.protocol is compressed
    return socket, compressed


async def rounds(count: int = 3) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_without_the_capability_nothing_stands_between() -> None:
    socket, reader = Socket(), Reader()
    assert switch_on(socket, cast("Stream", reader), Capability.SSL | Capability.PROTOCOL_41) is reader
    assert socket.protocol is None


async def test_what_is_written_in_one_round_is_one_frame() -> None:
    reader = Reader()
    socket, _ = connected(reader)
    row = packets.frame(b"a row of a result" * 3)
    for _ in range(3):
        reader.write(row)
    assert not socket.written
    await rounds()
    assert socket.writes == 1
    assert socket.written == FrameCodec(Scheme.ZLIB).wrap(row * 3)


async def test_what_is_much_is_sent_at_once_and_in_order() -> None:
    reader, expected = Reader(), FrameCodec(Scheme.ZLIB)
    socket, _ = connected(reader)
    little, much = packets.frame(b"little"), packets.frame(bytes(100_000))
    reader.write(little)
    reader.write(much)
    assert socket.written == expected.wrap(little + much)
    reader.write(little)
    await rounds()
    assert socket.writes == 2


async def test_what_is_still_to_be_sent_goes_out_before_the_close() -> None:
    reader = Reader()
    socket, _ = connected(reader)
    packet = packets.frame(b"goodbye")
    reader.write(packet + packet[:5])
    reader.close()
    assert socket.ended == "closed"
    expected = FrameCodec(Scheme.ZLIB)
    assert socket.written == expected.wrap(packet + packet[:5]) + expected.flush()
    await rounds()
    assert socket.writes == 2


async def test_a_client_that_holds_reading_is_given_nothing_until_it_goes_on() -> None:
    reader = Reader(lambda reader: reader.hold_reading(INBOX_IS_FULL))
    socket, compressed = connected(reader)
    compressed.data_received(frame(b"one") + frame(b"two") + frame(b"three")[:9])
    await rounds()
    assert (reader.data, socket.reading) == (b"one", False)
    reader.release_reading(INBOX_IS_FULL)
    await rounds()
    assert (reader.data, socket.reading) == (b"onetwo", False)
    reader.then = lambda reader: None
    reader.release_reading(INBOX_IS_FULL)
    await rounds()
    assert (reader.data, socket.reading) == (b"onetwo", True)
    compressed.data_received(frame(b"three")[9:])
    assert reader.data == b"onetwothree"


async def test_little_that_becomes_much_does_not_keep_others_waiting() -> None:
    reader = Reader()
    socket, compressed = connected(reader)
    inside = (b"\xff\xff\xff\0" + bytes(MAX_FRAME)) * 3
    pieces = [inside[at : at + MAX_FRAME] for at in range(0, 3 * MAX_FRAME, MAX_FRAME)]
    bombs = b"".join(frame(piece, number) for number, piece in enumerate(pieces))
    assert len(bombs) < 64 * 1024
    compressed.data_received(bombs)
    assert len(reader.data) < 2 * ROUND_BYTES
    assert not socket.reading
    while not socket.reading:
        before = len(reader.data)
        await rounds(1)
        assert len(reader.data) - before < 2 * ROUND_BYTES
    assert len(reader.data) == 3 * MAX_FRAME


async def test_a_client_that_leaves_meanwhile_is_given_no_more() -> None:
    reader = Reader()
    socket, compressed = connected(reader)
    compressed.data_received(frame(bytes(MAX_FRAME)))
    before = len(reader.data)
    compressed.connection_lost(None)
    await rounds()
    assert reader.lost
    assert len(reader.data) == before
    assert not socket.writes


async def test_bytes_that_are_no_frames_end_the_connection() -> None:
    reader = Reader()
    socket, compressed = connected(reader)
    compressed.data_received(frame(b"one") + b"GET / HTTP/1.1\r\n")
    assert (reader.data, socket.ended) == (b"one", "aborted")
    compressed.data_received(frame(b"two"))
    assert reader.data == b"one"


async def test_another_client_can_take_over_between_two_frames() -> None:
    second = Reader()
    first = Reader(lambda reader: reader.transport.set_protocol(second))
    _, compressed = connected(first)
    second.adopt(compressed)
    compressed.data_received(frame(b"one") + frame(b"two"))
    assert (first.data, second.data) == (b"one", b"two")
    assert compressed.get_protocol() is second


@given(st.lists(st.tuples(st.integers(1, 400), st.booleans(), st.integers(1, 90)), max_size=12))
def test_all_is_read_whatever_the_cuts_and_pauses(steps: list[tuple[int, bool, int]]) -> None:
    async def work() -> None:
        reader = Reader()
        _, compressed = connected(reader)
        sent = b""
        for number, (size, hold, cut) in enumerate(steps):
            inside = os.urandom(size // 2) + bytes(size)
            sent += inside
            reader.then = (lambda reader: reader.hold_reading(INBOX_IS_FULL)) if hold else lambda reader: None
            data = frame(inside, number)
            compressed.data_received(data[:cut])
            if data[cut:]:
                compressed.data_received(data[cut:])
            while reader._holds:
                reader.then = lambda reader: None
                reader.release_reading(INBOX_IS_FULL)
                await rounds(2)
        assert reader.data == sent

    asyncio.run(work())


@pytest.mark.parametrize("name", ["peername", "sslcontext"])
async def test_it_knows_what_the_socket_knows(name: str) -> None:
    socket, compressed = connected(Reader())
    assert compressed.get_extra_info(name) == socket.get_extra_info(name)


# -- with real clients ------------------------------------------------------------------------------------


SCHEMES = {
    Flavor.MYSQL: [
        ["--compression-algorithms=zlib"],
        ["--compression-algorithms=zstd"],
        ["--compression-algorithms=zstd", "--zstd-compression-level=22"],
        ["--compression-algorithms=zstd,zlib"],
    ],
    Flavor.MARIADB: [["--compress"]],
}


async def shell(server: LocalServer, port: int, sql: bytes, options: list[str]) -> bytes:
    """Run statements in the flavour's own shell and return what it printed."""
    programs = server.programs
    if programs.flavor is Flavor.MARIADB:
        plugins = (programs.root or Path("/usr")).rglob("libmariadb3/plugin")
        options = [*options, *(f"--plugin-dir={folder}" for folder in plugins)]
    login = ["--host=127.0.0.1", f"--port={port}", "--user=app", f"--password={PASSWORD}"]
    modes = ["--batch", "--skip-column-names", "--max-allowed-packet=64M", "--unbuffered"]
    process = await asyncio.create_subprocess_exec(
        *programs.command(str(programs.flavor), "--no-defaults", *login, *modes, *options, "shop"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate(sql)
    assert process.returncode == 0, err
    return out


@pytest.fixture
async def counted(proxy: Proxy, tmp_path: Path) -> AsyncIterator[Chaos]:
    """A relay in front of the proxy that counts the bytes."""
    async with chaos(Address(port=proxy.port), tmp_path) as relay:
        yield relay


async def test_the_servers_own_shells_compress_in_every_way_they_know(
    server: LocalServer, counted: Chaos, shop: str
) -> None:
    port = counted.address.port
    for options in SCHEMES[server.programs.flavor]:
        for tls in (
            [],
            ["--skip-ssl"] if server.programs.flavor is Flavor.MARIADB else ["--ssl-mode=DISABLED"],
        ):
            counted.passed.clear()
            text = b"SELECT REPEAT('much ', 600000); SELECT LENGTH('" + b"little " * 400000 + b"'); SELECT 1"
            out = await shell(server, port, text, options + tls)
            assert out == b"much " * 600000 + b"\n2800000\n1\n"
            assert counted.passed[Way.TO_CLIENT] < 100_000
            assert counted.passed[Way.TO_SERVER] < 100_000
    with pytest.raises(AssertionError):
        await shell(server, port, b"nonsense", SCHEMES[server.programs.flavor][0])


async def test_a_blob_of_20_mb_comes_and_goes(server: LocalServer, shop: str, tmp_path: Path) -> None:
    blob = random.Random(7).randbytes(5_000_000).hex().encode() * 2
    sql = b"SELECT SHA2('" + blob + b"', 256), CONCAT('" + blob + b"', 'end')"
    async with await Connection.open(server.server) as connection:
        # Connections to the server that are opened from now on have it.
        await connection.execute("SET GLOBAL max_allowed_packet = 67108864")
    branch = replace(production(server.server, shop), pool_mode=PoolMode.TRANSACTION)
    async with running_proxy(tmp_path, [branch], [user()]) as proxy:
        for options in SCHEMES[server.programs.flavor][:2]:
            out = (await shell(server, proxy.port, sql, options)).split()
            assert out == [hashlib.sha256(blob).hexdigest().encode(), blob + b"end"]


async def test_a_large_result_is_the_same_in_every_way(server: LocalServer, proxy: Proxy, shop: str) -> None:
    digits = " CROSS JOIN ".join(
        f"(SELECT 0 AS n UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5) AS d{i}"
        for i in range(6)
    )
    columns = "d0.n, d1.n, d2.n, SHA2(d3.n + 6 * d4.n, 256), d5.n"
    sql = f"SELECT {columns} FROM {digits} ORDER BY 1, 2, 3, 4, 5".encode()
    plain = await shell(server, proxy.port, sql, [])
    assert plain.count(b"\n") == 6**6
    for options in SCHEMES[server.programs.flavor]:
        assert await shell(server, proxy.port, sql, options) == plain


class CompressedPipe:
    """The client's side of a compressed connection: stands for its reader and its writer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, scheme: Scheme) -> None:
        self.reader, self.writer, self.scheme = reader, writer, scheme
        self.number = 0

    def write(self, data: bytes) -> None:
        """Send one command's packet, as frames that are cut anywhere in it."""
        cut = len(data) // 3
        if self.scheme is Scheme.ZLIB:
            second = frame(data[cut:], 1)
        else:
            packed = zstandard.ZstdCompressor().compress(data[cut:])
            second = header(len(packed), 1, len(data) - cut) + packed
        self.writer.write(header(cut, 0, 0) + data[:cut] + second)
        self.number = 2

    def go_on(self, data: bytes) -> None:
        """Send a packet that belongs to the same command."""
        self.writer.write(header(len(data), self.number, 0) + data)
        self.number += 1

    async def read(self, _: int) -> bytes:
        """Wait for one frame and return what is inside."""
        try:
            header = await self.reader.readexactly(FRAME_HEADER_BYTES)
        except asyncio.IncompleteReadError:
            return b""
        assert header[3] == self.number & 0xFF
        self.number += 1
        payload = await self.reader.readexactly(int.from_bytes(header[:3], "little"))
        if not any(header[4:]):
            return payload
        if self.scheme is Scheme.ZLIB:
            return zlib.decompress(payload)
        return zstandard.ZstdDecompressor().decompress(payload)

    def close(self) -> None:
        """Hang up."""
        self.writer.close()


@contextlib.asynccontextmanager
async def compressed_client(port: int, scheme: Scheme, user: str = "app") -> AsyncIterator[RawClient]:
    bit = Capability.COMPRESS if scheme is Scheme.ZLIB else Capability.ZSTD
    async with raw_client(port, user=user, capabilities=USUAL | Capability.DEPRECATE_EOF | bit) as client:
        pipe = CompressedPipe(client.reader, client.writer, scheme)
        client.reader = client.writer = pipe  # type: ignore[assignment]
        yield client


@pytest.mark.parametrize("scheme", list(Scheme))
@pytest.mark.parametrize("piece_bytes", [0, 1])
async def test_prepared_statements_work_at_every_byte_split(
    counted: Chaos, server: LocalServer, scheme: Scheme, piece_bytes: int
) -> None:
    counted.split(piece_bytes)
    async with compressed_client(counted.address.port, scheme) as client:
        statement = await client.prepare("SELECT ?, REPEAT('x', 3000)")
        for text in (b"a", b"bc" * 60):
            # null bitmap, types follow, VARCHAR
            parameters = b"\0\x01\xfd\0" + bytes((len(text),)) + text
            packets = await client.execute(statement, parameters)
            assert packets[3] == b"\0\0" + bytes((len(text),)) + text + b"\xfc\xb8\x0b" + b"x" * 3000
        assert await client.query("SELECT 1") == [[b"1"]]
        error = await client.error(Command.QUERY, b"SELECT nothing, '" + b"x" * 99 + b"'")
        assert error.errno == 1054
        client.send(Command.QUIT)
        assert await client.gone()


@pytest.mark.parametrize("scheme", list(Scheme))
async def test_the_user_can_be_changed_inside_compression(proxy: Proxy, scheme: Scheme) -> None:
    async with compressed_client(proxy.port, scheme) as client:
        pipe = client.writer
        for name in ("app.dev", "app"):
            asked = ChangeUser(name, b"", "shop", 45, CACHING_SHA2_PASSWORD)
            pipe.write(packets.frame(asked.build(client.handshake.capabilities)))
            [(number, switch)] = PacketReader().feed(await client.reader.read(0))
            proof = sha2_proof(PASSWORD, AuthSwitch.parse(switch).nonce)
            pipe.go_on(packets.frame(proof, number + 1))  # type: ignore[attr-defined]
            answer = b""
            while not PacketReader().feed(answer)[1:]:
                answer += await client.reader.read(0)
            assert [body[0] for _, body in PacketReader().feed(answer)] == [1, 0]
            assert await client.query("SELECT REPEAT('x', 99)") == [[b"x" * 99]]


@pytest.mark.parametrize(
    "harm", [b"GET / HTTP/1.1\r\n", bytes(7), b"\x05\0\0\0\xff\xff\xffnoise", b"\x01\0\0\x07\0\0\0x"]
)
async def test_what_is_no_frame_ends_the_connection_and_no_other(proxy: Proxy, harm: bytes) -> None:
    async with compressed_client(proxy.port, Scheme.ZLIB) as client, raw_client(proxy.port) as other:
        client.writer.writer.write(harm)  # type: ignore[attr-defined]
        assert await client.gone()
        assert await other.query("SELECT 1") == [[b"1"]]
