from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.constants import MAX_FRAME, Command
from proxy.wire.errors import RemoteError
from proxy.wire.execute import (
    head_bytes,
    insert_types,
    parse_execute,
    statement_id,
    with_statement_id,
    with_types,
)
from proxy.wire.framing import frame


def execute(number: int, parameters: int, types: bytes | None, values: bytes, flags: int = 0) -> bytes:
    payload = bytes((Command.STMT_EXECUTE,)) + number.to_bytes(4, "little") + bytes((flags, 1, 0, 0, 0))
    if parameters:
        payload += bytes((parameters + 7) // 8)
        payload += b"\0" if types is None else b"\1" + types
    return frame(payload + values)


_counts = st.integers(1, 70)


@given(st.integers(0, (1 << 32) - 1), _counts, st.binary(max_size=40), st.integers(0, 1))
def test_types_are_found_behind_the_null_bitmap(
    number: int, parameters: int, values: bytes, flags: int
) -> None:
    types = bytes(range(2 * parameters))
    packet = execute(number, parameters, types, values, flags)
    found = parse_execute(packet, parameters)
    assert (found.statement_id, found.flags, found.types) == (number, flags, types)
    assert parse_execute(packet[: head_bytes(parameters)], parameters).types == types
    assert statement_id(packet) == number


@given(st.integers(0, (1 << 32) - 1), _counts, st.binary(max_size=300))
def test_types_that_are_missing_are_put_in(number: int, parameters: int, values: bytes) -> None:
    types = bytes(range(2 * parameters))
    packet = execute(number, parameters, None, values)
    found = parse_execute(packet, parameters)
    assert found.types is None
    whole = execute(number, parameters, types, values)
    assert with_types(packet, found, types) == whole
    changed = insert_types(packet, found, types)
    assert changed is not None
    header, instead = changed
    assert header + packet[4 : found.bound_at] + instead + packet[found.bound_at + 1 :] == whole


def test_types_do_not_fit_into_a_frame_that_is_full() -> None:
    packet = execute(1, 2, None, bytes(MAX_FRAME - 14))
    assert insert_types(packet[:100], parse_execute(packet[:100], 2), b"1234") is None


def test_a_statement_without_parameters_has_no_types() -> None:
    assert parse_execute(execute(9, 0, None, b""), 0).types == b""


@given(st.integers(0, (1 << 32) - 1), st.binary(max_size=20))
def test_a_statement_gets_another_number(number: int, values: bytes) -> None:
    packet = execute(5, 0, None, values)
    assert with_statement_id(packet, number) == execute(number, 0, None, values)


def test_a_packet_too_short_for_a_number_names_no_statement() -> None:
    assert statement_id(frame(b"\x17\1\0")) == -1


@pytest.mark.parametrize("parameters", [0, 1, 9])
def test_a_packet_that_is_cut_is_the_clients_fault(parameters: int) -> None:
    packet = execute(1, parameters, bytes(2 * parameters), b"")
    for size in range(len(packet)):
        with pytest.raises(RemoteError):
            parse_execute(packet[:size], parameters)


@given(st.binary(max_size=40), st.integers(0, 70_000))
def test_random_bytes_are_read_or_refused(data: bytes, parameters: int) -> None:
    try:
        parse_execute(data, parameters)
    except RemoteError:
        pass
