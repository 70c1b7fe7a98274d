"""I assemble one worker process, and drain it on SIGTERM."""

from __future__ import annotations

import asyncio
import gc
import os
import secrets
import signal
import socket
import time
from collections.abc import Sequence
from typing import Any

import structlog

from conf.settings import Settings
from proxy.agent import Agent
from proxy.branches import TICKS, Branches
from proxy.channel import Hello
from proxy.client import Doors
from proxy.credentials import Credentials
from proxy.listener import Identified, Listener
from proxy.login import Desk, log_in
from proxy.peers import Peers, connection_ids
from proxy.shares import Shares
from proxy.tls import TlsDoor

log = structlog.get_logger()

CONTROL_SOCKET = "control.sock"
SHARES = "shares"
DRAIN_TIMEOUT_S = 10.0
"""How long transactions under way may take once the worker is to end."""
LARGE_BLOCK_BYTES = 1 << 20


class Worker:
    """One process that serves clients: everything it consists of, and its life from start to drain.

    `listening` are the sockets that all workers share; without them this one opens its own.
    """

    def __init__(self, settings: Settings, number: int, listening: Sequence[socket.socket] = ()) -> None:
        proxy = settings.proxy
        self._proxy = proxy
        self._branches = Branches(proxy, number % proxy.workers)
        hello = Hello(number, os.getpid(), secrets.token_hex(8))
        self._agent = Agent(
            settings.run_dir / CONTROL_SOCKET,
            self._branches,
            hello,
            wake_timeout_s=proxy.connect_timeout_s,
        )
        self._peers = Peers(settings.run_dir, number, self._branches)
        self._tls = TlsDoor(proxy, settings.state_dir)
        self._desk = Desk(
            self._branches,
            tls=self._tls,
            credentials=Credentials.of(settings.state_dir),
            doors=Doors(self._agent.send, kill=self._peers.kill),
            next_connection_id=connection_ids(number).__next__,
            locate=self._agent.locate,
        )
        self._listener = Listener(
            proxy.host,
            proxy.port,
            limits=lambda: self._branches.limits,
            clients=lambda: self._branches.clients,
            admit=self._admit,
            shares=Shares(settings.run_dir / SHARES, number),
            inherited=listening,
        )

    async def run(self) -> None:
        """Serve until SIGTERM, SIGINT or an order to drain; then end what is under way and return."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(_log_failure)
        # A reload comes from control; whoever signals all processes at once must not end this one.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._agent.drain.set)
        async with asyncio.TaskGroup() as tasks:
            serving = tasks.create_task(self._serve())
            running = [
                tasks.create_task(endless)
                for endless in (
                    self._agent.run(),
                    self._agent.report(),
                    self._peers.serve(),
                    self._clean_up(),
                )
            ]
            await self._agent.drain.wait()
            serving.cancel()
            await self._drain()
            for task in running:
                task.cancel()
        log.info("worker.ended")

    async def _serve(self) -> None:
        await self._agent.routed.wait()
        if self._agent.drain.is_set():
            return
        self._listener.open()
        # What lives now lives as long as the process: the collector need not look at it again.
        gc.freeze()
        # Once one is freed, glibc keeps large blocks (mallopt(3), M_MMAP_THRESHOLD). TLS is read into
        # blocks of 256 KiB, which would otherwise be mapped and unmapped for every chunk.
        bytes(LARGE_BLOCK_BYTES)
        log.info("worker.listening", host=self._proxy.host, port=self._proxy.port)
        try:
            await self._listener.serve()
        finally:
            self._listener.close()

    async def _admit(self, sock: socket.socket, peer: str, identified: Identified) -> None:
        await log_in(sock, peer, self._desk, identified)

    async def _clean_up(self) -> None:
        """Do what time has made due."""
        while True:
            for _ in range(TICKS):
                await asyncio.sleep(1 / TICKS)
                self._branches.tick(time.perf_counter_ns())
            self._tls.refresh(self._branches.limits)
            self._branches.kill_expired(time.time())

    async def _drain(self) -> None:
        log.info("worker.draining", clients=self._branches.clients)
        self._branches.drain()
        deadline = time.monotonic() + DRAIN_TIMEOUT_S
        while self._branches.clients and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        if self._branches.clients:
            log.warning("worker.clients_cut_off", clients=self._branches.clients)


def _log_failure(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what went wrong in a callback of the event loop: a bug, which has cost one connection."""
    log.error("callback.failed", reason=context.get("message"), exc_info=context.get("exception"))
