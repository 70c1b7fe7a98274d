from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.auth import new_nonce
from proxy.wire.constants import Capability
from proxy.wire.errors import RemoteError, ServerRefused
from proxy.wire.packets import (
    MESSAGE_BYTES_MAX,
    AuthSwitch,
    Column,
    EofPacket,
    ErrPacket,
    Greeting,
    OkPacket,
    raise_if_err,
    text_row,
)
from proxy.wire.primitives import lenenc_bytes

GREETING = Greeting("9.7.4", 7, new_nonce(), Capability(0x1FFFFFFF), 45, 2, "caching_sha2_password")


def test_a_greeting_is_read_back() -> None:
    assert Greeting.parse(GREETING.build()) == GREETING


@pytest.mark.parametrize("size", range(len(GREETING.build()) - len(GREETING.plugin) - 14))
def test_a_greeting_cut_short_is_the_servers_fault(size: int) -> None:
    with pytest.raises(RemoteError):
        Greeting.parse(GREETING.build()[:size])


def test_a_server_that_refuses_before_the_handshake_has_no_sqlstate() -> None:
    with pytest.raises(ServerRefused) as caught:
        Greeting.parse(b"\xff\x10\x04Too many connections")
    assert (caught.value.errno, caught.value.sqlstate) == (1040, "")
    assert caught.value.message == "Too many connections"


@given(
    st.integers(0, (1 << 64) - 1),
    st.integers(0, (1 << 64) - 1),
    st.integers(0, 65535),
    st.integers(0, 65535),
    st.binary(max_size=20),
)
def test_an_ok_packet_is_read_back(affected: int, last: int, status: int, warnings: int, info: bytes) -> None:
    packet = OkPacket(affected, last, status, warnings, info)
    assert OkPacket.parse(packet.build()) == packet
    assert OkPacket.parse(packet.build(0xFE)) == packet


def test_an_err_packet_is_read_back() -> None:
    packet = ErrPacket(1105, "HY000", "direct DDL is disabled")
    assert ErrPacket.parse(packet.build()) == packet


def test_a_long_message_is_cut_between_characters() -> None:
    built = ErrPacket(1105, "HY000", "ä" * 1000).build()
    assert len(built) <= 9 + MESSAGE_BYTES_MAX
    assert set(ErrPacket.parse(built).message) == {"ä"}


def test_an_eof_packet_is_read_back() -> None:
    assert EofPacket.parse(EofPacket(3, 34).build()) == EofPacket(3, 34)


def test_an_auth_switch_is_read_back() -> None:
    switch = AuthSwitch("caching_sha2_password", new_nonce())
    assert AuthSwitch.parse(switch.build()) == switch
    with pytest.raises(RemoteError):
        AuthSwitch.parse(b"\xfe")


def test_a_column_is_read_back() -> None:
    column = Column("größe", 45, 80, 3, 1, 2)
    assert Column.parse(column.build()) == column


@given(st.lists(st.none() | st.binary(max_size=300), max_size=5))
def test_a_text_row_is_read_back(row: list[bytes | None]) -> None:
    payload = b"".join(b"\xfb" if value is None else lenenc_bytes(value) for value in row)
    assert text_row(payload) == row


def test_an_empty_packet_is_the_servers_fault() -> None:
    with pytest.raises(RemoteError):
        raise_if_err(b"")
