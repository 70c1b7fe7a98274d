"""I read and change COM_STMT_EXECUTE, so that a prepared statement can run on any backend.

A client names the types of its parameters when they are new to the server; on another backend than the last
one they must be sent again. Source: page_protocol_com_stmt_execute.html; query attributes, which would change
the layout, are not offered to clients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from proxy.wire.constants import MAX_FRAME, Command
from proxy.wire.errors import RemoteError
from proxy.wire.framing import HEADER_BYTES, frame

_ID: Final = HEADER_BYTES + 1
_FLAGS: Final = _ID + 4
_PARAMETERS: Final = _FLAGS + 5
NO_CURSOR: Final = 0


@dataclass(frozen=True, slots=True)
class Execute:
    """What a COM_STMT_EXECUTE says; positions count from the packet's first byte.

    `flags` is not 0 when the client wants a cursor. `types` are two bytes for each parameter, None when the
    client relies on those it sent before. `bound_at` is where the flag stands that says so; 0 without
    parameters.
    """

    statement_id: int
    flags: int
    bound_at: int
    types: bytes | None


def statement_id(packet: bytes) -> int:
    """Return which statement a STMT_EXECUTE, FETCH, RESET, CLOSE or SEND_LONG_DATA is about.

    A packet that is too short gives a number nobody has, or its first bytes: no statement is found by it.
    """
    if len(packet) < _ID + 4:
        return -1
    return packet[_ID] | packet[_ID + 1] << 8 | packet[_ID + 2] << 16 | packet[_ID + 3] << 24


def with_statement_id(packet: bytes, number: int) -> bytes:
    """Return the packet with another statement's number in it."""
    return packet[:_ID] + number.to_bytes(4, "little") + packet[_ID + 4 :]


def parse_execute(packet: bytes, parameters: int) -> Execute:
    """Read a packet, of which the head up to the types must be here; `parameters` is the statement's count.

    Raises RemoteError when the packet is too short for what it says.
    """
    if len(packet) < _PARAMETERS or packet[HEADER_BYTES] != Command.STMT_EXECUTE:
        raise RemoteError("a COM_STMT_EXECUTE is too short")
    number, flags = int.from_bytes(packet[_ID:_FLAGS], "little"), packet[_FLAGS]
    if not parameters:
        return Execute(number, flags, 0, b"")
    return Execute(number, flags, _bound_at(parameters), types_in(packet, parameters))


def types_in(packet: bytes, parameters: int) -> bytes | None:
    """Return the types that a packet brings along: None when it relies on earlier ones.

    Raises RemoteError when the packet is too short for what it says; there must be parameters.
    """
    bound_at = _bound_at(parameters)
    if len(packet) <= bound_at:
        raise RemoteError("a COM_STMT_EXECUTE ends within its parameters")
    if not packet[bound_at]:
        return None
    types = packet[bound_at + 1 : bound_at + 1 + 2 * parameters]
    if len(types) < 2 * parameters:
        raise RemoteError("a COM_STMT_EXECUTE ends within its types")
    return types


def _bound_at(parameters: int) -> int:
    """Return where the flag stands that says whether types come along."""
    return _PARAMETERS + (parameters + 7) // 8


def with_types(packet: bytes, execute: Execute, types: bytes) -> bytes:
    """Return a whole packet that relies on earlier types as one that brings them along."""
    payload = packet[HEADER_BYTES : execute.bound_at] + b"\1" + types + packet[execute.bound_at + 1 :]
    return frame(payload, packet[3])


def head_bytes(parameters: int) -> int:
    """Return how much of a packet `parse_execute` needs."""
    return _bound_at(parameters) + 1 + 2 * parameters


def insert_types(first_frame: bytes, execute: Execute, types: bytes) -> tuple[bytes, bytes] | None:
    """Put types into the first frame of a packet that is passed on piece by piece.

    Returns the changed frame's header and the bytes to put in place of the flag at `bound_at`; None when the
    frame would grow beyond its limit: such a packet has to be brought along whole.
    """
    length = int.from_bytes(first_frame[:3], "little") + len(types)
    if length >= MAX_FRAME:
        return None
    return length.to_bytes(3, "little") + first_frame[3:4], b"\1" + types
