from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.constants import Command, Status
from proxy.wire.errors import RemoteError
from proxy.wire.framing import frame
from proxy.wire.packets import Column, EofPacket, ErrPacket, OkPacket
from proxy.wire.primitives import lenenc_bytes, lenenc_int
from proxy.wire.response import EDITED, FAILED, FINISHED, NEWS, Response
from proxy.wire.session_state import StateChange, StateKind, Wishes

COLUMN = Column("a").build()
ERR = ErrPacket(1064, "42000", "You have an error").build()
CHANGED = Status.STATE_CHANGED
MARK = b"\x02\x01\x31"
WISHES = {"session_track_system_variables": "time_zone", "session_track_schema": "ON"}


def variable(name: bytes, value: bytes) -> bytes:
    return b"\0" + lenenc_bytes(lenenc_bytes(name) + lenenc_bytes(value))


ZONE = variable(b"time_zone", b"+01:00")
MODE = variable(b"sql_mode", b"")


@dataclass(frozen=True)
class Told:
    """A packet as a tracked connection gets it, as one without trackers does, and as one with wishes does."""

    tracked: bytes
    plain: bytes
    wished: bytes


def same(payload: bytes) -> Told:
    return Told(payload, payload, payload)


def told(
    header: int, affected: int, key: int, status: int, warnings: int, message: bytes, state: list[bytes]
) -> Told:
    info = lenenc_bytes(message) if message else b""
    plain = OkPacket(affected, key, status, warnings, info).build(header)
    if not state:
        return same(plain)

    def with_state(entries: list[bytes]) -> bytes:
        block = lenenc_bytes(message) + lenenc_bytes(b"".join(entries))
        return OkPacket(affected, key, status | CHANGED, warnings, block).build(header)

    kept = [entry for entry in state if entry == ZONE]
    return Told(with_state(state), plain, with_state(kept) if kept else plain)


_numbers = st.sampled_from([0, 1, 250, 251, 65536, 1 << 40])
_status = st.sampled_from([0, 2, 1, 3, 0x2001])
_states = st.lists(st.sampled_from([ZONE, MODE, MARK]), max_size=3)
_messages = st.sampled_from([b"", b"Records: 1", b"m" * 300])


def oks(header: int, more: int) -> st.SearchStrategy[Told]:
    status = _status.map(lambda bits: bits | more)
    return st.builds(
        told, st.just(header), _numbers, _numbers, status, st.integers(0, 300), _messages, _states
    )


def ends(deprecate_eof: bool, more: int) -> st.SearchStrategy[Told]:
    if deprecate_eof:
        return oks(0xFE, more)
    return st.builds(
        lambda warnings, status, changed: Told(
            EofPacket(warnings, status | more | changed).build(),
            EofPacket(warnings, status | more).build(),
            EofPacket(warnings, status | more).build(),
        ),
        st.integers(0, 300),
        _status,
        st.sampled_from([0, CHANGED]),
    )


_rows = st.lists(st.binary(max_size=40).map(lambda value: same(lenenc_bytes(value))), max_size=4)


@st.composite
def results(draw: st.DrawFn, deprecate_eof: bool, more: int) -> list[Told]:
    """One result: an OK, an error, or rows."""
    kind = draw(st.sampled_from(["ok", "rows"] if more else ["ok", "rows", "error", "broken"]))
    if kind == "ok":
        return [draw(oks(0, more))]
    if kind == "error":
        return [same(ERR)]
    count = draw(st.sampled_from([1, 2, 251]))
    middle = [] if deprecate_eof else [draw(ends(False, 0))]
    last = same(ERR) if kind == "broken" else draw(ends(deprecate_eof, more))
    return [same(lenenc_int(count)), *[same(COLUMN)] * count, *middle, *draw(_rows), last]


@st.composite
def responses(draw: st.DrawFn, deprecate_eof: bool) -> list[Told]:
    packets: list[Told] = []
    for _ in range(draw(st.integers(0, 2))):
        packets += draw(results(deprecate_eof, int(Status.MORE_RESULTS)))
    return packets + draw(results(deprecate_eof, 0))


def bytes_of(packets: list[bytes]) -> bytes:
    return b"".join(frame(packet, number & 0xFF) for number, packet in enumerate(packets, 1))


def feed(response: Response, data: bytes, cuts: list[int]) -> tuple[bytes, int]:
    """Feed a response in pieces; return what the client gets, and how it ended."""
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    seen, outcome = b"", 0
    for start, stop in pairwise(edges):
        assert not outcome & (FINISHED | FAILED)
        outcome = response.feed(data[start:stop])
        seen += response.take_output() if outcome & EDITED else data[start:stop]
    return seen, outcome


@given(st.data(), st.booleans(), st.booleans(), st.lists(st.integers(0, 10_000), max_size=8))
def test_a_client_sees_what_it_would_see_without_our_trackers(
    data: st.DataObject, deprecate_eof: bool, wishing: bool, cuts: list[int]
) -> None:
    wishes = Wishes(WISHES) if wishing else None
    response = Response(deprecate_eof=deprecate_eof, tracked=True, wishes=wishes)
    for _ in range(2):
        packets = data.draw(responses(deprecate_eof))
        response.begin_query()
        seen, outcome = feed(response, bytes_of([packet.tracked for packet in packets]), cuts)
        assert seen == bytes_of([packet.wished if wishing else packet.plain for packet in packets])
        assert outcome & (FAILED if packets[-1].plain == ERR else FINISHED)
        assert not response.status & CHANGED


@given(st.data(), st.booleans(), st.lists(st.integers(0, 10_000), max_size=8))
def test_a_client_on_a_connection_like_its_own_sees_every_byte(
    data: st.DataObject, deprecate_eof: bool, cuts: list[int]
) -> None:
    response = Response(deprecate_eof=deprecate_eof)
    packets = data.draw(responses(deprecate_eof))
    response.begin_query()
    stream = bytes_of([packet.tracked for packet in packets])
    seen, _ = feed(response, stream, cuts)
    assert seen == stream


@given(st.binary(max_size=200), st.booleans(), st.sampled_from(list(Command)), st.lists(st.integers(0, 300)))
def test_garbage_is_followed_or_the_servers_fault(
    data: bytes, deprecate_eof: bool, command: Command, cuts: list[int]
) -> None:
    response = Response(deprecate_eof=deprecate_eof, tracked=True, wishes=Wishes(WISHES))
    response.begin(command)
    try:
        feed(response, data, cuts)
    except (RemoteError, AssertionError):
        # The assertion is that of `feed`: no piece may follow the end.
        pass


@given(st.binary(min_size=1, max_size=60), st.integers(0, 20))
def test_a_state_that_is_garbage_is_the_servers_fault_or_left_out(block: bytes, cut: int) -> None:
    response = Response(deprecate_eof=True, tracked=True, wishes=Wishes(WISHES))
    response.begin_query()
    packet = OkPacket(status=CHANGED, info=b"\0" + lenenc_bytes(block)).build()
    try:
        feed(response, bytes_of([packet]), [cut])
    except RemoteError:
        pass


def test_changes_of_all_results_are_kept_until_the_next_command() -> None:
    response = Response(deprecate_eof=True, tracked=True)
    response.begin_query()
    first = told(0, 0, 0, Status.MORE_RESULTS, 0, b"", [ZONE])
    outcome = response.feed(bytes_of([first.tracked, told(0, 0, 0, 2, 0, b"", [MODE]).tracked]))
    assert outcome == FINISHED | EDITED | NEWS
    assert [change.name for change in response.changes] == ["time_zone", "sql_mode"]
    response.begin_query()
    assert response.changes == []


def test_half_a_packet_that_may_be_changed_is_kept_back() -> None:
    data = bytes_of([told(0, 0, 0, 2, 0, b"", [ZONE]).tracked])
    for cut in range(1, len(data)):
        response = Response(deprecate_eof=True, tracked=True)
        response.begin_query()
        assert response.feed(data[:cut]) == EDITED
        assert response.take_output() == b""
        assert response.untouched, "the client has seen nothing of it"
        assert response.feed(data[cut:]) & FINISHED
        assert response.take_output() == bytes_of([told(0, 0, 0, 2, 0, b"", []).plain])


def test_a_client_that_changes_its_wishes_is_told_so_at_once() -> None:
    wishes = Wishes(WISHES)
    response = Response(deprecate_eof=True, tracked=True, wishes=wishes)
    response.begin_query()
    wish = variable(b"session_track_system_variables", b"*")
    packet = told(0, 0, 0, 2, 0, b"", [wish]).tracked
    assert response.feed(bytes_of([packet])) == FINISHED | NEWS
    assert wishes.include(StateChange(StateKind.VARIABLE, "sql_mode", ""))


@pytest.mark.parametrize("deprecate_eof", [False, True])
def test_a_point_select_is_neither_edited_nor_news(deprecate_eof: bool) -> None:
    response = Response(deprecate_eof=deprecate_eof, tracked=True, eof_tells=True)
    status = Status.AUTOCOMMIT
    last = OkPacket(status=status).build(0xFE) if deprecate_eof else EofPacket(status=status).build()
    middle = [] if deprecate_eof else [EofPacket(status=status).build()]
    for _ in range(3):
        response.begin_query()
        assert response.feed(bytes_of([b"\1", COLUMN, *middle, b"\1x", last])) == FINISHED
        assert response.settled


def test_mysql_tells_all_with_any_ok_and_mariadb_only_with_one_that_tells_something() -> None:
    quiet, loud = told(0, 0, 0, 2, 0, b"", []), told(0, 0, 0, 2, 0, b"", [ZONE])
    for mariadb in (False, True):
        response = Response(deprecate_eof=True, tracked=True, eof_tells=mariadb)
        for packet, settled in ((ERR, False), (quiet.tracked, not mariadb), (loud.tracked, True)):
            response.begin(Command.PING)
            response.feed(bytes_of([packet]))
            assert response.settled is settled


def test_a_classic_end_tells_nothing_except_on_mariadb() -> None:
    for mariadb, status, settled in ((False, 2, False), (True, 2, True), (True, 2 | CHANGED, False)):
        response = Response(deprecate_eof=False, tracked=True, eof_tells=mariadb)
        for _ in range(2):
            response.begin_query()
            packets = [b"\1", COLUMN, EofPacket(0, 2).build(), b"\1x", EofPacket(0, status).build()]
            outcome = response.feed(bytes_of(packets))
            assert bool(outcome & NEWS) is not settled
            assert response.settled is settled
