"""I find the connection that a KILL is about, in this worker or in another one of this machine.

A connection's id says which worker gave it. Workers reach each other by Unix sockets, so that a KILL works
while control is down.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import structlog

from proxy import channel
from proxy.branches import Branches
from proxy.channel import KillAnswer, KillOrder
from proxy.client import Client
from proxy.errors import ProxyError
from router.model import Role

log = structlog.get_logger()

ID_BITS: Final = 23
"""Ids that one worker gives. All are far above those that servers give, so that a KILL with one of ours which
reaches a server hits nobody."""
WORKERS_MAX: Final = 255
ANSWER_S: Final = 2.0
NO_SUCH_THREAD: Final = 1094
NOT_OWNER: Final = 1095

Answer = Callable[[ProxyError | None], None]


def connection_ids(worker: int) -> Iterator[int]:
    """Yield the ids of one worker's connections, which no other worker gives."""
    first = (worker % WORKERS_MAX + 1) << ID_BITS
    while True:
        # Not itertools.cycle, which would keep every number it has given.
        yield from range(first, first + (1 << ID_BITS))


def worker_of(connection_id: int) -> int:
    """Return which worker gave an id; -1 for ids of somebody else."""
    return (connection_id >> ID_BITS) - 1


class Peers:
    """The workers of this Headgate as one of them, `number`, sees them; their sockets are in `folder`."""

    def __init__(self, folder: Path, number: int, branches: Branches) -> None:
        self._folder = folder
        self._number = number % WORKERS_MAX
        self._branches = branches

    async def serve(self) -> None:
        """Take orders of other workers until cancelled."""
        path = self._socket(self._number)
        path.unlink(missing_ok=True)
        server = await asyncio.start_unix_server(self._take_order, path)
        path.chmod(0o600)
        try:
            await server.serve_forever()
        finally:
            server.close()
            path.unlink(missing_ok=True)

    def kill(self, asker: Client, connection_id: int, query_only: bool, answer: Answer) -> None:
        """End a connection, or what it is doing, for a client; `answer` is told how that went."""
        order = KillOrder(
            connection_id,
            query_only,
            asker.user.name,
            asker.user.database,
            asker.user.branch,
            asker.user.role is Role.ADMIN,
        )
        worker = worker_of(connection_id)
        if worker == self._number or not self._socket(worker).exists():
            answer(_error(self._carry_out(order)))
            return
        self._branches.errands.start(self._send_order(worker, order, answer))

    def _carry_out(self, order: KillOrder) -> KillAnswer:
        for served in self._branches:
            for client in served.clients:
                if client.connection_id == order.connection_id:
                    return self._end(client, order)
        return KillAnswer(NO_SUCH_THREAD, f"Unknown thread id: {order.connection_id}")

    def _end(self, client: Client, order: KillOrder) -> KillAnswer:
        own = client.user.name == order.user
        branch = client.served.branch
        administers = (
            order.admin and branch.database == order.database and order.branch in (None, branch.name)
        )
        if not own and not administers:
            return KillAnswer(NOT_OWNER, f"You are not owner of thread {order.connection_id}")
        self._branches.counts.add("killed_total", what="query" if order.query_only else "connection")
        client.kill(order.query_only)
        return KillAnswer()

    async def _send_order(self, worker: int, order: KillOrder, answer: Answer) -> None:
        try:
            async with asyncio.timeout(ANSWER_S):
                given = await _ask(self._socket(worker), order)
        except (OSError, TimeoutError, channel.ChannelError) as error:
            log.warning("peer.unreachable", worker=worker, reason=str(error) or type(error).__name__)
            # A worker that is gone has taken its connections with it.
            given = KillAnswer(NO_SUCH_THREAD, f"Unknown thread id: {order.connection_id}")
        answer(_error(given))

    async def _take_order(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(ANSWER_S):
                order = await _read(reader)
            if isinstance(order, KillOrder):
                writer.write(channel.encode(self._carry_out(order)))
                await writer.drain()
        except (OSError, TimeoutError, channel.ChannelError) as error:
            log.warning("peer.misunderstood", reason=str(error) or type(error).__name__)
        finally:
            writer.close()

    def _socket(self, worker: int) -> Path:
        return self._folder / f"worker-{worker}.sock"


async def _ask(path: Path, order: KillOrder) -> KillAnswer:
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        writer.write(channel.encode(order))
        answer = await _read(reader)
    finally:
        writer.close()
    if not isinstance(answer, KillAnswer):
        raise channel.ChannelError("an order came instead of an answer")
    return answer


async def _read(reader: asyncio.StreamReader) -> KillOrder | KillAnswer:
    decoder = channel.PeerSide()
    while data := await reader.read(1 << 16):
        for message in decoder.feed(data):
            return message
    raise channel.ChannelError("the other worker closed the connection")


def _error(answer: KillAnswer) -> ProxyError | None:
    return ProxyError(answer.message, errno=answer.errno) if answer.errno else None
