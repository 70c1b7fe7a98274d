"""I accept connections, and refuse them when full or draining."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import structlog

from proxy.errors import TooManyConnections

log = structlog.get_logger()

BACKLOG = 1024
UNAUTHENTICATED_MAX = 256
"""Logins one worker has under way at most."""


class Listener:
    """The listening sockets of one worker; the other workers have theirs on the same port.

    `admit` serves one fresh connection; `clients` says how many are logged in already.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        max_connections: int,
        clients: Callable[[], int],
        admit: Callable[[socket.socket, str], Awaitable[None]],
    ) -> None:
        self._host = host
        self._port = port
        self._max_connections = max_connections
        self._clients = clients
        self._admit = admit
        self._logins = 0
        self._sockets: list[socket.socket] = []

    def open(self) -> None:
        """Listen. Raises OSError when the address cannot be used."""
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
        async with asyncio.TaskGroup() as tasks:
            for sock in self._sockets:
                tasks.create_task(self._accept(sock, tasks))

    def close(self) -> None:
        """Stop listening."""
        for sock in self._sockets:
            sock.close()
        self._sockets.clear()

    async def _accept(self, listening: socket.socket, tasks: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, address = await loop.sock_accept(listening)
            except OSError as error:
                # Out of descriptors, most likely: others will close theirs.
                log.warning("listener.accept_failed", reason=str(error))
                await asyncio.sleep(0.1)
                continue
            sock.setblocking(False)
            if self._logins >= UNAUTHENTICATED_MAX or self._clients() >= self._max_connections:
                self._turn_away(sock)
                continue
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            tasks.create_task(self._log_in(sock, str(address[0])))

    async def _log_in(self, sock: socket.socket, peer: str) -> None:
        self._logins += 1
        try:
            await self._admit(sock, peer)
        except Exception:
            log.exception("login.failed", peer=peer)
        finally:
            self._logins -= 1

    def _turn_away(self, sock: socket.socket) -> None:
        """Send the error that takes the greeting's place, without waiting for anything."""
        with sock:
            try:
                sock.send(TooManyConnections("Too many connections").packet(0))
            except OSError:
                log.debug("listener.client_left")
