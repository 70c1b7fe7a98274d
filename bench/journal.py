"""I write down what happens in a soak, and tell errors that our own kills explain from all others."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from bench.client import Gone, ServerError

CANCELLED: Final = frozenset({1053, 1105, 1158, 1160, 1184, 1317, 1927, 2006, 2013, 3024, 4031})
"""What a client may be told when its backend was killed: interrupted, killed, lost."""
RETRIED: Final = frozenset({1205, 1213})
"""Deadlocks and lock waits, which no proxy can prevent."""
SLACK_S: Final = 2.0
"""How much later than a kill its victim may hear of it, and how long a worker takes to come again."""
KEPT: Final = 50


class MixedUp(Exception):
    """An answer was not what this client must be given."""


@dataclass(slots=True)
class Journal:
    """All that is counted; times are time.monotonic()."""

    queries: int = 0
    retried: int = 0
    mixed_up: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    unexpected_count: int = 0
    explained: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    work: Counter[str] = field(default_factory=Counter)
    _backend_kills: list[float] = field(default_factory=list)
    _worker_kills: list[float] = field(default_factory=list)

    def backend_killed(self) -> None:
        """A backend is about to be killed: at most one client may suffer."""
        self.kills["backends"] += 1
        self._backend_kills.append(time.monotonic())

    def worker_killed(self) -> None:
        """A worker is about to be killed: each of its clients is cut off."""
        self.kills["workers"] += 1
        self._worker_kills.append(time.monotonic())

    def worker_came(self) -> None:
        """A worker was started in place of one that was killed."""
        self._worker_kills.append(time.monotonic())

    def client_killed(self) -> None:
        """A client has vanished on purpose."""
        self.kills["clients"] += 1

    def failed(self, who: str, error: Exception, since: float) -> None:
        """An error came to a client whose last success was at `since`: find its cause."""
        if isinstance(error, MixedUp):
            self.mixed_up.append(f"{who}: {error}")
        elif isinstance(error, ServerError) and error.errno in RETRIED:
            self.retried += 1
        elif isinstance(error, Gone) and self._worker_died(since):
            self.explained["worker killed"] += 1
        elif self._is_cut(error) and self._claim_backend_kill(since):
            self.explained["backend killed"] += 1
        else:
            self.unexpected_count += 1
            self.unexpected.append(f"{who}: {type(error).__name__} {error}")
            del self.unexpected[KEPT:]

    def _is_cut(self, error: Exception) -> bool:
        return isinstance(error, Gone) or (isinstance(error, ServerError) and error.errno in CANCELLED)

    def _worker_died(self, since: float) -> bool:
        return any(since - SLACK_S <= moment for moment in self._worker_kills)

    def _claim_backend_kill(self, since: float) -> bool:
        """Find a kill since then that explains no other error, and use it up."""
        for moment in self._backend_kills:
            if since - SLACK_S <= moment:
                self._backend_kills.remove(moment)
                return True
        return False
