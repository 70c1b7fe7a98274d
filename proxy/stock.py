"""I am the backends of one branch: opened when there is need, kept well and warm, closed in time, counted."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from time import perf_counter_ns
from typing import TYPE_CHECKING, Final

import structlog

from proxy.channel import PinnedClient, PoolStats
from proxy.errors import BackendLost, ProxyError
from proxy.histogram import bucket_of
from proxy.pooled_backend import ALWAYS, CLASS_OF, BackendClass, Demand, PooledBackend, open_pooled
from proxy.preparation import Conversation
from proxy.wire.commands import command
from proxy.wire.constants import Capability, Command, Status
from proxy.wire.session_state import StateChange, StateKind
from router.model import Branch, Server

if TYPE_CHECKING:
    from proxy.branches import Branches, ServedBranch

log = structlog.get_logger()

NS: Final = 1_000_000_000
PING_AFTER_S: Final = 8.0
"""An idle backend is asked whether it is well when it has not been used for this long."""
PING_TIMEOUT_S: Final = 3.0
REACHED_S: Final = 5.0
"""A server that answered within this time is taken to be there."""
FULL_S: Final = 2
"""So long after a server said that it has too many connections none is opened while there are others."""
TRIES_MAX: Final = 3
"""So many backends are tried for one statement before it fails."""

PING: Final = command(Command.PING)
IN_TRANSACTION: Final = int(Status.IN_TRANSACTION | Status.IN_TRANSACTION_READONLY)
_SERVER_IS_FULL: Final = frozenset({1040, 1203, 1226})

Done = Callable[[PooledBackend, Conversation], None]


class Stock:
    """All backends of one branch in this worker. Who gets one when is known to somebody else, the Pool."""

    def __init__(self, served: ServedBranch, home: Branches) -> None:
        self._served = served
        self._home = home
        self._classes: dict[tuple[Server, Capability], BackendClass] = {}
        self._backends: set[PooledBackend] = set()
        self._opening = 0
        self._waiting: dict[Demand, int] = {}
        self._reached_ns = self._full_until_ns = -(1 << 62)
        self._closed = False
        self.steals: Counter[str] = Counter()
        self.opened_count = 0
        self.closed_count = 0
        self.waits_ns: list[int] = []

    def give_back(self, backend: PooledBackend) -> None:
        """Take a backend whose client has left, between two responses."""
        raise NotImplementedError

    def _release(self, backend: PooledBackend) -> None:
        """Give a backend that nobody is linked to, to who waits for one, or let it rest."""
        raise NotImplementedError

    def _serve_waiting(self) -> None:
        """Give what there is to those who wait, in order."""
        raise NotImplementedError

    def _leave_queue(self, demand: Demand) -> int | None:
        """Return since when somebody has waited that does so no more."""
        raise NotImplementedError

    # -- what there is --------------------------------------------------------------------------------------

    @property
    def budget(self) -> int:
        """How many backends this worker may have: its share of the branch's."""
        limits = self._home.limits
        share, rest = divmod(limits.max_backend_connections, max(1, limits.workers))
        return max(1, share + (self._home.worker < rest))

    @property
    def size(self) -> int:
        """How many backends there are, those being opened included."""
        return len(self._backends) + self._opening

    @property
    def reached(self) -> bool:
        """Whether the server is known to be there."""
        return perf_counter_ns() - self._reached_ns < REACHED_S * NS

    def class_for(self, server: Server, capabilities: Capability) -> BackendClass:
        """Return the class of backends for a client with these capabilities."""
        key = server, capabilities & CLASS_OF
        found = self._classes.get(key)
        if found is None:
            found = self._classes[key] = BackendClass(server, key[1] | ALWAYS)
        return found

    def _is_full(self) -> bool:
        """Say whether there can be no further backend: by our limit, or by the server's."""
        return self.size >= self.budget or perf_counter_ns() < self._full_until_ns

    def _talk(self, backend: PooledBackend, commands: list[bytes], done: Done) -> None:
        backend.talking_ns = perf_counter_ns()
        # The answers are what a question about the last statement would now be about.
        backend.last_client_id = 0
        Conversation(backend, commands, partial(done, backend)).begin()

    # -- opening --------------------------------------------------------------------------------------------

    def _start_opening(self, wanted: BackendClass) -> None:
        self._opening += 1
        wanted.opening += 1
        self._home.errands.start(self._open(wanted))

    async def _open(self, wanted: BackendClass) -> None:
        backend: PooledBackend | None = None
        problem: ProxyError | None = None
        try:
            backend = await open_pooled(self, wanted, self._served.branch, self._home.limits)
        except ProxyError as error:
            problem = error
        finally:
            self._opening -= 1
            wanted.opening -= 1
        if backend is not None:
            self._backends.add(backend)
            self.opened_count += 1
            self._reached_ns = perf_counter_ns()
            self._release(backend)
        elif problem is not None:
            self._not_opened(wanted, problem)

    def _not_opened(self, wanted: BackendClass, error: ProxyError) -> None:
        """Tell who has waited longest, unless there are others to wait for.

        The failure is that one's: all others have time left, and one of theirs may succeed.
        """
        if error.errno in _SERVER_IS_FULL and self._backends:
            log.warning("backend.not_opened", branch=self._served.branch.name, reason=error.message)
            self._full_until_ns = perf_counter_ns() + FULL_S * NS
            self._serve_waiting()
            return
        demand = next((demand for demand in self._waiting if demand.backend_class is wanted), None)
        if demand is not None:
            demand.tries += 1
            if not isinstance(error, BackendLost) or demand.tries > TRIES_MAX:
                self._leave_queue(demand)
                demand.turned_away(error)
        self._serve_waiting()

    # -- closing --------------------------------------------------------------------------------------------

    def _rest(self, backend: PooledBackend) -> None:
        backend.talking_ns = 0
        backend.rest()
        backend.backend_class.idle.append(backend)

    def close(self, backend: PooledBackend) -> None:
        """Part with a backend, in good manners if it is between responses."""
        backend.demand = None
        if backend in self._backends:
            self.lost(backend)
        if backend.talking_ns:
            backend.abort()
        else:
            # Who had it may have another one when this connection has ended.
            backend.rest()
            backend.leave()

    def close_at_once(self, backend: PooledBackend) -> None:
        """Part with a backend in the middle of something."""
        self.lost(backend)
        backend.abort()

    def lost(self, backend: PooledBackend) -> None:
        """Forget a backend whose connection is gone."""
        if backend not in self._backends:
            return
        self._backends.discard(backend)
        self.closed_count += 1
        backend.statements.clear()
        if backend in backend.backend_class.idle:
            backend.backend_class.idle.remove(backend)
        if self._waiting and not self._closed:
            asyncio.get_running_loop().call_soon(self._serve_waiting)

    def change(self, branch: Branch) -> None:
        """Follow the branch to other servers or accounts: backends that lead elsewhere are not lent again."""
        servers = [server for server in (branch.server, *branch.replicas) if server is not None]
        for key, known in list(self._classes.items()):
            if any(_is_reached_by(known.server, server, branch) for server in servers):
                continue
            log.info("pool.moved", branch=branch.name, address=str(known.server.address))
            del self._classes[key]
            known.stale = True
            while known.idle:
                self.close(known.idle.pop())

    def shut(self) -> None:
        """Close what is idle, and everything else as it comes back."""
        self._closed = True
        for known in self._classes.values():
            while known.idle:
                self.close(known.idle.pop())

    def forget_statements(self, concerns: Callable[[bytes], object]) -> None:
        """Let statements on changed tables be prepared anew."""
        for backend in self._backends:
            if not backend.talking_ns and (backend.client is None or backend.client.between_statements):
                backend.send(backend.statements.forget(concerns))

    # -- once a second --------------------------------------------------------------------------------------

    def tick(self, now_ns: int) -> None:
        """Do what is due: end what is too old or does not answer, keep some warm, serve who waits."""
        limits = self._home.limits
        idle_ns = int(limits.backend_idle_timeout_s * NS)
        spare = self.size - limits.min_backend_connections
        for backend in list(self._backends):
            client = backend.client
            if client is not None:
                if now_ns - client.heard_ns < REACHED_S * NS:
                    self._reached_ns = now_ns
                unused_ns = now_ns - client.heard_ns
                due = now_ns > backend.expires_ns or (unused_ns > idle_ns and spare > 0)
                if due and client.releasable(now_ns):
                    self.close(client.let_go())
                    spare -= 1
            elif backend.talking_ns:
                patience_s = limits.connect_timeout_s if backend.demand else PING_TIMEOUT_S
                if now_ns - backend.talking_ns > patience_s * NS:
                    backend.abort()
            elif now_ns > backend.expires_ns or (now_ns - backend.used_ns > idle_ns and spare > 0):
                self.close(backend)
                spare -= 1
            elif now_ns - backend.used_ns > PING_AFTER_S * NS:
                backend.backend_class.idle.remove(backend)
                self._talk(backend, [PING], self._well)
        if self._waiting:
            self._serve_waiting()
        elif self._classes and self.size < min(limits.min_backend_connections, self.budget):
            self._keep_warm()

    def _keep_warm(self) -> None:
        if not self._served.branch.sleepable and not self._closed and not self._opening:
            wanted = next((known for known in self._classes.values() if not known.stale), None)
            if wanted is not None:
                self._start_opening(wanted)

    def _well(self, backend: PooledBackend, told: Conversation) -> None:
        """An idle backend has answered a ping."""
        if told.lost or told.error:
            self.close(backend)
            return
        self._reached_ns = perf_counter_ns()
        if tells_something(told.changes) or told.status & IN_TRANSACTION:
            backend.dirty = True
        used_ns = backend.used_ns
        self._release(backend)
        backend.used_ns = used_ns if backend.client is None else backend.used_ns

    # -- figures --------------------------------------------------------------------------------------------

    def _pinned(self) -> Counter[str]:
        return Counter(
            str(reason)
            for backend in self._backends
            if backend.client is not None
            for reason in backend.client.reasons()
        )

    def take_stats(self) -> PoolStats:
        """Return what there is and what happened since the last time."""
        now = perf_counter_ns()
        linked = [backend.client for backend in self._backends if backend.client is not None]
        active = sum(client.busy for client in linked)
        buckets = Counter(bucket_of(wait // 1000) for wait in self.waits_ns)
        taken = PoolStats(
            active=active,
            linked=len(linked) - active,
            idle=sum(len(known.idle) for known in self._classes.values()),
            opening=self._opening,
            waiting=len(self._waiting),
            longest_wait_ms=(now - next(iter(self._waiting.values()), now)) / 1e6,
            pinned=dict(self._pinned()),
            steals=dict(self.steals),
            opened=self.opened_count,
            closed=self.closed_count,
            wait_buckets=list(buckets.items()),
        )
        self.waits_ns.clear()
        self.steals.clear()
        self.opened_count = self.closed_count = 0
        return taken

    def pinned_clients(self, limit: int = 100) -> list[PinnedClient]:
        """Return who has been pinned for longest."""
        now = perf_counter_ns()
        clients = [backend.client for backend in self._backends if backend.client is not None]
        pinned = sorted(
            (client for client in clients if client.reasons()), key=lambda client: client.pinned_ns
        )
        return [
            PinnedClient(
                client.connection_id,
                client.user.name,
                client.peer,
                [str(reason) for reason in client.reasons()],
                (now - client.pinned_ns) / NS,
            )
            for client in pinned[:limit]
        ]


def _is_reached_by(known: Server, server: Server, branch: Branch) -> bool:
    """Say whether a backend to a known server with its account may be used for a server of the branch."""
    accounts = (server.account, *branch.accounts.values())
    # A server's version is told more exactly once it has been asked: that makes it no other server.
    same = replace(known, account=server.account, version=server.version) == server
    return same and known.account in accounts


def tells_something(changes: list[StateChange]) -> bool:
    """Say whether a server told of a change that nobody knows of."""
    return any(
        change.kind in (StateKind.STATE_CHANGED, StateKind.SCHEMA)
        or (change.kind == StateKind.VARIABLE and not change.name.startswith("session_track_"))
        for change in changes
    )
