from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable

import pytest

from proxy.preparation import Conversation, converse
from proxy.wire.commands import command
from proxy.wire.constants import Capability, Command
from proxy.wire.framing import frame
from proxy.wire.packets import Column, EofPacket, ErrPacket, OkPacket
from proxy.wire.primitives import lenenc_bytes

OK = OkPacket(status=2).build()


class FakeBackend:
    """A connection that keeps what it is sent and can be answered."""

    def __init__(self, capabilities: Capability = Capability.SESSION_TRACK) -> None:
        self.capabilities = capabilities
        self.sent = b""
        self.owner: Conversation | None = None
        self.aborted = False

    def serve(self, owner: Conversation) -> None:
        self.owner = owner

    def write(self, data: bytes) -> None:
        self.sent += data

    def abort(self) -> None:
        self.aborted = True

    def answer(self, *packets: bytes, cut: int = 1 << 30) -> None:
        data = b"".join(frame(payload, 1) for payload in packets)
        assert self.owner is not None
        for start in range(0, len(data), cut):
            self.owner.answered(data[start : start + cut])


def talk(backend: FakeBackend, *commands: bytes) -> list[Conversation]:
    over: list[Conversation] = []
    done: Callable[[Conversation], None] = over.append
    Conversation(backend, list(commands), done).begin()
    return over


@pytest.mark.parametrize("cut", [1, 3, 7, 1 << 20])
def test_commands_are_sent_at_once_and_all_answers_awaited(cut: int) -> None:
    backend = FakeBackend()
    commands = [command(Command.QUERY, b"SET a = 1"), command(Command.INIT_DB, b"shop")]
    over = talk(backend, *commands)
    assert backend.sent == frame(commands[0]) + frame(commands[1])
    backend.answer(OK, cut=cut)
    assert not over
    backend.answer(OK, cut=cut)
    [told] = over
    assert (told.error, told.lost, told.status) == (None, False, 2)


def test_the_first_error_is_kept_with_its_command() -> None:
    backend = FakeBackend()
    over = talk(
        backend, command(Command.QUERY, b"a"), command(Command.QUERY, b"b"), command(Command.QUERY, b"c")
    )
    backend.answer(OK, ErrPacket(1049, "42000", "no").build(), ErrPacket(1064, "42000", "nor").build())
    assert over[0].error is not None
    assert over[0].error.errno == 1049
    assert over[0].failed == command(Command.QUERY, b"b")


def test_numbers_of_prepared_statements_are_kept() -> None:
    backend = FakeBackend()
    over = talk(
        backend,
        command(Command.STMT_CLOSE, bytes(4)),
        command(Command.STMT_PREPARE, b"SELECT ?"),
        command(Command.STMT_CLOSE, bytes(4)),
    )
    prepared = b"\0" + (77).to_bytes(4, "little") + b"\1\0" + b"\1\0" + b"\0" + b"\0\0"
    column, end = Column("a").build(), EofPacket().build()
    backend.answer(prepared, column, end, column)
    assert not over
    backend.answer(end)
    assert over[0].prepared == [77]


def test_rows_are_kept() -> None:
    backend = FakeBackend()
    over = talk(backend, command(Command.QUERY, b"SHOW"))
    end = EofPacket(status=2).build()
    backend.answer(b"\1", Column("a").build(), end, lenenc_bytes(b"row"), end, cut=5)
    assert lenenc_bytes(b"row") in over[0].packets


def test_a_lost_connection_is_told_once_it_is_lost() -> None:
    backend = FakeBackend()
    over = talk(backend, command(Command.PING))
    assert backend.owner is not None
    backend.owner.backend_lost()
    assert over[0].lost


def test_nonsense_ends_the_connection() -> None:
    backend = FakeBackend()
    over = talk(backend, command(Command.PING))
    backend.answer(b"\x55nonsense")
    assert backend.aborted
    assert not over


def test_commands_without_answers_are_over_at_once() -> None:
    assert talk(FakeBackend(), command(Command.STMT_CLOSE, bytes(4)))


def test_who_was_told_is_not_told_again() -> None:
    backend = FakeBackend()
    over = talk(backend, command(Command.PING))
    backend.answer(OK)
    assert backend.owner is not None
    backend.owner.backend_lost()
    assert len(over) == 1


async def test_a_conversation_that_is_over_leaves_nothing_to_the_collector() -> None:
    async def one() -> None:
        backend = FakeBackend()
        asyncio.get_running_loop().call_soon(backend.answer, OK)
        told = await converse(backend, [command(Command.PING)])
        assert told.status == 2
        backend.owner = None

    gc.collect()
    gc.disable()
    try:
        await one()
        await asyncio.sleep(0)
        assert not [thing for thing in gc.get_objects() if isinstance(thing, Conversation)]
    finally:
        gc.enable()
