"""I am the branches as this worker serves them: each with its clients, its counters and its gate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from conf.settings import ProxySettings
from proxy.channel import BranchStats
from proxy.stats import Counters, Counts
from router.model import Branch, User
from router.policy import refused_kinds
from router.table import RoutingTable

if TYPE_CHECKING:
    from proxy.client import Client
    from proxy.gate import Gate


class ServedBranch:
    """One branch: what clients look at for every statement."""

    __slots__ = (
        "branch",
        "clients",
        "counters",
        "draining",
        "gate",
        "in_transaction",
        "refused",
        "refused_count",
    )

    def __init__(self, branch: Branch) -> None:
        self.branch = branch
        self.refused = refused_kinds(branch)
        self.gate: Gate | None = None
        self.clients: set[Client] = set()
        self.counters = Counters()
        self.in_transaction = 0
        self.refused_count = 0
        self.draining = False

    def change(self, branch: Branch) -> None:
        """Follow a change of the branch's settings.

        Connections that were opened while everything was allowed can send several statements at once, which
        the guard does not look through: they end when the branch becomes guarded.
        """
        guarded_now = branch.safe_migrations and not self.branch.safe_migrations
        self.branch = branch
        self.refused = refused_kinds(branch)
        if guarded_now:
            self.kill()

    def kill(self, user: str | None = None) -> None:
        """Close the connections of this branch, or those of one user."""
        for client in list(self.clients):
            if user is None or client.user.name == user:
                client.abort()

    def kill_strangers(self, users: Mapping[str, User]) -> None:
        """Close the connections of users who are gone, or have another password or branch now."""
        for client in list(self.clients):
            if users.get(client.user.name) != client.user:
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
        )


class Branches:
    """All branches of the routing table, the table itself, and what holds for all of them.

    `limits` are replaced as a whole when the configuration is read again: look at them when they are needed.
    """

    def __init__(self, limits: ProxySettings | None = None) -> None:
        self.table = RoutingTable()
        self.limits = limits or ProxySettings()
        self.counts = Counts()
        self.draining = False
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
            self._served.pop(key).kill()
        for key, branch in table.branches.items():
            served = self._served.get(key)
            if served:
                served.change(branch)
                served.kill_strangers(table.users)
            else:
                self._served[key] = ServedBranch(branch)

    def drain(self) -> None:
        """End every client as soon as it is between transactions."""
        self.draining = True
        for served in self:
            served.draining = True
            for client in list(served.clients):
                client.leave_when_idle()

    @property
    def clients(self) -> int:
        """How many clients are logged in."""
        return sum(len(served.clients) for served in self)
