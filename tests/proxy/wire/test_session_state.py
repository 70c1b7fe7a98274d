from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.errors import RemoteError
from proxy.wire.primitives import lenenc_bytes
from proxy.wire.session_state import StateChange, StateKind, Wishes, filter_state, parse_state

DEFAULTS = {
    "session_track_system_variables": "time_zone, AUTOCOMMIT",
    "session_track_schema": "ON",
    "session_track_state_change": "OFF",
    "session_track_transaction_info": "OFF",
    "session_track_gtids": "OFF",
    "time_zone": "SYSTEM",
}


def entry(kind: int, data: bytes) -> bytes:
    return bytes((kind,)) + lenenc_bytes(data)


def variables(*pairs: tuple[bytes, bytes]) -> bytes:
    return entry(0, b"".join(lenenc_bytes(name) + lenenc_bytes(value) for name, value in pairs))


# What MySQL 9.7 and MariaDB 10.11 sent for SET NAMES latin1 and BEGIN.
MYSQL = bytes.fromhex(
    "001c146368617261637465725f7365745f636c69656e74066c6174696e310020186368617261637465725f7365745f636f6e6e6563"
    "74696f6e066c6174696e31001d156368617261637465725f7365745f726573756c7473066c6174696e31020131"
)
MARIADB = bytes.fromhex(
    "0020186368617261637465725f7365745f636f6e6e656374696f6e066c6174696e31001c146368617261637465725f7365745f636c"
    "69656e74066c6174696e31001d156368617261637465725f7365745f726573756c7473066c6174696e31020131"
)
BEGIN = bytes.fromhex("050908545f5f5f5f5f5f5f0413125354415254205452414e53414354494f4e3b")


@pytest.mark.parametrize("block", [MYSQL, MARIADB])
def test_what_servers_send_is_read(block: bytes) -> None:
    changes = parse_state(block)
    assert {change.name: change.value for change in changes[:3]} == {
        "character_set_client": "latin1",
        "character_set_connection": "latin1",
        "character_set_results": "latin1",
    }
    assert changes[3] == StateChange(StateKind.STATE_CHANGED, "", "1")


def test_the_start_of_a_transaction_is_read() -> None:
    assert parse_state(BEGIN) == [
        StateChange(StateKind.TRANSACTION_STATE, "", "T_______"),
        StateChange(StateKind.CHARACTERISTICS, "", "START TRANSACTION;"),
    ]


def test_several_variables_in_one_entry_are_read() -> None:
    block = variables((b"time_zone", b"+01:00"), (b"sql_mode", b""))
    assert [change.name for change in parse_state(block)] == ["time_zone", "sql_mode"]
    assert filter_state(block, Wishes(DEFAULTS)) == variables((b"time_zone", b"+01:00"))


def test_a_gtid_is_read() -> None:
    block = entry(3, b"\0" + lenenc_bytes(b"a-b:1"))
    assert parse_state(block) == [StateChange(StateKind.GTID, "", "a-b:1")]
    with pytest.raises(RemoteError):
        parse_state(entry(3, b"\1" + lenenc_bytes(b"a-b:1")))


def test_what_is_not_known_yet_is_left_out() -> None:
    block = entry(9, b"new") + entry(1, lenenc_bytes(b"shop"))
    assert parse_state(block) == [StateChange(StateKind.SCHEMA, "", "shop")]
    assert filter_state(block, Wishes(DEFAULTS)) == entry(1, lenenc_bytes(b"shop"))


def test_a_name_that_is_not_utf8_survives() -> None:
    (change,) = parse_state(entry(1, lenenc_bytes(b"\xe4")))
    assert change.value.encode("utf-8", "surrogateescape") == b"\xe4"


EVERYTHING = (
    variables((b"time_zone", b"x"), (b"sql_mode", b"y"))
    + entry(1, lenenc_bytes(b"shop"))
    + entry(2, b"1")
    + entry(3, b"\0" + lenenc_bytes(b"g"))
    + entry(4, lenenc_bytes(b""))
    + entry(5, lenenc_bytes(b"________"))
)


@pytest.mark.parametrize(
    ("settings", "kinds"),
    [
        ({}, [0, 1]),
        ({"session_track_system_variables": "*"}, [0, 0, 1]),
        ({"session_track_system_variables": ""}, [1]),
        ({"session_track_schema": "OFF"}, [0]),
        ({"session_track_state_change": "ON"}, [0, 1, 2]),
        ({"session_track_gtids": "OWN_GTID"}, [0, 1, 3]),
        ({"session_track_transaction_info": "STATE"}, [0, 1, 5]),
        ({"session_track_transaction_info": "CHARACTERISTICS"}, [0, 1, 4, 5]),
    ],
)
def test_a_client_gets_what_it_wished_for(settings: dict[str, str], kinds: list[int]) -> None:
    wishes = Wishes(DEFAULTS)
    for name, value in settings.items():
        wishes.learn(name, value)
    assert [change.kind for change in parse_state(filter_state(EVERYTHING, wishes))] == kinds


def test_every_block_that_is_cut_is_the_servers_fault() -> None:
    ends = {0}
    for size in range(len(EVERYTHING)):
        try:
            parse_state(EVERYTHING[:size])
            ends.add(size)
        except RemoteError:
            continue
    assert len(ends) == 6, "only between two entries"


@given(st.binary(max_size=80))
def test_random_bytes_are_read_or_the_servers_fault(block: bytes) -> None:
    for read in (parse_state, lambda data: filter_state(data, Wishes(DEFAULTS))):
        try:
            read(block)
        except RemoteError:
            pass
