from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.errors import LocalError, RemoteError
from proxy.wire.primitives import Reader, lenenc_bytes, lenenc_int, null_terminated


@given(st.integers(0, (1 << 64) - 1))
def test_a_length_encoded_integer_is_read_back(value: int) -> None:
    reader = Reader(lenenc_int(value))
    assert reader.lenenc_int() == value
    assert reader.remaining == 0


@pytest.mark.parametrize(
    ("value", "size"), [(250, 1), (251, 3), (65535, 3), (65536, 4), (0xFFFFFF, 4), (0x1000000, 9)]
)
def test_the_shortest_form_is_written(value: int, size: int) -> None:
    assert len(lenenc_int(value)) == size


@given(st.binary(max_size=300))
def test_a_length_encoded_string_is_read_back(value: bytes) -> None:
    assert Reader(lenenc_bytes(value) + b"tail").lenenc_bytes() == value


@given(st.binary(max_size=300).filter(lambda value: b"\0" not in value), st.binary(max_size=5))
def test_a_null_terminated_string_is_read_back(value: bytes, tail: bytes) -> None:
    reader = Reader(null_terminated(value) + tail)
    assert reader.null_terminated() == value
    assert reader.rest() == tail


@pytest.mark.parametrize("data", [b"", b"\xfc\x01", b"\xfd\x01\x02", b"\xfe" + bytes(7), b"\xfb", b"\xff"])
def test_a_broken_length_is_the_peers_fault(data: bytes) -> None:
    with pytest.raises(RemoteError):
        Reader(data).lenenc_int()


def test_a_length_beyond_the_packet_is_the_peers_fault() -> None:
    with pytest.raises(RemoteError):
        Reader(b"\xfe" + b"\xff" * 8 + b"abc").lenenc_bytes()


def test_a_string_without_an_end_is_the_peers_fault() -> None:
    with pytest.raises(RemoteError):
        Reader(b"abc").null_terminated()


def test_a_name_with_nul_is_our_fault() -> None:
    with pytest.raises(LocalError):
        null_terminated(b"a\0b")


def test_a_number_that_is_too_large_is_our_fault() -> None:
    with pytest.raises(LocalError):
        lenenc_int(1 << 64)


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_strings_follow_each_other(first: bytes, second: bytes) -> None:
    reader = Reader(lenenc_bytes(first) + lenenc_bytes(second))
    assert (reader.lenenc_bytes(), reader.lenenc_bytes(), reader.remaining) == (first, second, 0)


@pytest.mark.parametrize("size", [0, 1, 0xFA, 0xFB, 0xFC, 0xFF, 0x100, 0xFFFF, 0x10000])
def test_a_string_that_lacks_its_last_byte_is_the_peers_fault(size: int) -> None:
    whole = lenenc_bytes(b"x" * size)
    assert Reader(whole).lenenc_bytes() == b"x" * size
    with pytest.raises(RemoteError):
        Reader(whole[:-1]).lenenc_bytes()
