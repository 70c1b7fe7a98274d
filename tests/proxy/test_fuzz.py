"""I throw bytes at every parser, in both directions.

`HEADGATE_FUZZ_EXAMPLES=5000` makes me look further than in a usual run.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy import channel
from proxy.intake import FileEnd
from proxy.wire import packets
from proxy.wire.auth import sha2_verifier
from proxy.wire.commands import ChangeUser, HandshakeResponse, SslRequest
from proxy.wire.compression import FrameCodec, Scheme
from proxy.wire.constants import CACHING_SHA2_PASSWORD, NATIVE_PASSWORD, Capability, Command
from proxy.wire.errors import RemoteError, ServerRefused
from proxy.wire.execute import parse_execute
from proxy.wire.framing import PacketReader, PacketTail, frame
from proxy.wire.handshake import ClientHandshake, ServerHandshake, ServerState
from proxy.wire.primitives import Reader, lenenc_bytes
from proxy.wire.proxy_header import ProxyHeaderReader
from proxy.wire.response import EDITED, FAILED, FINISHED, Response
from proxy.wire.session_state import Wishes, filter_state, parse_state
from tests.support.raw_client import USUAL

EXAMPLES = int(os.environ.get("HEADGATE_FUZZ_EXAMPLES", "0"))
parsers = settings(max_examples=EXAMPLES or 300, derandomize=not EXAMPLES, deadline=None)
ALL = (
    USUAL
    | Capability.PROTOCOL_41
    | Capability.SECURE_CONNECTION
    | Capability.PLUGIN_AUTH
    | Capability.PLUGIN_AUTH_LENENC
    | Capability.DEPRECATE_EOF
    | Capability.SESSION_TRACK
    | Capability.ZSTD
)
NONCE = bytes(range(1, 21))
STATE = b"\0\x0f\x0aautocommit\3OFF\1\5\4shop\2\2\1\x31\4\1\0\5\x09\x08T_______"

GREETING = packets.Greeting("9.7.4", 77, NONCE, ALL, 45, 2, CACHING_SHA2_PASSWORD).build()
LOGIN = HandshakeResponse(
    ALL, 1 << 24, 45, "app", bytes(32), "shop", CACHING_SHA2_PASSWORD, {"program_name": "fuzz", "": ""}, 3
).build()
CHANGE = ChangeUser("app", bytes(20), "shop", 255, NATIVE_PASSWORD, {"a": "b"}).build(ALL)
OK = packets.OkPacket(status=2).build()
TRACKED = b"\0\1\7\2\x40\0\0\4info" + lenenc_bytes(STATE)
ERROR = packets.ErrPacket(1064, "42000", "You have an error").build()
SWITCH = packets.AuthSwitch(CACHING_SHA2_PASSWORD, NONCE).build()
COLUMN = packets.Column("a", 253).build()
EOF = packets.EofPacket(status=2).build()
EXECUTE = b"\x17\1\0\0\0\0\1\0\0\0\0\1\xfd\0\3abc"
ROW = b"\3one\xfb\xfc\x10\0" + bytes(16)

VALID = [GREETING, LOGIN, CHANGE, OK, TRACKED, ERROR, SWITCH, COLUMN, EOF, EXECUTE, ROW, STATE]

PARSERS: dict[str, Callable[[bytes], object]] = {
    "greeting": packets.Greeting.parse,
    "OK": packets.OkPacket.parse,
    "ERR": packets.ErrPacket.parse,
    "EOF": packets.EofPacket.parse,
    "auth switch": packets.AuthSwitch.parse,
    "column": packets.Column.parse,
    "row": packets.text_row,
    "error or not": packets.raise_if_err,
    "request for TLS": SslRequest.parse,
    "login": lambda data: HandshakeResponse.parse(data, ALL),
    "login of a modest client": lambda data: HandshakeResponse.parse(data, ~Capability.PLUGIN_AUTH_LENENC),
    "change of user": lambda data: ChangeUser.parse(data, ALL),
    "trackers": parse_state,
    "wished trackers": lambda data: filter_state(data, Wishes({"session_track_schema": "ON"})),
    "execute": lambda data: parse_execute(frame(data), 9),
    "length-encoded": lambda data: Reader(data).lenenc_bytes(),
}


@st.composite
def nearly_valid(draw: st.DrawFn, samples: Iterable[bytes] = tuple(VALID)) -> bytes:
    """A packet with some bytes changed, inserted or cut; or none of that; or noise."""
    data = bytearray(draw(st.sampled_from([*samples, b""])))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        piece = draw(
            st.one_of(st.binary(max_size=3), st.sampled_from([b"\xfb", b"\xff", b"\xfe" + b"\xff" * 8]))
        )
        data[at : at + draw(st.integers(0, 3))] = piece
    if draw(st.booleans()):
        del data[draw(st.integers(0, len(data))) :]
    return bytes(data)


@parsers
@given(st.sampled_from(sorted(PARSERS)), nearly_valid())
def test_a_parser_takes_any_bytes_or_calls_them_the_peers_fault(name: str, data: bytes) -> None:
    try:
        PARSERS[name](data)
    except (RemoteError, ServerRefused):
        pass


@pytest.mark.parametrize("name", PARSERS)
def test_a_parser_takes_every_beginning_of_every_packet(name: str) -> None:
    for sample in VALID:
        for end in range(len(sample) + 1):
            for tail in (b"", b"\xff" * 9, b"\xfb", bytes(9)):
                with contextlib.suppress(RemoteError, ServerRefused):
                    PARSERS[name](sample[:end] + tail)


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(at % (len(data) + 1) for at in cuts)})
    return [data[start:end] for start, end in itertools.pairwise(edges)]


def fed(machine: Callable[[], Callable[[bytes], object]], chunks: Iterable[bytes]) -> str:
    """Feed chunks and say how it ended: with which error, or with which state."""
    feed = machine()
    last: object = None
    try:
        for chunk in chunks:
            last = feed(chunk)
    except (RemoteError, ServerRefused) as error:
        return f"{type(error).__name__}: {error}"
    return repr(last)


def server_side() -> Callable[[bytes], object]:
    handshake = ServerHandshake(connection_id=1, version="9.7.4", capabilities=ALL, nonce=NONCE)
    handshake.greeting()
    replies = b""

    def feed(data: bytes) -> object:
        nonlocal replies
        replies += handshake.receive(data)
        if handshake.state is ServerState.NAMED:
            replies += handshake.choose(CACHING_SHA2_PASSWORD)
        if handshake.state is ServerState.IDENTIFIED:
            handshake.proof_holds(sha2_verifier("secret"))
        return handshake.state, replies

    return feed


def client_side() -> Callable[[bytes], object]:
    handshake = ClientHandshake("app", "secret", ALL, "shop", secure=True)
    replies = b""

    def feed(data: bytes) -> object:
        nonlocal replies
        replies += handshake.receive(data)
        return handshake.state, replies

    return feed


def tail() -> Callable[[bytes], object]:
    end, used = PacketTail(), 0

    def feed(data: bytes) -> object:
        nonlocal used
        used += end.feed(data)
        return end.over, used, end.sequence if end.over else 0

    return feed


def file_end() -> Callable[[bytes], object]:
    end, used = FileEnd(), 0

    def feed(data: bytes) -> object:
        nonlocal used
        used += end.feed(data)
        return end.over, used

    return feed


def reader() -> Callable[[bytes], object]:
    whole, found = PacketReader(1 << 16), list[tuple[int, bytes]]()

    def feed(data: bytes) -> object:
        found.extend(whole.feed(data))
        return found, whole.pending

    return feed


def proxy_header() -> Callable[[bytes], object]:
    header = ProxyHeaderReader()

    def feed(data: bytes) -> object:
        while data and header.header is None:
            size = header.missing
            header.feed(data[:size])
            data = data[size:]
        return header.header

    return feed


def codec(scheme: Scheme) -> Callable[[], Callable[[bytes], object]]:
    def machine() -> Callable[[bytes], object]:
        frames, inside = FrameCodec(scheme), b""

        def feed(data: bytes) -> object:
            nonlocal inside
            frames.feed(data)
            inside += b"".join(iter(lambda: frames.take(1 << 16), b""))
            return inside

        return feed

    return machine


def orders() -> Callable[[bytes], object]:
    side, found = channel.WorkerSide(), list[object]()

    def feed(data: bytes) -> object:
        try:
            found.extend(side.feed(data))
        except channel.ChannelError as error:
            raise RemoteError("channel") from error
        return found

    return feed


def response(
    command: Command, *, deprecate_eof: bool, tracked: bool
) -> Callable[[], Callable[[bytes], object]]:
    def machine() -> Callable[[bytes], object]:
        follower = Response(deprecate_eof=deprecate_eof, tracked=tracked)
        follower.begin(command)
        written = b""

        def feed(data: bytes) -> object:
            nonlocal written
            outcome = follower.feed(data)
            written += follower.take_output() if outcome & EDITED else data
            ended = outcome & (FINISHED | FAILED)
            return ended, ended and (written, follower.status, follower.errno, follower.changes)

        return feed

    return machine


MACHINES: dict[str, Callable[[], Callable[[bytes], object]]] = {
    "server's login": server_side,
    "client's login": client_side,
    "packets": reader,
    "end of a packet": tail,
    "end of a file": file_end,
    "load balancer's header": proxy_header,
    "zlib frames": codec(Scheme.ZLIB),
    "zstd frames": codec(Scheme.ZSTD),
    "orders of control": orders,
    **{
        f"answer to {command.name}, {deprecate_eof=}, {tracked=}": response(
            command, deprecate_eof=deprecate_eof, tracked=tracked
        )
        for command in (
            Command.QUERY,
            Command.STMT_PREPARE,
            Command.STMT_FETCH,
            Command.PING,
            Command.FIELD_LIST,
        )
        for deprecate_eof in (False, True)
        for tracked in (False, True)
    },
}

STREAMS = [
    frame(GREETING) + frame(SWITCH, 2) + frame(b"\1\3", 4) + frame(OK, 5),
    frame(LOGIN, 1) + frame(bytes(32), 3),
    frame(b"\1", 1) + frame(COLUMN, 2) + frame(EOF, 3) + frame(ROW, 4) + frame(EOF, 5),
    frame(b"\1", 1) + frame(COLUMN, 2) + frame(ROW, 3) + frame(b"\xfe" + TRACKED[1:], 4),
    frame(TRACKED, 1),
    frame(ERROR, 1),
    frame(b"\0\1\0\0\0\1\0\1\0\0\0\0", 1)
    + frame(COLUMN, 2)
    + frame(EOF, 3)
    + frame(COLUMN, 4)
    + frame(EOF, 5),
    b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + frame(LOGIN, 1),
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12) + frame(LOGIN, 1),
    b"\7\0\0\0\0\0\0" + OK + b"\7\0\0\1\x10\0\0" + OK,
]


@parsers
@given(st.sampled_from(sorted(MACHINES)), nearly_valid(STREAMS), st.lists(st.integers(0, 300), max_size=6))
def test_bytes_mean_the_same_however_they_are_cut(name: str, data: bytes, cuts: list[int]) -> None:
    machine = MACHINES[name]
    whole = fed(machine, [data])
    pieces = fed(machine, cut(data, cuts) or [b""])
    if "Error" in whole or "Error" in pieces:
        # What is wrong is seen as soon as it is there; what has been taken until then differs.
        assert ("RemoteError" in whole) == ("RemoteError" in pieces), (whole, pieces)
    else:
        assert whole == pieces


@pytest.mark.parametrize("name", MACHINES)
def test_bytes_mean_the_same_at_every_single_cut(name: str) -> None:
    for stream in STREAMS:
        whole = fed(MACHINES[name], [stream])
        for at in range(1, len(stream)):
            pieces = fed(MACHINES[name], [stream[:at], stream[at:]])
            assert pieces == whole or "Error" in whole, at
        by_bytes = fed(MACHINES[name], [stream[at : at + 1] for at in range(len(stream))])
        assert by_bytes == whole or "Error" in whole
