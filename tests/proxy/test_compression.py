from __future__ import annotations

import asyncio
import os
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.compression import ROUND_BYTES, CompressedTransport, switch_on
from proxy.stream import INBOX_IS_FULL, Stream
from proxy.wire.compression import FrameCodec, Scheme
from proxy.wire.constants import MAX_FRAME, Capability


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


class Reader(Stream):
    """A client of which only the reading matters."""

    __slots__ = ("data", "lost", "taken", "then")

    def __init__(self, then: Callable[[Reader], object] = lambda reader: None) -> None:
        super().__init__()
        self.data = bytearray()
        self.taken: list[int] = []
        self.then = then
        self.lost = False

    def data_received(self, data: bytes) -> None:
        assert data
        assert not self._holds, "it did not want more"
        self.data += data
        self.taken.append(len(data))
        self.then(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True


def frame(data: bytes, number: int = 0) -> bytes:
    packed = zlib.compress(data)
    return len(packed).to_bytes(3, "little") + bytes((number,)) + len(data).to_bytes(3, "little") + packed


def connected(reader: Reader) -> tuple[Socket, CompressedTransport]:
    socket = Socket()
    compressed = switch_on(socket, reader, Capability.COMPRESS)
    assert isinstance(compressed, CompressedTransport)
    assert socket.protocol is compressed
    return socket, compressed


async def rounds(count: int = 3) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_without_the_capability_nothing_stands_between() -> None:
    socket, reader = Socket(), Reader()
    assert switch_on(socket, reader, Capability.SSL | Capability.PROTOCOL_41) is reader
    assert socket.protocol is None


async def test_what_is_written_in_one_round_is_one_frame() -> None:
    reader = Reader()
    socket, _ = connected(reader)
    for _ in range(3):
        reader.write(b"a row of a result" * 3)
    assert not socket.written
    await rounds()
    assert socket.writes == 1
    assert socket.written == FrameCodec(Scheme.ZLIB).wrap(b"a row of a result" * 9)


async def test_what_is_much_is_sent_at_once_and_in_order() -> None:
    reader, expected = Reader(), FrameCodec(Scheme.ZLIB)
    socket, _ = connected(reader)
    reader.write(b"little")
    reader.write(bytes(100_000))
    assert socket.written == expected.wrap(b"little" + bytes(100_000))
    reader.write(b"more")
    await rounds()
    assert socket.writes == 2


async def test_what_is_still_to_be_sent_goes_out_before_the_close() -> None:
    reader = Reader()
    socket, _ = connected(reader)
    reader.write(b"goodbye")
    reader.close()
    assert (socket.writes, socket.ended) == (1, "closed")
    await rounds()
    assert socket.writes == 1


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
    bombs = b"".join(frame(bytes(MAX_FRAME), number) for number in range(3))
    assert len(bombs) < 64 * 1024
    compressed.data_received(bombs)
    assert len(reader.data) < 2 * ROUND_BYTES
    assert not socket.reading
    while not socket.reading:
        before = len(reader.data)
        await rounds(1)
        assert len(reader.data) - before < 2 * ROUND_BYTES
    assert reader.data == bytes(3 * MAX_FRAME)


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
