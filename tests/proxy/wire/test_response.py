from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.constants import MAX_FRAME, Command, Status
from proxy.wire.errors import RemoteError
from proxy.wire.framing import frame
from proxy.wire.packets import Column, EofPacket, ErrPacket, OkPacket
from proxy.wire.primitives import lenenc_bytes, lenenc_int
from proxy.wire.response import FAILED, FINISHED, INFILE, UNFINISHED, Response

OK = OkPacket(status=Status.AUTOCOMMIT).build()
IN_TRANSACTION = OkPacket(status=Status.IN_TRANSACTION).build()
ERR = ErrPacket(1064, "42000", "You have an error").build()
COLUMN = Column("a").build()
ROW = lenenc_bytes(b"value")
BINARY_ROW = b"\x00\x00" + lenenc_bytes(b"value")
MORE = Status.AUTOCOMMIT | Status.MORE_RESULTS


def framed(*payloads: bytes) -> bytes:
    return b"".join(frame(payload, number & 0xFF) for number, payload in enumerate(payloads, 1))


def end(status: int = Status.AUTOCOMMIT, *, deprecate_eof: bool) -> bytes:
    if deprecate_eof:
        return OkPacket(status=status).build(0xFE)
    return EofPacket(status=status).build()


def result(*rows: bytes, status: int = Status.AUTOCOMMIT, deprecate_eof: bool) -> list[bytes]:
    middle = [] if deprecate_eof else [end(deprecate_eof=False)]
    return [b"\x02", COLUMN, COLUMN, *middle, *rows, end(status, deprecate_eof=deprecate_eof)]


def prepared(columns: int, parameters: int, *, deprecate_eof: bool) -> list[bytes]:
    head = b"\0" + (7).to_bytes(4, "little") + columns.to_bytes(2, "little")
    head += parameters.to_bytes(2, "little") + b"\0\0\0"
    packets = [head]
    for count in (parameters, columns):
        packets += [COLUMN] * count
        if count and not deprecate_eof:
            packets.append(end(deprecate_eof=False))
    return packets


def cases(deprecate_eof: bool) -> list[tuple[Command, list[bytes]]]:
    e = deprecate_eof
    cursor = Status.AUTOCOMMIT | Status.CURSOR_EXISTS
    opened = [b"\x01", COLUMN, end(cursor, deprecate_eof=e)]
    return [
        (Command.QUERY, [OK]),
        (Command.QUERY, [ERR]),
        (Command.QUERY, result(deprecate_eof=e)),
        (Command.QUERY, result(ROW * 2, ROW * 2, deprecate_eof=e)),
        (Command.QUERY, [*result(ROW, deprecate_eof=e)[:-1], ERR]),
        (Command.QUERY, [*result(ROW, status=MORE, deprecate_eof=e), OK]),
        (Command.QUERY, [OkPacket(status=MORE).build(), *result(ROW, deprecate_eof=e)]),
        (Command.QUERY, [*result(ROW, status=MORE, deprecate_eof=e), ERR]),
        (Command.STMT_EXECUTE, result(BINARY_ROW, BINARY_ROW, deprecate_eof=e)),
        (Command.STMT_EXECUTE, opened),
        (Command.STMT_FETCH, [BINARY_ROW, BINARY_ROW, end(cursor, deprecate_eof=e)]),
        (Command.STMT_FETCH, [ERR]),
        (Command.FIELD_LIST, [COLUMN, COLUMN, end(deprecate_eof=e)]),
        (Command.FIELD_LIST, [ERR]),
        (Command.STMT_PREPARE, [ERR]),
        *(
            (Command.STMT_PREPARE, prepared(columns, parameters, deprecate_eof=e))
            for columns, parameters in itertools.product((0, 2), (0, 3))
        ),
        (Command.STATISTICS, [b"Uptime: 3  Threads: 2"]),
        (Command.PING, [OK]),
        (Command.INIT_DB, [ERR]),
        (Command.DEBUG, [end(deprecate_eof=e)]),
        (Command.RESET_CONNECTION, [OK]),
    ]


every_case = pytest.mark.parametrize(
    ("deprecate_eof", "command", "packets"),
    [(eof, command, packets) for eof in (False, True) for command, packets in cases(eof)],
)


@every_case
def test_a_response_ends_with_its_last_byte(
    deprecate_eof: bool, command: Command, packets: list[bytes]
) -> None:
    response = Response(deprecate_eof=deprecate_eof)
    assert response.begin(command)
    assert response.feed(framed(*packets)) == (FAILED if packets[-1][:1] == b"\xff" else FINISHED)
    assert response.over


@every_case
def test_a_response_that_comes_again_is_followed_again(
    deprecate_eof: bool, command: Command, packets: list[bytes]
) -> None:
    response = Response(deprecate_eof=deprecate_eof)
    for cut in (0, 0, 3, 20, 0):
        response.begin(command)
        data = framed(*packets)
        if 0 < cut < len(data):
            assert response.feed(data[:cut]) == UNFINISHED
            data = data[cut:]
        assert response.feed(data)


@every_case
def test_one_response_does_not_change_how_the_next_is_followed(
    deprecate_eof: bool, command: Command, packets: list[bytes]
) -> None:
    response = Response(deprecate_eof=deprecate_eof)
    for other, more in cases(deprecate_eof):
        for number, payloads in ((command, packets), (other, more)):
            response.begin(number)
            assert response.feed(framed(*payloads)) in (FINISHED, FAILED)


@every_case
def test_a_response_is_followed_through_every_cut(
    deprecate_eof: bool, command: Command, packets: list[bytes]
) -> None:
    data = framed(*packets)
    for cut in range(1, len(data)):
        response = Response(deprecate_eof=deprecate_eof)
        response.begin(command)
        assert not response.feed(data[:cut])
        assert not response.over
        assert response.feed(data[cut:])


@every_case
def test_a_response_is_followed_byte_by_byte(
    deprecate_eof: bool, command: Command, packets: list[bytes]
) -> None:
    data = framed(*packets)
    response = Response(deprecate_eof=deprecate_eof)
    response.begin(command)
    outcomes = [response.feed(data[at : at + 1]) for at in range(len(data))]
    assert not any(outcomes[:-1])
    assert outcomes[-1]


@every_case
def test_what_follows_a_response_is_the_servers_fault(
    deprecate_eof: bool, command: Command, packets: list[bytes]
) -> None:
    response = Response(deprecate_eof=deprecate_eof)
    response.begin(command)
    with pytest.raises(RemoteError):
        response.feed(framed(*packets) + b"\x01")


def test_a_server_that_speaks_unasked_is_at_fault() -> None:
    with pytest.raises(RemoteError):
        Response(deprecate_eof=True).feed(framed(ERR))


@pytest.mark.parametrize("command", [Command.QUIT, Command.STMT_CLOSE, Command.STMT_SEND_LONG_DATA])
def test_some_commands_have_no_response(command: Command) -> None:
    response = Response(deprecate_eof=True)
    assert not response.begin(command)
    assert response.over


def test_the_last_status_tells_the_transaction() -> None:
    response = Response(deprecate_eof=True)
    assert not response.in_transaction
    response.begin_query()
    response.feed(framed(IN_TRANSACTION))
    assert response.in_transaction
    response.begin_query()
    response.feed(framed(ERR))
    assert response.in_transaction, "an error says nothing about the transaction"
    response.begin_query()
    response.feed(framed(*result(ROW, status=Status.IN_TRANSACTION_READONLY, deprecate_eof=True)))
    assert response.in_transaction
    response.begin_query()
    response.feed(framed(OK))
    assert not response.in_transaction


def test_what_was_prepared_is_known_by_its_number() -> None:
    response = Response(deprecate_eof=True)
    response.begin(Command.STMT_PREPARE)
    response.feed(framed(*prepared(1, 1, deprecate_eof=True)))
    assert response.prepared_id == 7
    response.begin(Command.STMT_PREPARE)
    response.feed(framed(ERR))
    assert response.prepared_id is None


def test_what_was_prepared_says_how_much_it_needs() -> None:
    response = Response(deprecate_eof=True)
    response.begin(Command.STMT_PREPARE)
    response.feed(framed(*prepared(2, 3, deprecate_eof=True)))
    assert (response.columns, response.parameters) == (2, 3)


def test_what_the_last_ok_packet_said_is_known() -> None:
    response = Response(deprecate_eof=True)
    response.begin_query()
    response.feed(framed(OkPacket(3, 70_000, Status.AUTOCOMMIT, 2).build()))
    assert (response.affected, response.insert_id, response.warnings) == (3, 70_000, 2)
    response.begin_query()
    response.feed(framed(OkPacket(1, 5).build()))
    assert (response.affected, response.insert_id, response.warnings) == (1, 5, 0)
    response.begin_query()
    response.feed(framed(ERR))
    assert (response.affected, response.insert_id, response.errno) == (0, 0, 1064)
    response.begin_query()
    assert response.errno == 0


@pytest.mark.parametrize("deprecate_eof", [False, True])
def test_warnings_are_counted_however_a_result_ends(deprecate_eof: bool) -> None:
    last = OkPacket(warnings=300).build(0xFE) if deprecate_eof else EofPacket(300).build()
    response = Response(deprecate_eof=deprecate_eof)
    for _ in range(2):
        response.begin_query()
        response.feed(framed(*result(ROW, deprecate_eof=deprecate_eof)[:-1], last))
        assert response.warnings == 300
    response.begin_query()
    response.feed(framed(*result(ROW, deprecate_eof=deprecate_eof)))
    assert response.warnings == 0


def test_a_file_that_may_be_asked_for_is_asked_for() -> None:
    for size in (1, 3, 100):
        response = Response(deprecate_eof=True)
        response.begin(Command.QUERY, infile=True)
        request = framed(b"\xfbname")
        pieces = [request[at : at + size] for at in range(0, len(request), size)]
        assert [response.feed(piece) for piece in pieces] == [UNFINISHED] * (len(pieces) - 1) + [INFILE]
        assert not response.over
        # The numbers go on with those of the file's packets, and may have gone round.
        assert response.feed(frame(OK, 0)) == FINISHED


def test_a_file_must_be_asked_for_alone() -> None:
    response = Response(deprecate_eof=True)
    response.begin(Command.QUERY, infile=True)
    with pytest.raises(RemoteError):
        response.feed(framed(b"\xfbname", OK))


def test_the_right_to_ask_for_a_file_ends_with_its_statement() -> None:
    response = Response(deprecate_eof=True)
    response.begin(Command.QUERY, infile=True)
    response.feed(framed(OK))
    response.begin_query()
    with pytest.raises(RemoteError):
        response.feed(framed(b"\xfbname"))


def test_a_binary_log_goes_on_until_it_ends() -> None:
    response = Response(deprecate_eof=True)
    response.begin_endless()
    event = b"\0" + bytes(30)
    for _ in range(3):
        assert response.feed(framed(event, event)) == UNFINISHED
    huge = b"\0" + bytes(MAX_FRAME + 5)
    assert response.feed(frame(huge)) == UNFINISHED
    assert response.feed(framed(EofPacket().build())) == FINISHED
    response.begin_endless()
    assert response.feed(framed(event, ERR)) == FAILED


@pytest.mark.parametrize("command", [Command.QUERY, Command.PING, Command.STMT_PREPARE, Command.STATISTICS])
def test_a_packet_from_before_the_command_is_not_its_answer(command: Command) -> None:
    response = Response(deprecate_eof=True)
    response.begin(command)
    with pytest.raises(RemoteError):
        response.feed(frame(ERR, 0))
    assert response.untouched


@pytest.mark.parametrize("first", [b"\xfb", b"\xfc\xff", b"\xfe", b"\x02\x00", b"\xff\x01"])
def test_a_strange_beginning_is_the_servers_fault(first: bytes) -> None:
    response = Response(deprecate_eof=True)
    response.begin_query()
    with pytest.raises(RemoteError):
        response.feed(framed(first))


@pytest.mark.parametrize("deprecate_eof", [False, True])
def test_an_error_can_end_a_result_among_its_columns(deprecate_eof: bool) -> None:
    response = Response(deprecate_eof=deprecate_eof)
    response.begin_query()
    assert response.feed(framed(b"\x02", COLUMN, ERR)) == FAILED


def test_a_request_for_a_file_is_the_servers_fault() -> None:
    response = Response(deprecate_eof=True)
    response.begin_query()
    with pytest.raises(RemoteError, match="file"):
        response.feed(framed(b"\xfb/etc/passwd"))


def test_a_long_end_of_rows_with_trackers_is_an_end() -> None:
    response = Response(deprecate_eof=True)
    response.begin_query()
    last = OkPacket(status=Status.AUTOCOMMIT, info=bytes(3000)).build(0xFE)
    assert response.feed(framed(*result(ROW, deprecate_eof=True)[:-1], last))


@pytest.mark.parametrize("deprecate_eof", [False, True])
@pytest.mark.parametrize("extra", [0, 1, 20])
def test_a_row_of_several_frames_is_not_an_end(deprecate_eof: bool, extra: int) -> None:
    # Its first byte is that of an end: a string of 16 MiB has a length in eight bytes.
    huge = b"\xfe" + (MAX_FRAME - 9 + extra).to_bytes(8, "little") + b"\xfe" * (MAX_FRAME - 9 + extra)
    data = framed(*result(ROW, huge, ROW, deprecate_eof=deprecate_eof))
    for size in (len(data), 1 << 16, MAX_FRAME, MAX_FRAME + 3):
        response = Response(deprecate_eof=deprecate_eof)
        response.begin_query()
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        outcomes = [response.feed(piece) for piece in pieces]
        assert outcomes == [UNFINISHED] * (len(pieces) - 1) + [FINISHED]


@pytest.mark.parametrize("count", [1, 250, 251, 4096, 65535])
def test_any_number_of_columns_is_followed(count: int) -> None:
    response = Response(deprecate_eof=True)
    response.begin_query()
    packets = [lenenc_int(count), *[COLUMN] * count, ROW * 300, end(deprecate_eof=True)]
    assert response.feed(framed(*packets))


def test_an_error_can_take_a_responses_place_only_before_it_begins() -> None:
    response = Response(deprecate_eof=True)
    assert not response.untouched
    response.begin_query()
    assert response.untouched
    response.feed(framed(*result(ROW, status=MORE, deprecate_eof=True)))
    assert not response.over
    assert not response.untouched


@given(st.sampled_from(list(Command)), st.booleans(), st.lists(st.binary(max_size=60), max_size=6))
def test_random_packets_are_followed_or_the_servers_fault(
    command: Command, deprecate_eof: bool, payloads: list[bytes]
) -> None:
    response = Response(deprecate_eof=deprecate_eof)
    response.begin(command)
    try:
        response.feed(framed(*payloads))
    except RemoteError:
        pass
