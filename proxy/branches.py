"""I am the branches as this worker serves them: each with its clients, its counters and its gate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from conf.settings import ProxySettings
from proxy.channel import BranchStats, PinnedClient
from proxy.errands import Errands
from proxy.pool import Pool
from proxy.stats import Counters, Counts
from proxy.watch import Looks, Watch
from proxy.wire.constants import Command
from router.classify import Kind
from router.model import Branch, Role, User
from router.policy import allowed_starts, refused_kinds
from router.table import RoutingTable, expired

if TYPE_CHECKING:
    from proxy.client import Client
    from proxy.gate import Gate


_NEVER_NS: Final = 1 << 62

TICKS: Final = 10
"""Each client is looked at once a second, a tenth of them at a time: thousands at once would delay others."""


class Rules:
    """What a role may do on a branch: the kinds refused, and the kinds of queries that begin harmlessly."""

    __slots__ = ("kinds", "refused")

    def __init__(self, branch: Branch, role: Role) -> None:
        self.refused = refused_kinds(branch, role)
        starts = allowed_starts(self.refused)
        self.kinds: dict[bytes, Kind] = {
            bytes((Command.QUERY,)) + start: kind for start, kind in starts.items()
        }


class ServedBranch:
    """One branch: what clients look at for every statement.

    `attention` is true while clients should look up between two statements: the worker ends, or somebody
    waits for a backend. A statement that takes longer than `slow_ns` is logged. While it is `watched`, the
    statements are told to `watch`, which hears of changed definitions in any case.
    """

    __slots__ = (
        "_pinned_due",
        "_rules",
        "attention",
        "branch",
        "clients",
        "counters",
        "draining",
        "gate",
        "home",
        "in_transaction",
        "pool",
        "refused_count",
        "slow_ns",
        "watch",
        "watched",
    )

    def __init__(self, branch: Branch, home: Branches) -> None:
        self.branch = branch
        self.home = home
        self._rules: dict[Role, Rules] = {}
        self.gate: Gate | None = None
        self.clients: set[Client] = set()
        self.counters = Counters()
        self.in_transaction = 0
        self.refused_count = 0
        self.draining = self.attention = home.draining
        self.pool = Pool(self, home)
        self._pinned_due = True
        self.slow_ns = _NEVER_NS
        self.watch = Watch(branch.database, branch.name, home.looks)
        self.watched = False
        self.follow_limits()

    def follow_limits(self) -> None:
        """Take what is looked at for every statement out of the limits."""
        self.watched = self.home.limits.watched_per_s > 0
        slow_s = self.home.limits.slow_query_s
        self.slow_ns = int(slow_s * 1e9) if slow_s > 0 else _NEVER_NS

    def rules(self, role: Role) -> Rules:
        """Return what a role may do."""
        if role not in self._rules:
            self._rules[role] = Rules(self.branch, role)
        return self._rules[role]

    def change(self, branch: Branch) -> None:
        """Follow a change of the branch's settings.

        Connections that were opened while everything was allowed can send several statements at once, which
        the guard does not look through: they end when the branch becomes guarded.
        """
        guarded_now = branch.safe_migrations and not self.branch.safe_migrations
        self.branch = branch
        self.pool.change(branch)
        self._rules.clear()
        if guarded_now:
            self.kill()
        for client in self.clients:
            client.follow_rules()

    def notice(self, *, waiting: bool) -> None:
        """Let clients look up, or not any more: somebody waits for a backend."""
        self.attention = waiting or self.draining

    def gate_opened(self, gate: Gate) -> None:
        """Forget what was prepared on tables that may be others now."""
        self.pool.forget_statements(gate.concerns)

    def drain(self) -> None:
        """End every client as soon as it is between transactions."""
        self.draining = self.attention = True
        for client in list(self.clients):
            client.leave_when_idle()

    def tick(self, now_ns: int, part: int) -> None:
        """Do what is due for a part of the clients, and with part 0 for the branch."""
        for client in [client for client in self.clients if client.connection_id % TICKS == part]:
            client.tick(now_ns)
        self.watch.work()
        if not part:
            self.follow_limits()
            self.pool.tick(now_ns)
            self._pinned_due = True

    def kill(self, user: str | None = None) -> None:
        """Close the connections of this branch, or those of one user."""
        for client in list(self.clients):
            if user is None or client.user.name == user:
                client.abort()

    def kill_strangers(self, users: Mapping[str, User]) -> None:
        """Close the connections of users who are gone or changed; a change of their time is none."""
        for client in list(self.clients):
            known = users.get(client.user.name)
            if known == client.user:
                continue
            if known is not None and replace(client.user, expires_at_s=known.expires_at_s) == known:
                client.user = known
            else:
                client.abort()

    @property
    def busy(self) -> int:
        """How many clients are in a statement or a transaction."""
        return sum(client.busy for client in self.clients)

    def take_stats(self) -> BranchStats:
        """Return what was counted since the last time."""
        refused, self.refused_count = self.refused_count, 0
        return BranchStats(
            self.branch.database,
            self.branch.name,
            len(self.clients),
            self.in_transaction,
            refused,
            self.counters.take(Counter(client.kind for client in self.clients if client.waits_for_server)),
            self.pool.take_stats(),
            self._take_pinned(),
        )

    def _take_pinned(self) -> list[PinnedClient] | None:
        """Return who is pinned, once a second."""
        if not self._pinned_due:
            return None
        self._pinned_due = False
        return self.pool.pinned_clients()


class Branches:
    """All branches of the routing table, the table itself, and what holds for all of them.

    `limits` are replaced as a whole when the configuration is read again: look at them when they are needed.
    `worker` is the number of this worker, from 0, which shares in them.
    """

    def __init__(self, limits: ProxySettings | None = None, worker: int = 0) -> None:
        self.table = RoutingTable()
        self.worker = worker
        self.errands = Errands()
        self.limits = limits or ProxySettings()
        self.counts = Counts()
        self.looks = Looks(self.limits.watched_per_s)
        self.draining = False
        self._part = 0
        self._served: dict[tuple[str, str], ServedBranch] = {}

    def __iter__(self) -> Iterator[ServedBranch]:
        return iter(self._served.values())

    def get(self, database: str, name: str) -> ServedBranch | None:
        """Return a branch that is served, or None."""
        return self._served.get((database, name))

    def apply(self, table: RoutingTable) -> None:
        """Replace the routing table; clients of branches and users that are gone are cut off."""
        self.table = table
        for key in [key for key in self._served if key not in table.branches]:
            gone = self._served.pop(key)
            gone.kill()
            gone.pool.shut()
        for key, branch in table.branches.items():
            served = self._served.get(key)
            if served:
                served.change(branch)
                served.kill_strangers(table.users)
            else:
                self._served[key] = ServedBranch(branch, self)

    def drain(self) -> None:
        """End every client as soon as it is between transactions."""
        self.draining = True
        for served in self:
            served.drain()

    def tick(self, now_ns: int) -> None:
        """Do what is due, TICKS times a second; `now_ns` is time.perf_counter_ns()."""
        self._part = (self._part + 1) % TICKS
        self.looks.renew(self.limits.watched_per_s, TICKS)
        for served in self:
            served.tick(now_ns, self._part)

    def kill_expired(self, now_s: float) -> None:
        """Close the connections of users whose time is over; `now_s` is time.time()."""
        for user in self.table.users.values():
            if expired(user, now_s):
                for served in self:
                    served.kill(user.name)

    @property
    def clients(self) -> int:
        """How many clients are logged in."""
        return sum(len(served.clients) for served in self)
