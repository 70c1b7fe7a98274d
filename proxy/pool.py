"""I lend the backends of one branch to its clients, and take them back between transactions.

A backend stays linked to the client that used it last, which goes on with it at no cost. Only who has none
asks: it gets an idle one, or one is opened, or one changes hands whose client could do without; else it waits
its turn. What there is to lend is in `stock.py`; everything here happens in callbacks of the event loop.
"""

from __future__ import annotations

import asyncio
from time import perf_counter_ns
from typing import TYPE_CHECKING, Final

from proxy.errors import BackendLost, ProxyError, TooManyConnections
from proxy.pooled_backend import BackendClass, Demand, PooledBackend, Visit
from proxy.preparation import Conversation
from proxy.session import SETTLE, Session
from proxy.stock import IN_TRANSACTION, NS, PING, TRIES_MAX, Stock, tells_something
from proxy.wire.packets import ErrPacket
from router.model import Flavor

if TYPE_CHECKING:
    from proxy.borrower import Borrower
    from proxy.branches import Branches, ServedBranch

LOOK_AGAIN_S: Final = 0.1
"""While somebody waits, clients that may have become able to do without are looked at this often."""
_NO_SCHEMA: Final = frozenset({1044, 1049})


class Pool(Stock):
    """All backends of one branch in this worker, and who waits for one."""

    def __init__(self, served: ServedBranch, home: Branches) -> None:
        super().__init__(served, home)
        self._timer: asyncio.TimerHandle | None = None

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

    def disown(self, client: Borrower) -> None:
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
        """See to it that the first who waits does not do so for ever, nor for a client that only lingers."""
        timeout_s = self._home.limits.query_wait_timeout_s
        now = perf_counter_ns()
        while self._waiting:
            demand, since = next(iter(self._waiting.items()))
            left_s = timeout_s - (now - since) / NS
            if left_s > 0:
                if self._timer is None:
                    soon_s = min(left_s, LOOK_AGAIN_S)
                    self._timer = asyncio.get_running_loop().call_later(soon_s, self._look_again)
                return
            self._leave_queue(demand)
            self.waits_ns.append(now - since)
            demand.turned_away(self._nothing_free())

    def _look_again(self) -> None:
        self._timer = None
        self._serve_waiting()
        self._arm()

    def _nothing_free(self) -> ProxyError:
        reasons = ", ".join(f"{count} by {reason}" for reason, count in sorted(self._pinned().items()))
        pinned = sum(
            backend.client is not None and bool(backend.client.reasons()) for backend in self._backends
        )
        branch = self._served.branch
        return TooManyConnections(
            f'Too many connections: no connection to the server of branch "{branch.name}" became free in '
            f"{self._home.limits.query_wait_timeout_s:g} s; of {len(self._backends)} in this worker "
            f"{pinned} are pinned{f' ({reasons})' if reasons else ''}"
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
        return SETTLE if backend.backend_class.server.flavor is Flavor.MARIADB else PING

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
        elif tells_something(told.changes) or told.status & IN_TRANSACTION:
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

    def offer(self, client: Borrower) -> None:
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
