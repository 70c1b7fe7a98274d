"""I lend the backends of one branch to its clients, and take them back between transactions.

A backend stays linked to the client that used it last, which goes on with it at no cost. Only who has none
asks: it gets an idle one, or one is opened, or one changes hands whose client could do without; else it waits
its turn. Everything but opening happens in callbacks of the event loop.
"""

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
from proxy.errors import BackendLost, ProxyError, TooManyConnections
from proxy.histogram import bucket_of
from proxy.pooled_backend import ALWAYS, CLASS_OF, BackendClass, Demand, PooledBackend, Visit, open_pooled
from proxy.preparation import Conversation
from proxy.session import SETTLE, Session
from proxy.wire.commands import command
from proxy.wire.constants import Capability, Command, Status
from proxy.wire.packets import ErrPacket
from proxy.wire.session_state import StateChange, StateKind
from router.model import Branch, Flavor, Server

if TYPE_CHECKING:
    from proxy.branches import Branches, ServedBranch
    from proxy.pooled import PooledClient

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

_PING: Final = command(Command.PING)
_RESET: Final = command(Command.RESET_CONNECTION)
_IN_TRANSACTION: Final = int(Status.IN_TRANSACTION | Status.IN_TRANSACTION_READONLY)
_SERVER_IS_FULL: Final = frozenset({1040, 1203, 1226})
_NO_SCHEMA: Final = frozenset({1044, 1049})


class Pool:
    """All backends of one branch in this worker, and who waits for one."""

    def __init__(self, served: ServedBranch, home: Branches) -> None:
        self._served = served
        self._home = home
        self._classes: dict[tuple[Server, Capability], BackendClass] = {}
        self._backends: set[PooledBackend] = set()
        self._opening = 0
        self._waiting: dict[Demand, int] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._reached_ns = self._full_until_ns = -(1 << 62)
        self._closed = False
        self.steals: Counter[str] = Counter()
        self.opened_count = 0
        self.closed_count = 0
        self.waits_ns: list[int] = []

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

    # -- asking for one -------------------------------------------------------------------------------------

    def acquire(self, demand: Demand) -> None:
        """Give a backend: now, or when it is somebody's turn, by calling back."""
        assert demand not in self._waiting
        self._waiting[demand] = perf_counter_ns()
        demand.backend_class.waiting += 1
        if len(self._waiting) == 1:
            self._served.notice(waiting=True)
        self._serve_waiting()
        if self._waiting and self._timer is None:
            self._arm()

    async def visit(self, wanted: BackendClass, session: Session | None = None) -> None:
        """See that there is a backend, and that it takes a session. Raises ProxyError when not."""
        visit = Visit(wanted, session)
        self.acquire(visit)
        try:
            await visit.over
        except asyncio.CancelledError:
            visit.gone = True
            self.forget(visit)
            raise

    def forget(self, demand: Demand) -> bool:
        """Somebody who waited has left; false when nothing waited any more, as a backend is on its way."""
        return self._leave_queue(demand) is not None

    def disown(self, client: PooledClient) -> None:
        """Keep what a server is about to tell of a session from a client that has begun another one."""
        for backend in self._backends:
            if backend.former is client:
                backend.former = None
                backend.dirty = True

    def _leave_queue(self, demand: Demand) -> int | None:
        since = self._waiting.pop(demand, None)
        if since is not None:
            demand.backend_class.waiting -= 1
            if not self._waiting:
                self._served.notice(waiting=False)
                if self._timer is not None:
                    self._timer.cancel()
                    self._timer = None
        return since

    def _serve_waiting(self) -> None:
        """Give what there is to those who wait, in order."""
        for demand in list(self._waiting):
            if demand not in self._waiting:
                # What was done for another one has led here too.
                continue
            backend = self._find(demand)
            if backend is None:
                if self._opening == 0 or self._opening >= len(self._waiting):
                    break
                continue
            since = self._leave_queue(demand)
            if since is not None:
                self.waits_ns.append(perf_counter_ns() - since)
            self._hand(backend, demand)

    def _find(self, demand: Demand) -> PooledBackend | None:
        """Find a backend for somebody; None means to wait, for one being opened perhaps."""
        wanted = demand.backend_class
        if wanted.idle:
            return wanted.idle.pop()
        if wanted.opening >= wanted.waiting:
            return None
        if self._is_full():
            victim = self._victim(wanted)
            if victim is not None:
                return self._unlink(victim)
            if not self._close_one(wanted):
                return None
        self._start_opening(wanted)
        return None

    def _is_full(self) -> bool:
        """Say whether there can be no further backend: by our limit, or by the server's."""
        return self.size >= self.budget or perf_counter_ns() < self._full_until_ns

    def _victim(self, wanted: BackendClass | None) -> PooledBackend | None:
        """Find the linked backend that its client has not used for longest."""
        now = perf_counter_ns()
        best: PooledBackend | None = None
        oldest = now
        for backend in self._backends:
            client = backend.client
            if client is None or (wanted is not None and backend.backend_class is not wanted):
                continue
            since = client.heard_ns
            if since < oldest and client.releasable(now):
                best, oldest = backend, since
        return best

    def _unlink(self, backend: PooledBackend) -> PooledBackend:
        client = backend.client
        assert client is not None
        return client.let_go()

    def _close_one(self, wanted: BackendClass) -> bool:
        """Make room by closing a backend of another class."""
        for other in self._classes.values():
            if other is not wanted and other.idle:
                self.close(other.idle.pop(0))
                return True
        victim = self._victim(None)
        if victim is None:
            return False
        self.close(self._unlink(victim))
        return True

    def _arm(self) -> None:
        """See to it that the first who waits does not do so for ever."""
        self._timer = None
        timeout_s = self._home.limits.query_wait_timeout_s
        now = perf_counter_ns()
        while self._waiting:
            demand, since = next(iter(self._waiting.items()))
            left_s = timeout_s - (now - since) / NS
            if left_s > 0:
                self._timer = asyncio.get_running_loop().call_later(left_s, self._arm)
                return
            self._leave_queue(demand)
            self.waits_ns.append(now - since)
            demand.turned_away(self._nothing_free())

    def _nothing_free(self) -> ProxyError:
        pinned = ", ".join(f"{count} by {reason}" for reason, count in sorted(self._pinned().items()))
        branch = self._served.branch
        return TooManyConnections(
            f'Too many connections: no connection to the server of branch "{branch.name}" became free in '
            f"{self._home.limits.query_wait_timeout_s:g} s; of {len(self._backends)} in this worker "
            f"{sum(self._pinned().values())} are pinned{f' ({pinned})' if pinned else ''}"
        )

    # -- handing over ---------------------------------------------------------------------------------------

    def _hand(self, backend: PooledBackend, demand: Demand) -> None:
        """Bring a backend into the state of a session, then give it to its client."""
        backend.demand = demand
        if backend.settled:
            self._prepare(backend, demand)
            return
        if backend.former is not None:
            backend.former.settling = True
        self._talk(backend, [self._question(backend)], self._settled)

    def _question(self, backend: PooledBackend) -> bytes:
        """Return what makes a server tell all it could not tell yet: MySQL any command, MariaDB a SET."""
        return SETTLE if backend.backend_class.server.flavor is Flavor.MARIADB else _PING

    def _talk(self, backend: PooledBackend, commands: list[bytes], done: _Done) -> None:
        backend.talking_ns = perf_counter_ns()
        # The answers are what a question about the last statement would now be about.
        backend.last_client_id = 0
        Conversation(backend, commands, partial(done, backend)).begin()

    def _settled(self, backend: PooledBackend, told: Conversation) -> None:
        """The server has told everything about the session that the backend had."""
        former, backend.former = backend.former, None
        demand = backend.demand
        backend.settled = True
        if told.lost or told.error:
            self.close(backend)
            if former is not None:
                former.settled(None)
            self._try_again(demand)
            return
        if former is not None and not former.gone:
            if former.still_needs(told.changes, told.status, self._question(backend)[1:]):
                backend.demand = None
                backend.talking_ns = 0
                former.settled(backend)
                self._first_in_line(demand)
                return
            former.hand_on(backend)
            former.settled(None)
        elif _tells_something(told.changes) or told.status & _IN_TRANSACTION:
            backend.dirty = True
        if demand is None or demand.gone:
            self._release(backend)
        else:
            self._prepare(backend, demand)

    def _prepare(self, backend: PooledBackend, demand: Demand) -> None:
        session = demand.wanted_session
        if session is None:
            self._give(backend, demand)
            return
        if backend.dirty:
            self.steals["reset"] += 1
            canonical = backend.backend_class.canonical
            assert canonical is not None
            steps = [
                *backend.backend_class.renewal(),
                *session.steps_from(canonical.fresh(backend.state.schema)),
            ]
        elif backend.state.signature == session.signature:
            self.steals["same_signature"] += 1
            self._give(backend, demand)
            return
        else:
            self.steals["set"] += 1
            steps = session.steps_from(backend.state)
        if session.can_follow(backend.state):
            self._talk(backend, steps, self._prepared)
        else:
            self._release(backend)
            demand.turned_away(ProxyError("No database selected", errno=1046, sqlstate="3D000"))

    def _prepared(self, backend: PooledBackend, told: Conversation) -> None:
        demand = backend.demand
        if told.lost or (told.error and told.error.errno not in _NO_SCHEMA):
            self.close(backend)
            self._failed(demand, told.error)
            return
        if backend.dirty:
            backend.renewed()
        if told.error:
            # All has been answered, but who knows what has taken effect.
            backend.dirty = True
            self._release(backend)
            self._failed(demand, told.error)
            return
        if demand is None or demand.gone:
            backend.dirty = True
            self._release(backend)
        else:
            self._give(backend, demand)

    def _failed(self, demand: Demand | None, error: ErrPacket | None) -> None:
        """A backend did not take the session of somebody."""
        if demand is None or demand.gone or error is None:
            self._try_again(demand)
        elif error.errno in _NO_SCHEMA:
            demand.turned_away(ProxyError(error.message, errno=error.errno, sqlstate=error.sqlstate))
        elif demand.tries < TRIES_MAX:
            self._try_again(demand)
        else:
            demand.turned_away(
                BackendLost(
                    "the settings of this session could not be carried to another connection to the "
                    f"server: {error.message} (error {error.errno})"
                )
            )

    def _give(self, backend: PooledBackend, demand: Demand) -> None:
        backend.demand = None
        backend.talking_ns = 0
        self._reached_ns = perf_counter_ns()
        demand.receive(backend)

    def _try_again(self, demand: Demand | None) -> None:
        """Look for another backend for somebody whose last one was of no use."""
        if demand is None or demand.gone:
            return
        demand.tries += 1
        if demand.tries > TRIES_MAX:
            lost = "the connection to the server was lost; the statement was not executed"
            demand.turned_away(BackendLost(lost))
        else:
            self._first_in_line(demand)

    def _first_in_line(self, demand: Demand | None) -> None:
        if demand is not None and not demand.gone:
            others = self._waiting
            self._waiting = {demand: perf_counter_ns(), **others}
            demand.backend_class.waiting += 1
            self._served.notice(waiting=True)
            if self._timer is None:
                self._arm()
        self._serve_waiting()

    # -- taking back ----------------------------------------------------------------------------------------

    def offer(self, client: PooledClient) -> None:
        """Take a backend from a client that could do without, for those who wait."""
        full = self._is_full()
        for demand in self._waiting:
            wanted = demand.backend_class
            if wanted is client.backend_class or (full and wanted.opening < wanted.waiting):
                self._release(client.let_go())
                return

    def give_back(self, backend: PooledBackend) -> None:
        """Take a backend whose client has left, between two responses."""
        backend.former = None
        self._release(backend)

    def _release(self, backend: PooledBackend) -> None:
        """Give a backend that nobody is linked to, to who waits for one, or let it rest."""
        backend.demand = None
        backend.used_ns = perf_counter_ns()
        if self._closed or backend.backend_class.stale or backend.transport.is_closing():
            self.close(backend)
        elif not self._hand_to_first(backend):
            if backend.dirty:
                # A transaction may be open, locks may be held: these end now.
                self._talk(backend, backend.backend_class.renewal(), self._cleaned)
            else:
                backend.former = None
                self._rest(backend)

    def _hand_to_first(self, backend: PooledBackend) -> bool:
        """Give a backend to the first who waits; if only others' class will do, make room for them."""
        for demand in self._waiting:
            wanted = demand.backend_class
            if wanted is backend.backend_class:
                since = self._leave_queue(demand)
                if since is not None:
                    self.waits_ns.append(perf_counter_ns() - since)
                self._hand(backend, demand)
                return True
            if wanted.opening < wanted.waiting and self._is_full():
                self.close(backend)
                self._start_opening(wanted)
                return True
        return False

    def _cleaned(self, backend: PooledBackend, told: Conversation) -> None:
        if told.lost or told.error:
            self.close(backend)
        else:
            backend.renewed()
            self._release(backend)

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
        """Tell who waits, unless there are others to wait for."""
        if error.errno in _SERVER_IS_FULL and self._backends:
            log.warning("backend.not_opened", branch=self._served.branch.name, reason=error.message)
            self._full_until_ns = perf_counter_ns() + FULL_S * NS
            self._serve_waiting()
            return
        for demand in [demand for demand in self._waiting if demand.backend_class is wanted]:
            demand.tries += 1
            if not isinstance(error, BackendLost) or demand.tries > TRIES_MAX:
                self._leave_queue(demand)
                demand.turned_away(error)
        self._serve_waiting()

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
                self._talk(backend, [_PING], self._well)
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
        if _tells_something(told.changes) or told.status & _IN_TRANSACTION:
            backend.dirty = True
        used_ns = backend.used_ns
        self._release(backend)
        backend.used_ns = used_ns if backend.client is None else backend.used_ns

    def change(self, branch: Branch) -> None:
        """Follow the branch to other servers or accounts: backends that lead elsewhere are not lent again."""
        servers = [server for server in (branch.server, *branch.replicas) if server is not None]
        for key, known in list(self._classes.items()):
            if any(_is_reached_by(known.server, server, branch) for server in servers):
                continue
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


_Done = Callable[[PooledBackend, Conversation], None]


def _is_reached_by(known: Server, server: Server, branch: Branch) -> bool:
    """Say whether a backend to a known server with its account may be used for a server of the branch."""
    accounts = (server.account, *branch.accounts.values())
    return known.account in accounts and replace(known, account=server.account) == server


def _tells_something(changes: list[StateChange]) -> bool:
    """Say whether a server told of a change that nobody knows of."""
    return any(
        change.kind in (StateKind.STATE_CHANGED, StateKind.SCHEMA)
        or (change.kind == StateKind.VARIABLE and not change.name.startswith("session_track_"))
        for change in changes
    )
