"""I hold new transactions for a branch while its tables are swapped; those under way may finish.

A gate is a courtesy, not a lock: it opens by its own timer, it lets everything pass that it has no room for,
and the server's own locks keep what passes correct.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

HELD_BYTES_MAX: Final = 16 << 20


class Holdable(Protocol):
    """Whoever waits in front of a gate."""

    def released(self) -> None:
        """Go on."""


@dataclass(frozen=True, slots=True)
class GateReport:
    """What a gate did while it was shut."""

    held: int
    overflowed: int
    longest_hold_ms: float
    by_timer: bool


class Gate:
    """A shut gate in front of some tables of one branch.

    `opened` is called once, with the report, before those who waited go on in the order in which they came.
    """

    def __init__(
        self,
        tables: Sequence[str],
        *,
        hold_ms: int,
        max_held: int,
        opened: Callable[[GateReport], None],
    ) -> None:
        names = b"|".join(re.escape(table.encode()) for table in tables)
        self._mentions = re.compile(rb"(?<![\w$])(?:" + names + rb")(?![\w$])", re.IGNORECASE)
        self._max_held = max_held
        self._opened = opened
        self._held: dict[Holdable, tuple[float, int]] = {}
        self._held_bytes = 0
        self._count = 0
        self._overflowed = 0
        self.is_open = False
        self._timer = asyncio.get_running_loop().call_later(hold_ms / 1000, self.open, True)

    def concerns(self, statement: bytes) -> bool:
        """Say whether a statement mentions one of the tables."""
        return self._mentions.search(statement) is not None

    def hold(self, waiter: Holdable, size_bytes: int) -> bool:
        """Keep somebody waiting, who is told when to go on; false when there is no room."""
        if len(self._held) >= self._max_held or self._held_bytes + size_bytes > HELD_BYTES_MAX:
            self._overflowed += 1
            return False
        self._held[waiter] = (time.monotonic(), size_bytes)
        self._held_bytes += size_bytes
        self._count += 1
        return True

    def forget(self, waiter: Holdable) -> None:
        """Somebody who waited has left."""
        entry = self._held.pop(waiter, None)
        if entry:
            self._held_bytes -= entry[1]

    def open(self, by_timer: bool = False) -> None:
        """Let everybody go on."""
        if self.is_open:
            return
        self.is_open = True
        self._timer.cancel()
        now = time.monotonic()
        waiters, self._held = self._held, {}
        longest_s = max((now - since for since, _ in waiters.values()), default=0.0)
        self._opened(GateReport(self._count, self._overflowed, longest_s * 1000, by_timer))
        for waiter in waiters:
            waiter.released()
