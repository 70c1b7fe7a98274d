"""I run what was typed into the console: through our own proxy, as a client like any other."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog
from sqlalchemy.exc import SQLAlchemyError

from control.client import harmless
from control.errors import ControlError
from control.passwords import Passwords, PasswordWish
from control.service import Service
from control.web.results import Answers, Failure, Limits, Outcome, plain
from router.answers import End, Head, Values
from router.classify import Kind, classify
from router.clock import now
from router.database import Connection
from router.errors import AnswerUnread, DatabaseError
from router.model import Account, Address, Role, Server, ServerTls, TlsMode
from router.records import PasswordRecord
from router.secrets import new_id

log = structlog.get_logger()

USER_PREFIX: Final = "web-console-"
"""What the user names of our passwords begin with; each lives for one run."""
RUNS_MAX: Final = 8
"""Runs at a time, of all people together: each may keep one answer in memory."""
ANSWER_BYTES_MAX: Final = 16 << 20
"""Bytes that are read of the answers to one statement; they are kept only as far as they are shown."""
LOGIN_S: Final = 30.0
END_S: Final = 5.0
"""How long a statement that is told to end may take to say that it has."""
TIME_OVER: Final = (
    "The run was ended after {limit_s:g} s, which console.run_s allows. What was not committed is undone."
)
CUT_OFF: Final = (
    "The run was ended in the middle of its answer, of which no more is shown. What was not committed is "
    "undone."
)
"""Said of what may write; what only reads has nothing to lose."""
NOT_ENDED: Final = (
    "The run could not be ended at the server, where it may still go on: look with SHOW PROCESSLIST, and end "
    "it with KILL."
)
WARNINGS: Final = "SHOW WARNINGS LIMIT 50"
NO_SUCH_THREAD: Final = 1094

Leaving = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants to run: statements, in this order, on a branch, with the rights of a role."""

    branch: str
    role: Role
    statements: Sequence[str]


class Runs:
    """The runs that are under way."""

    def __init__(self) -> None:
        self._under_way = 0

    async def run(self, service: Service, wish: Wish, left: Leaving) -> list[Outcome]:
        """Run statements until one fails, the time is over, or `left` returns since nobody waits any more.

        Raises ControlError, DatabaseError or ServerFailed when there is no getting in.
        """
        if self._under_way >= RUNS_MAX:
            raise ControlError(f"{RUNS_MAX} runs are under way in the console already: try again in a moment")
        self._under_way += 1
        try:
            return await _run(service, wish, left)
        finally:
            self._under_way -= 1


async def _run(service: Service, wish: Wish, left: Leaving) -> list[Outcome]:
    settings = service.settings.console
    answers = Answers(Limits(settings.rows_max, settings.value_bytes_max))
    await service.branches.wake(wish.branch)
    async with _login(service, wish) as server:
        database = service.branches.production.database
        connection = await Connection.open(server, database=database, timeout_s=LOGIN_S)
        try:
            conversation = Conversation(connection, answers)
            await conversation.hold(wish.statements, settings.run_s, left, server)
        finally:
            await connection.close()
    return answers.outcomes


@contextlib.asynccontextmanager
async def _login(service: Service, wish: Wish) -> AsyncIterator[Server]:
    """Make a password for the body alone, and give the proxy as the server to log in to with it.

    Should this process die meanwhile, the password ends by itself, soon after the run would have.
    """
    _check_way(service, wish)
    await _discard_leftovers(service.passwords)
    lives_s = service.settings.console.run_s + LOGIN_S + 2 * END_S
    record, secret = await service.passwords.create(
        PasswordWish(
            wish.branch,
            name="web console",
            username=USER_PREFIX + new_id(),
            role=wish.role,
            ttl_s=int(lives_s) + 1,
        )
    )
    try:
        production = service.branches.production.traffic
        yield Server(
            production.flavor,
            production.version,
            Address(service.proxy_host, service.proxy_port),
            Account(record.username, secret),
            # Branches may demand TLS; whose certificate it is does not matter on the same machine.
            ServerTls(TlsMode.REQUIRED),
        )
    finally:
        await _discard(service.passwords, record)


def _check_way(service: Service, wish: Wish) -> None:
    """Raise ControlError where the proxy asks of its clients what the console cannot give."""
    proxy, host = service.settings.proxy, service.proxy_host
    why = ""
    if proxy.tls_client_ca:
        why = "has no certificate, which proxy.tls_client_ca demands of every client"
    elif any(_is_within(host, network) for network in proxy.proxy_protocol_networks):
        why = f"comes from {host}, which proxy.proxy_protocol_networks takes for a load balancer"
    if why:
        raise ControlError(
            f"the console {why}: use another client, and make a password for it with: "
            f"headgate password create {service.branches.production.database} {wish.branch}"
        )


def _is_within(host: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network)
    except ValueError:
        # A name: only the attempt will tell.
        return False


async def _discard(passwords: Passwords, record: PasswordRecord) -> None:
    try:
        await passwords.discard(record)
    except (SQLAlchemyError, OSError) as error:
        # What was run has run, and must not be answered as if it had not; the password's time ends it.
        log.error("console.password_left", user=record.username, exc_info=error)


async def _discard_leftovers(passwords: Passwords) -> None:
    """Delete passwords of runs that a process before this one did not live to the end of."""
    moment = now()
    for record in await passwords.all():
        if record.username.startswith(USER_PREFIX) and record.expired(moment):
            await _discard(passwords, record)


class Conversation:
    """One connection and what is said on it; what comes back is told to `answers`."""

    def __init__(self, connection: Connection, answers: Answers) -> None:
        self._connection = connection
        self._answers = answers
        self._stopped = ""

    async def hold(self, statements: Sequence[str], limit_s: float, left: Leaving, server: Server) -> None:
        """Run statements, and see to it that nothing of them goes on at the server when this returns."""
        async with asyncio.TaskGroup() as group:
            speaking = group.create_task(self._speak(statements))
            leaving = group.create_task(_until(left))
            await asyncio.wait({speaking, leaving}, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
            leaving.cancel()
            if not speaking.done():
                self._stopped = TIME_OVER.format(limit_s=limit_s)
                await self._kill(server, "KILL QUERY %s")
                await asyncio.wait({speaking}, timeout=END_S)
            if not speaking.done() or not speaking.result():
                if not await self._kill(server, "KILL %s"):
                    self._answers.outcomes[-1].stopped = NOT_ENDED
                speaking.cancel()
                self._connection.abort()

    async def _speak(self, statements: Sequence[str]) -> bool:
        """Run statements; False when an answer is left unread, and the connection is of no more use."""
        for statement in statements:
            outcome = self._answers.begin(statement)
            begun = time.monotonic()
            try:
                whole = await self._ask(statement, outcome)
            finally:
                outcome.took_s = time.monotonic() - begun
                outcome.stopped = outcome.stopped or self._stopped
            if not whole:
                if classify(statement.encode()) is not Kind.READ:
                    outcome.stopped = outcome.stopped or CUT_OFF
                return False
            if outcome.failure or self._stopped:
                break
        return True

    async def _ask(self, statement: str, outcome: Outcome) -> bool:
        warnings = 0
        try:
            async with contextlib.aclosing(self._read(statement)) as steps:
                async for step in steps:
                    if not self._answers.take(step):
                        return False
                    warnings = step.warnings if isinstance(step, End) else warnings
                    # Rows that are here already are read without waiting: let others have their turn.
                    await asyncio.sleep(0)
            if warnings:
                async with contextlib.aclosing(self._read(WARNINGS)) as steps:
                    async for step in steps:
                        if isinstance(step, tuple):
                            outcome.warnings.append(plain(step))
        except AnswerUnread as error:
            outcome.failure = Failure(0, "", harmless(str(error)))
            return False
        except DatabaseError as error:
            outcome.failure = Failure(error.errno, error.state, harmless(error.message))
        return True

    def _read(self, statement: str) -> AsyncGenerator[Head | Values | End, None]:
        return self._connection.read(statement, bytes_max=ANSWER_BYTES_MAX)

    async def _kill(self, server: Server, order: str) -> bool:
        """End what the connection does, at the server, from another connection; say whether that was done."""
        try:
            async with await Connection.open(server, timeout_s=LOGIN_S) as other:
                await other.execute(order, self._connection.thread_id)
        except DatabaseError as error:
            if error.errno != NO_SUCH_THREAD:
                log.warning("console.kill_failed", user=server.account.user, reason=str(error))
                return False
        return True


async def _until(left: Leaving) -> None:
    await left()
