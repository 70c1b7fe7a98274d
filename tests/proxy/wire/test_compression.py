from __future__ import annotations

import itertools
import random
import zlib

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire import framing as packets
from proxy.wire.compression import FRAME_HEADER_BYTES, FrameCodec, Scheme, scheme_of
from proxy.wire.constants import MAX_FRAME, Capability
from proxy.wire.errors import RemoteError
from proxy.wire.framing import PacketReader

PIECE_BYTES = 1 << 16
OK = packets.frame(bytes(7), 1)

schemes = st.sampled_from(Scheme)
both_schemes = pytest.mark.parametrize("scheme", list(Scheme))
payloads = st.one_of(st.binary(max_size=80), st.binary(max_size=20).map(lambda piece: piece * 3000))


def pack(scheme: Scheme, data: bytes) -> bytes:
    return zlib.compress(data) if scheme is Scheme.ZLIB else zstandard.ZstdCompressor().compress(data)


def framed(payload: bytes, number: int, announced: int) -> bytes:
    return (
        len(payload).to_bytes(3, "little")
        + bytes((number & 0xFF,))
        + announced.to_bytes(3, "little")
        + payload
    )


def frame(scheme: Scheme, data: bytes, number: int, *, compress: bool = True) -> bytes:
    return framed(pack(scheme, data), number, len(data)) if compress else framed(data, number, 0)


def unwrap(scheme: Scheme, data: bytes, first: int) -> bytes:
    """Read frames as a client does that numbers them itself, each of them whole."""
    inside, at, number = b"", 0, first
    while at < len(data):
        length = int.from_bytes(data[at : at + 3], "little")
        assert data[at + 3] == number & 0xFF
        announced = int.from_bytes(data[at + 4 : at + 7], "little")
        payload = data[at + FRAME_HEADER_BYTES : at + FRAME_HEADER_BYTES + length]
        if not announced:
            inside += payload
        elif scheme is Scheme.ZLIB:
            inside += zlib.decompress(payload, bufsize=announced)
        else:
            inside += zstandard.ZstdDecompressor().decompress(payload, max_output_size=announced)
        at, number = at + FRAME_HEADER_BYTES + length, number + 1
    return inside


def take_all(codec: FrameCodec, piece_bytes: int = PIECE_BYTES) -> bytes:
    return b"".join(iter(lambda: codec.take(piece_bytes), b""))


def read(scheme: Scheme, data: bytes, size: int) -> bytes:
    """Feed a codec in chunks of one size, and return all that is inside."""
    codec, inside = FrameCodec(scheme), b""
    for at in range(0, len(data), size):
        codec.feed(data[at : at + size])
        inside += take_all(codec)
    return inside


@given(
    schemes,
    st.lists(st.tuples(payloads.filter(bool), st.booleans()), max_size=5),
    st.lists(st.integers(0, 200_000), max_size=8),
    st.sampled_from([1, 100, PIECE_BYTES]),
)
def test_the_inside_is_found_however_the_frames_are_cut(
    scheme: Scheme, insides: list[tuple[bytes, bool]], cuts: list[int], piece_bytes: int
) -> None:
    data = b"".join(
        frame(scheme, inside, number, compress=compress) for number, (inside, compress) in enumerate(insides)
    )
    codec, found = FrameCodec(scheme), b""
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for start, end in itertools.pairwise(edges):
        codec.feed(data[start:end])
        found += take_all(codec, piece_bytes)
    assert found == b"".join(inside for inside, _ in insides)


@both_schemes
def test_the_inside_is_found_byte_by_byte(scheme: Scheme) -> None:
    insides = [b"\x01\0\0\0\x0e", b"x" * 5000, bytes(range(256)) * 9, b"ab"]
    data = b"".join(frame(scheme, inside, at, compress=at % 2 == 1) for at, inside in enumerate(insides))
    assert read(scheme, data, 1) == b"".join(insides)


@both_schemes
def test_each_frame_is_given_by_itself(scheme: Scheme) -> None:
    codec = FrameCodec(scheme)
    codec.feed(frame(scheme, b"one" * 100, 0) + frame(scheme, b"two", 1, compress=False))
    assert [codec.take(PIECE_BYTES) for _ in range(3)] == [b"one" * 100, b"two", b""]


@given(
    schemes,
    st.lists(payloads, max_size=8),
    st.lists(st.integers(0, 500_000), max_size=8),
    st.integers(-5, 30),
)
def test_what_is_wrapped_can_be_unwrapped_and_holds_whole_packets(
    scheme: Scheme, insides: list[bytes], cuts: list[int], level: int
) -> None:
    codec = FrameCodec(scheme, level)
    data = b"".join(packets.frame(inside, number) for number, inside in enumerate(insides))
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    number, found = 0, b""
    for start, end in itertools.pairwise(edges):
        frames = codec.wrap(data[start:end])
        inside = unwrap(scheme, frames, number)
        number += bool(frames)
        found += inside
        assert PacketReader().feed(inside) or not inside
        assert b"".join(packets.frame(body, at) for at, body in PacketReader().feed(inside)) == inside
    assert found == data
    assert codec.flush() == b""


@both_schemes
def test_only_what_becomes_shorter_is_compressed(scheme: Scheme) -> None:
    codec = FrameCodec(scheme)
    noise = packets.frame(zlib.compress(bytes(range(256)))[:60])
    assert codec.wrap(packets.frame(b"x" * 45)) == framed(packets.frame(b"x" * 45), 0, 0)
    assert codec.wrap(packets.frame(b"x" * 46))[4:7] == (50).to_bytes(3, "little")
    assert codec.wrap(noise) == framed(noise, 2, 0)


@both_schemes
@pytest.mark.parametrize("noise", [False, True])
def test_a_packet_takes_one_frame_or_two_however_it_comes(scheme: Scheme, noise: bool) -> None:
    body = random.Random(1).randbytes(MAX_FRAME + 90) if noise else bytes(MAX_FRAME + 90)
    data = packets.frame(body)
    codec, frames = FrameCodec(scheme), []
    for at in range(0, len(data), 200_000):
        if piece := codec.wrap(data[at : at + 200_000]):
            frames.append(piece)
    assert unwrap(scheme, b"".join(frames), 0) == data
    assert len(frames) == 3 if len(body) % 200_000 == 0 else 2
    assert unwrap(scheme, FrameCodec(scheme).wrap(data), 0) == data


@both_schemes
def test_what_waits_for_its_end_is_sent_when_there_will_be_none(scheme: Scheme) -> None:
    codec = FrameCodec(scheme)
    packet = packets.frame(b"x" * 1000)
    assert unwrap(scheme, codec.wrap(packet + packet[:10]), 0) == packet
    assert codec.wrap(packet[10:500]) == b""
    assert unwrap(scheme, codec.flush(), 1) == packet[:500]
    assert codec.flush() == b""


@both_schemes
def test_commands_longer_than_a_frame_are_taken(scheme: Scheme) -> None:
    data = packets.frame(bytes(MAX_FRAME + 60))
    codec = FrameCodec(scheme)
    codec.feed(frame(scheme, data[:MAX_FRAME], 0) + frame(scheme, data[MAX_FRAME:], 1))
    assert take_all(codec) == data


def test_numbers_go_on_in_the_answer_and_begin_anew_with_each_command() -> None:
    codec = FrameCodec(Scheme.ZLIB)
    for _ in range(2):
        codec.feed(framed(b"a", 0, 0) + framed(b"b", 1, 0))
        assert take_all(codec) == b"ab"
        assert codec.wrap(OK) + codec.wrap(OK) == framed(OK, 2, 0) + framed(OK, 3, 0)
    codec.feed(framed(b"file", 4, 0))
    assert take_all(codec) == b"file"
    assert codec.wrap(OK) == framed(OK, 5, 0)


def test_numbers_are_counted_modulo_256() -> None:
    codec = FrameCodec(Scheme.ZLIB)
    for number in range(300):
        codec.feed(framed(b"a", number, 0))
    assert take_all(codec) == b"a" * 300
    assert codec.wrap(OK) == framed(OK, 300, 0)


@pytest.mark.parametrize("cut", [0, 1, 2, 3, 4, 5, 1000])
def test_the_frames_of_a_long_packet_are_numbered(cut: int) -> None:
    packet = packets.frame(b"x" * (MAX_FRAME + 5), 0)
    odd = bytearray(packet)
    odd[MAX_FRAME + 4 + 3] = 0
    following = packets.frame(b"\x01", 0)
    codec, found = FrameCodec(Scheme.ZLIB), b""
    at = MAX_FRAME + 4 + cut
    for number, inside in enumerate(
        (bytes(odd[: 1 << 20]), bytes(odd[1 << 20 : at]), bytes(odd[at:]) + following)
    ):
        codec.feed(framed(zlib.compress(inside), number, len(inside)))
        found += take_all(codec)
    assert found == packet + following


@both_schemes
@pytest.mark.parametrize("announced", [99_999, 100_001, 1, MAX_FRAME])
def test_a_wrong_length_is_refused(scheme: Scheme, announced: int) -> None:
    codec = FrameCodec(scheme)
    codec.feed(framed(pack(scheme, bytes(100_000)), 0, announced))
    with pytest.raises(RemoteError, match="than its header says"):
        take_all(codec)


@both_schemes
def test_a_bomb_is_refused_before_it_has_gone_off(scheme: Scheme) -> None:
    codec, came = FrameCodec(scheme), list[int]()
    codec.feed(framed(pack(scheme, bytes(1 << 28)), 0, 1000))
    with pytest.raises(RemoteError, match="more than its header says"):
        came.extend(map(len, iter(lambda: codec.take(PIECE_BYTES), b"")))
    assert sum(came) <= 1000


def test_a_window_of_more_than_a_frame_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27)
    stream = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    codec = FrameCodec(Scheme.ZSTD)
    codec.feed(framed(stream.compress(b"x" * 100) + stream.flush(), 0, 100))
    with pytest.raises(RemoteError, match="cannot be read"):
        take_all(codec)


@both_schemes
@pytest.mark.parametrize("harm", ["cut short", "followed", "changed", "noise", "empty", "number"])
def test_what_is_no_frame_is_refused(scheme: Scheme, harm: str) -> None:
    data = bytes(range(256)) * 40
    packed = pack(scheme, data)
    bad = {
        "cut short": framed(packed[:-1], 0, len(data)),
        "followed": framed(packed + b"x", 0, len(data)),
        "changed": framed(packed[:1] + bytes((packed[1] ^ 0xFF,)) + packed[2:], 0, len(data)),
        "noise": framed(b"GET / HTTP/1.1\r\n", 0, len(data)),
        "empty": framed(b"", 0, 0),
        "number": framed(b"x", 0, 0) + framed(b"y", 2, 0),
    }[harm]
    for size in (1, len(bad)):
        with pytest.raises(RemoteError):
            read(scheme, bad, size)


@given(schemes, st.binary(max_size=300), st.booleans())
def test_any_bytes_are_frames_or_refused(scheme: Scheme, noise: bytes, whole: bool) -> None:
    data = framed(noise[:200], 0, 77) if whole and noise else noise
    try:
        assert len(read(scheme, data, 7)) <= MAX_FRAME
    except RemoteError:
        pass


def test_zlib_is_used_when_both_are_agreed_on() -> None:
    assert scheme_of(Capability.COMPRESS | Capability.ZSTD) is Scheme.ZLIB
    assert scheme_of(Capability.ZSTD) is Scheme.ZSTD
    assert scheme_of(Capability.SSL) is None
