"""I write down which statements were refused: who sent them, from where, and what they began with."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import structlog

from proxy.channel import Refused

log = structlog.get_logger()

QUIET_S: Final = 10.0
"""For this long repetitions of a refusal are counted instead of written line by line."""
KNOWN_MAX: Final = 1000
"""Different refusals that are counted at a time; beyond, the oldest is written and counted anew."""


class Audit:
    """The refusals of all workers as log lines: the first of its kind at once, repetitions by number."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._repeated: dict[Refused, tuple[float, int]] = {}

    def note(self, refused: Refused) -> None:
        """Take one refusal."""
        self.write_repeated()
        since_s, times = self._repeated.get(refused, (self._clock(), 0))
        if not times:
            _write(refused, 1)
            if len(self._repeated) >= KNOWN_MAX:
                self._end(next(iter(self._repeated)))
        self._repeated[refused] = since_s, times + 1

    def write_repeated(self) -> None:
        """Write down what has been repeated, as far as its time is over."""
        now_s = self._clock()
        while self._repeated:
            refused, (since_s, _) = next(iter(self._repeated.items()))
            if now_s - since_s < QUIET_S:
                break
            self._end(refused)

    def _end(self, refused: Refused) -> None:
        _, times = self._repeated.pop(refused)
        if times > 1:
            _write(refused, times - 1)


def _write(refused: Refused, times: int) -> None:
    log.info(
        "statement.refused",
        user=refused.user,
        client=refused.client,
        database=refused.database,
        branch=refused.branch,
        verb=refused.verb,
        digest=refused.digest,
        times=times,
    )
