"""I accept connections, and refuse them when full or draining."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

import structlog

from conf.settings import ProxySettings
from proxy.errors import TooManyConnections
from proxy.shares import Shares

log = structlog.get_logger()

BACKLOG = 1024
YIELD_S = 0.002
"""How long a worker leaves a connection to those that have fewer clients."""
RETRY_S = 0.1
"""How long it waits when a connection could not be accepted."""
STRANGER_PATIENCE_S = 1.0
"""When there are as many connections that have not proved who they are as may be, one that has taken longer
than this makes room: nobody locks others out by saying nothing."""

Identified = Callable[[], object]


class Listener:
    """The listening sockets of one worker.

    Those in `inherited` are shared with the other workers, which see by `shares` whose turn it is; without
    any the worker opens its own on `host` and `port`, where other workers may have theirs. `admit` serves one
    fresh connection, and calls what it is given once the client has proved who it is; `clients` says how many
    are logged in already. `limits` are looked at for every connection.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        limits: Callable[[], ProxySettings],
        clients: Callable[[], int],
        admit: Callable[[socket.socket, str, Identified], Awaitable[None]],
        shares: Shares,
        inherited: Sequence[socket.socket] = (),
    ) -> None:
        self._shares = shares
        self._host = host
        self._port = port
        self._limits = limits
        self._clients = clients
        self._admit = admit
        self._logins = 0
        self._closed = False
        self._strangers: dict[asyncio.Task[None], tuple[float, str]] = {}
        self._sockets: list[socket.socket] = list(inherited)

    def open(self) -> None:
        """Listen. Raises OSError when the address cannot be used."""
        for sock in self._sockets:
            sock.setblocking(False)
        if self._sockets:
            return
        found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in found:
            sock = socket.socket(family, kind, protocol)
            self._sockets.append(sock)
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind(address)
            sock.listen(BACKLOG)

    async def serve(self) -> None:
        """Accept until cancelled; logins under way then end too."""
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as tasks:
            try:
                for sock in self._sockets:
                    loop.add_reader(sock, self._accept, sock, tasks)
                await loop.create_future()
            finally:
                self._closed = True
                for sock in self._sockets:
                    loop.remove_reader(sock)

    def close(self) -> None:
        """Stop listening."""
        self._shares.leave()
        for sock in self._sockets:
            sock.close()
        self._sockets.clear()

    def _accept(self, listening: socket.socket, tasks: asyncio.TaskGroup) -> None:
        """Somebody wants to connect; other workers may be woken for the same one."""
        self._shares.tell(self._clients() + self._logins)
        if self._shares.is_ahead():
            self._pause(listening, tasks, YIELD_S)
        else:
            self._take(listening, tasks)

    def _take(self, listening: socket.socket, tasks: asyncio.TaskGroup) -> None:
        try:
            sock, address = listening.accept()
        except BlockingIOError:
            # Another worker was faster.
            return
        except OSError as error:
            # Out of descriptors, most likely: others will close theirs.
            log.warning("listener.accept_failed", reason=str(error))
            self._pause(listening, tasks, RETRY_S)
            return
        self._welcome(sock, str(address[0]), tasks)

    def _pause(self, listening: socket.socket, tasks: asyncio.TaskGroup, delay_s: float) -> None:
        """Leave a socket alone for a moment, then take what is still there."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(listening)
        loop.call_later(delay_s, self._go_on, listening, tasks)

    def _go_on(self, listening: socket.socket, tasks: asyncio.TaskGroup) -> None:
        if listening in self._sockets and not self._closed:
            asyncio.get_running_loop().add_reader(listening, self._accept, listening, tasks)
            self._take(listening, tasks)

    def _welcome(self, sock: socket.socket, peer: str, tasks: asyncio.TaskGroup) -> None:
        """Begin the login of a fresh connection, if there is room."""
        now_s = asyncio.get_running_loop().time()
        sock.setblocking(False)
        if self._full() or not self._makes_room(peer, now_s):
            turn_away(sock, TooManyConnections("Too many connections").unsolicited())
            return
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._logins += 1
        task = tasks.create_task(self._log_in(sock, peer))
        self._strangers[task] = now_s, peer
        task.add_done_callback(self._left)

    async def _log_in(self, sock: socket.socket, peer: str) -> None:
        task = asyncio.current_task()
        assert task is not None
        try:
            await self._admit(sock, peer, lambda: self._strangers.pop(task, None))
        except Exception:
            log.exception("login.failed", peer=peer)

    def _full(self) -> bool:
        """Say whether not even an administrator gets in, or too many wait for their branch."""
        limits = self._limits()
        reserved = share(limits.admin_connections, limits.workers)
        if self._clients() >= share(limits.max_connections, limits.workers) + reserved:
            return True
        return self._logins >= 2 * limits.max_unauthenticated

    def _makes_room(self, peer: str, now_s: float) -> bool:
        """Say whether there is room for one more stranger; the oldest goes if need be.

        One of an address that takes more than half of the room goes at once, for those who come from others.
        """
        limit = self._limits().max_unauthenticated
        if len(self._strangers) < limit:
            return True
        if not self._strangers:
            return False
        leaving, (since_s, _) = next(iter(self._strangers.items()))
        if now_s - since_s < STRANGER_PATIENCE_S:
            crowd, count = Counter(source for _, source in self._strangers.values()).most_common(1)[0]
            if crowd == peer or 2 * count <= limit:
                return False
            leaving = next(task for task, (_, source) in self._strangers.items() if source == crowd)
        del self._strangers[leaving]
        leaving.cancel()
        return True

    def _left(self, task: asyncio.Task[None]) -> None:
        self._logins -= 1
        self._strangers.pop(task, None)


def share(limit: int, workers: int) -> int:
    """Return one worker's part of a limit for all of them."""
    return max(1, -(-limit // workers)) if limit else 0


def turn_away(sock: socket.socket, answer: bytes) -> None:
    """Send a last answer without waiting for anything, and close."""
    with sock:
        try:
            sock.send(answer)
        except OSError:
            log.debug("listener.client_left")
