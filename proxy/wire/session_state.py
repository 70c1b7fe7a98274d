"""I read and filter what an OK packet says about the session: the trackers' block.

Source: page_protocol_basic_ok_packet.html, "Session State Information". What each server really sends is in
tests/proxy/test_trackers.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Final, NamedTuple

from proxy.wire.errors import RemoteError
from proxy.wire.primitives import Reader, lenenc_bytes


class StateKind(IntEnum):
    """What a change is about (enum_session_state_type in mysql_com.h)."""

    VARIABLE = 0
    """A system variable: `name` and `value`."""
    SCHEMA = 1
    """The default schema is now `value`, which is empty when it was dropped."""
    STATE_CHANGED = 2
    """Something changed, `value` is 1: a variable, a user variable, a temporary table, a PREPARE."""
    GTID = 3
    CHARACTERISTICS = 4
    """The statements that would start the same transaction again; empty when there is nothing special."""
    TRANSACTION_STATE = 5
    """Eight letters; the last one is L while tables are locked."""


VARIABLE: Final = int(StateKind.VARIABLE)
_SCHEMA: Final = int(StateKind.SCHEMA)
_STATE_CHANGED: Final = int(StateKind.STATE_CHANGED)
_GTID: Final = int(StateKind.GTID)
_CHARACTERISTICS: Final = int(StateKind.CHARACTERISTICS)
_TRANSACTION_STATE: Final = int(StateKind.TRANSACTION_STATE)


class StateChange(NamedTuple):
    """One thing that a statement changed; `name` is empty except for variables.

    Bytes that are not UTF-8 survive in `value` as lone surrogates ("surrogateescape").
    """

    kind: int
    name: str
    value: str


class Wishes:
    """Which changes a client asked to be told, by the same variables as on the server.

    `variables` are the names in session_track_system_variables, None for all of them.
    """

    __slots__ = ("gtids", "schema", "state_change", "transaction", "variables")

    def __init__(self, settings: Mapping[str, str]) -> None:
        """Take the session_track_* variables' values; others in `settings` do not matter."""
        self.variables: frozenset[str] | None = frozenset()
        self.schema = False
        self.state_change = False
        self.transaction = "OFF"
        self.gtids = False
        for name, value in settings.items():
            self.learn(name, value)

    def learn(self, name: str, value: str) -> None:
        """Take a variable's new value."""
        if name == "session_track_system_variables":
            names = frozenset(part.strip().lower() for part in value.split(","))
            self.variables = None if "*" in names else names
        elif name == "session_track_schema":
            self.schema = value in _ON
        elif name == "session_track_state_change":
            self.state_change = value in _ON
        elif name == "session_track_transaction_info":
            self.transaction = value
        elif name == "session_track_gtids":
            self.gtids = value != "OFF"

    def include(self, change: StateChange) -> bool:
        """Say whether the client is to be told."""
        kind = change.kind
        if kind == VARIABLE:
            return self.variables is None or change.name in self.variables
        if kind == _SCHEMA:
            return self.schema
        if kind == _STATE_CHANGED:
            return self.state_change
        if kind == _GTID:
            return self.gtids
        if kind == _CHARACTERISTICS:
            return self.transaction == "CHARACTERISTICS"
        return kind == _TRANSACTION_STATE and self.transaction != "OFF"


_ON: Final = frozenset({"ON", "1"})


def parse_state(block: bytes) -> list[StateChange]:
    """Read a block. Raises RemoteError when it is not one; kinds from the future are left out."""
    reader = Reader(block)
    changes: list[StateChange] = []
    while reader.remaining:
        kind = reader.uint(1)
        data = reader.lenenc_bytes()
        if kind == VARIABLE:
            pairs = Reader(data)
            while pairs.remaining:
                name = _text(pairs.lenenc_bytes())
                changes.append(StateChange(VARIABLE, name, _text(pairs.lenenc_bytes())))
        elif kind <= _TRANSACTION_STATE:
            changes.append(StateChange(kind, "", _value(kind, data)))
    return changes


def filter_state(block: bytes, wishes: Wishes) -> bytes:
    """Return what a server would send of a block to a client with these wishes; empty: nothing at all."""
    reader = Reader(block)
    kept: list[bytes] = []
    while reader.remaining:
        kind = reader.uint(1)
        data = reader.lenenc_bytes()
        if kind == VARIABLE:
            data = _wished_variables(data, wishes)
            if data:
                kept.append(b"\0" + lenenc_bytes(data))
        elif kind <= _TRANSACTION_STATE and wishes.include(StateChange(kind, "", "")):
            kept.append(bytes((kind,)) + lenenc_bytes(data))
    return b"".join(kept)


def _wished_variables(data: bytes, wishes: Wishes) -> bytes:
    """Keep some of the variables of one entry: MariaDB puts several into one."""
    pairs = Reader(data)
    kept: list[bytes] = []
    while pairs.remaining:
        name, value = pairs.lenenc_bytes(), pairs.lenenc_bytes()
        if wishes.include(StateChange(VARIABLE, _text(name), "")):
            kept.append(lenenc_bytes(name) + lenenc_bytes(value))
    return b"".join(kept)


def _value(kind: int, data: bytes) -> str:
    if kind == _STATE_CHANGED:
        return _text(data)
    reader = Reader(data)
    if kind == _GTID and reader.uint(1) != 0:
        raise RemoteError("the server describes a GTID in an unknown way")
    return _text(reader.lenenc_bytes())


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
