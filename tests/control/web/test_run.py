"""What is run, where it can be seen what becomes of it: on a server directly."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from control.web import run
from control.web.results import Answers, Limits, Outcome
from control.web.run import Conversation
from router.database import Connection
from router.model import Server
from router.servers.process import LocalServer
from tests.support.servers import until


async def never() -> None:
    await asyncio.Event().wait()


async def said(server: Server, sql: str, limit_s: float, killer: Server | None = None) -> Outcome:
    """Run a statement, and return what became of it when it was ended by way of `killer`."""
    answers = Answers(Limits(2, 100))
    connection = await Connection.open(server)
    try:
        await Conversation(connection, answers).hold([sql], limit_s, never, killer or server)
    finally:
        await connection.close()
    return answers.outcomes[0]


async def asleep(admin: Connection, mark: int) -> list[int]:
    """The numbers of the connections that are in this sleep."""
    found = await admin.fetch_all(
        "SELECT id FROM information_schema.processlist WHERE info LIKE %s AND id <> CONNECTION_ID()",
        f"%SLEEP({mark})%",
    )
    return [number for (number,) in found]


async def test_what_can_be_ended_is_and_that_is_told(server: LocalServer) -> None:
    outcome = await said(server.server, "SELECT 'x', SLEEP(1101)", 0.5)
    assert outcome.stopped.startswith("The run was ended after 0.5 s")
    async with await Connection.open(server.server) as admin:

        async def over() -> bool:
            return not await asleep(admin, 1101)

        await until(over)


async def test_what_cannot_be_ended_is_not_said_to_have_been(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "END_S", 0.1)
    stranger = replace(server.server, account=replace(server.server.account, password="wrong"))
    outcome = await said(server.server, "SELECT 'x', SLEEP(1102)", 0.5, stranger)
    assert outcome.stopped.startswith("The run could not be ended")
    async with await Connection.open(server.server) as admin:
        for number in await asleep(admin, 1102):
            await admin.execute("KILL %s", number)
