from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.constants import MAX_FRAME
from proxy.wire.errors import RemoteError
from proxy.wire.framing import PacketReader, PacketTail, frame


def chunks(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in itertools.pairwise(edges)]


@given(st.lists(st.binary(max_size=40), max_size=6), st.lists(st.integers(0, 1000), max_size=8))
def test_packets_are_found_however_the_bytes_are_cut(payloads: list[bytes], cuts: list[int]) -> None:
    data = b"".join(frame(payload, number) for number, payload in enumerate(payloads))
    reader = PacketReader()
    found = [packet for chunk in chunks(data, cuts) for packet in reader.feed(chunk)]
    assert found == list(enumerate(payloads))
    assert reader.pending == b""


def test_packets_are_found_byte_by_byte() -> None:
    data = frame(b"abc", 0) + frame(b"", 1) + frame(b"defg", 2)
    reader = PacketReader()
    found = [packet for at in range(len(data)) for packet in reader.feed(data[at : at + 1])]
    assert found == [(0, b"abc"), (1, b""), (2, b"defg")]


@pytest.mark.parametrize("extra", [0, 1, 70000])
def test_a_packet_of_several_frames_is_put_together(extra: int) -> None:
    payload = bytes(MAX_FRAME) + b"x" * extra
    data = frame(payload, 255)
    reader = PacketReader()
    found = [
        packet for at in range(0, len(data), 1 << 20) for packet in reader.feed(data[at : at + (1 << 20)])
    ]
    assert found == [(0, payload)]


def test_a_packet_that_is_too_long_is_refused_by_its_header() -> None:
    with pytest.raises(RemoteError):
        PacketReader(10).feed(b"\x0b\0\0\0")


def test_what_is_not_yet_a_packet_is_pending() -> None:
    reader = PacketReader()
    assert reader.feed(b"\x03\0\0\0ab") == []
    assert reader.pending == b"\x03\0\0\0ab"


@given(
    st.sampled_from([0, 1, 5, MAX_FRAME - 1, MAX_FRAME, MAX_FRAME + 3]),
    st.lists(st.integers(0, MAX_FRAME + 20), max_size=6),
)
def test_the_end_of_a_long_packet_is_found_however_it_is_cut(size: int, cuts: list[int]) -> None:
    data = frame(bytes(size), 0)
    tail = PacketTail()
    used = 0
    for chunk in chunks(data, cuts):
        assert not tail.over
        used += tail.feed(chunk)
    assert tail.over
    assert used == len(data)
    assert tail.sequence == (1 if size >= MAX_FRAME else 0)


def test_what_follows_a_long_packet_is_left_alone() -> None:
    tail = PacketTail()
    assert tail.feed(frame(b"abc") + b"more") == 7
    assert tail.over
    assert tail.feed(b"more") == 0
