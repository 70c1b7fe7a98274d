"""I say which of the server's signals forbid copying, and since when; a signal that fell silent forbids it.

A gate shuts when its signal passes the limit and opens again only well below it. What is usual on a server
does not shut a gate whose limit follows the usual: otherwise a migration on it would never end. Time is
passed in; nothing here waits.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from conf.settings import ThrottleSettings

STALE_S: Final = 3.0
REOPEN: Final = 0.7
USUAL_SMOOTHING: Final = 0.02
USUAL_RISE: Final = 3.0
DISK_REOPEN: Final = 0.98
# Both servers let their log fill up to seven eighths before they hurry, and then keep it there.
REDO_REOPEN: Final = 0.98
GROWTH_WINDOW_S: Final = 60.0
GROWTH_LEAST_S: Final = 20.0
FAR: Final = 10.0
"""A replica this many times further behind than it may be holds back even the following of the log."""


class Signal(StrEnum):
    """What is looked at besides the latency of clients."""

    REPLICA_LAG = "replica_lag"
    THREADS_RUNNING = "threads_running"
    HISTORY_LENGTH = "history_length"
    HISTORY_GROWTH = "history_growth"
    REDO_AGE = "redo_age"
    DIRTY_PAGES = "dirty_pages"
    COMMIT_LATENCY = "commit_latency"
    DISK_USED = "disk_used"
    POOL_WAIT = "pool_wait"


@dataclass(frozen=True, slots=True)
class Held:
    """Why nothing may be copied: the signal, a sentence, and how long it has been so."""

    signal: str
    reason: str
    for_s: float


@dataclass(frozen=True, slots=True)
class Rule:
    """One signal's limit: above it copying stops, at `reopen` of it copying goes on.

    With a `rise`, the limit is at least so many times what is usual. `words` is a sentence with a place for
    the value, `amount` says a value with its unit.
    """

    signal: Signal
    limit: float
    words: str
    amount: Callable[[float], str]
    reopen: float = REOPEN
    rise: float = 0.0
    fails_closed: bool = True
    required: bool = False


class Gate:
    """One signal: open, shut, or not to be had."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self._at_s: float | None = None
        self._value = 0.0
        self._because = ""
        self._usual: float | None = None
        self._shut_s: float | None = None
        self._missing_s: float | None = None
        self._refused = ""

    @property
    def value(self) -> float | None:
        """The newest value, None while there is none."""
        return None if self._at_s is None or not math.isfinite(self._value) else self._value

    @property
    def limit(self) -> float:
        """What the signal may come to now."""
        return max(self.rule.limit, self.rule.rise * (self._usual or 0.0))

    def take(self, at_s: float, value: float, because: str = "") -> None:
        """Take a value; `because` says it in words where a number cannot."""
        self._refused = ""
        if self._at_s is not None and at_s < self._at_s:
            return
        if math.isfinite(value):
            usual = value if self._usual is None else self._usual
            self._usual = usual + USUAL_SMOOTHING * (value - usual)
        self._at_s, self._value, self._because = at_s, value, because
        opens_at = self.limit * (self.rule.reopen if self._shut_s is not None else 1.0)
        if value <= opens_at:
            self._shut_s = None
        elif self._shut_s is None:
            self._shut_s = at_s

    def refuse(self, why: str) -> bool:
        """Take that the server does not tell; True when that was not known yet."""
        new, self._refused = not self._refused, why
        return new

    def held(self, now_s: float) -> Held | None:
        """Say why copying may not go on, None when it may as far as this signal goes."""
        rule = self.rule
        if self._refused:
            if not rule.required:
                return None
            return self._missing(now_s, f"{rule.signal} is required, and cannot be read: {self._refused}")
        if rule.fails_closed:
            if self._at_s is None:
                return self._missing(now_s, f"waiting for the first measurement of {rule.signal}")
            if now_s - self._at_s > STALE_S:
                age_s = now_s - self._at_s
                return self._missing(now_s, f"{rule.signal} was not measured for {age_s:.0f} s")
        self._missing_s = None
        if self._shut_s is None:
            return None
        return Held(str(rule.signal), self._because or self._told(), now_s - self._shut_s)

    def _told(self) -> str:
        amount, limit = self.rule.amount, self.limit
        text = self.rule.words.format(amount(self._value))
        if self._value > limit:
            return f"{text}, more than {amount(limit)}"
        return f"{text}, and copying goes on at {amount(limit * self.rule.reopen)}"

    def _missing(self, now_s: float, reason: str) -> Held:
        if self._missing_s is None:
            self._missing_s = now_s
        return Held(str(self.rule.signal), reason, now_s - self._missing_s)


class Growth:
    """Makes growth per minute of values over the last minute."""

    def __init__(self) -> None:
        self._values: deque[tuple[float, float]] = deque()

    def take(self, at_s: float, value: float) -> float:
        """Take a value and return the growth per minute, 0 until enough is known."""
        self._values.append((at_s, value))
        while self._values[0][0] < at_s - GROWTH_WINDOW_S:
            self._values.popleft()
        since_s, before = self._values[0]
        if at_s - since_s < GROWTH_LEAST_S:
            return 0.0
        return (value - before) / (at_s - since_s) * 60.0


class Gates:
    """All signals of one server that are looked at."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._gates = {rule.signal: Gate(rule) for rule in rules}
        self._growth = Growth()
        self._far: Gate | None = None
        if lag := self._gates.get(Signal.REPLICA_LAG):
            rule = lag.rule
            self._far = Gate(replace(rule, limit=FAR * rule.limit, fails_closed=False, required=False))

    @property
    def signals(self) -> frozenset[Signal]:
        """What is looked at."""
        return frozenset(self._gates)

    @property
    def values(self) -> Mapping[Signal, float]:
        """The newest values of those signals that have one."""
        return {name: gate.value for name, gate in self._gates.items() if gate.value is not None}

    @property
    def shut(self) -> Mapping[Signal, bool]:
        """Which gates are shut by their values, for pictures."""
        return {name: gate._shut_s is not None for name, gate in self._gates.items()}

    def take(self, at_s: float, signal: Signal, value: float, because: str = "") -> None:
        """Take a value of a signal; one that nobody looks at is dropped."""
        if signal is Signal.HISTORY_LENGTH and Signal.HISTORY_GROWTH in self._gates:
            self._gates[Signal.HISTORY_GROWTH].take(at_s, self._growth.take(at_s, value))
        if (gate := self._gates.get(signal)) is not None:
            gate.take(at_s, value, because)
        if signal is Signal.REPLICA_LAG and self._far is not None and math.isfinite(value):
            self._far.take(at_s, value)

    def refuse(self, signal: Signal, why: str) -> bool:
        """Take that the server does not tell a signal; True when somebody looks at it and that is news."""
        if signal is Signal.HISTORY_LENGTH and Signal.HISTORY_GROWTH in self._gates:
            self._gates[Signal.HISTORY_GROWTH].refuse(why)
        gate = self._gates.get(signal)
        return gate is not None and gate.refuse(why)

    def held(self, now_s: float) -> Held | None:
        """Return what holds copying, the longest of them; None when all gates are open."""
        held = [found for gate in self._gates.values() if (found := gate.held(now_s)) is not None]
        return max(held, key=lambda each: each.for_s, default=None)

    def far_behind(self, now_s: float) -> Held | None:
        """Return what holds back even the following of the log: replicas that would never catch up."""
        return self._far.held(now_s) if self._far is not None else None


def server_rules(settings: ThrottleSettings, cores: int, *, replicated: bool) -> list[Rule]:
    """Return the rules for what the settings want looked at on a server; a limit of 0 leaves one out."""
    required = frozenset(settings.required)
    rules = [
        Rule(
            Signal.REPLICA_LAG,
            settings.replica_lag_max_s if replicated else 0.0,
            "a replica is {} behind",
            _seconds,
        ),
        Rule(
            Signal.THREADS_RUNNING,
            2.0 * cores if settings.threads_rise else 0.0,
            "{} threads are running on the server",
            _number,
            rise=settings.threads_rise,
        ),
        Rule(
            Signal.HISTORY_LENGTH,
            settings.history_length_max,
            "{} old row versions wait for purge (is a transaction very old?)",
            _number,
        ),
        Rule(
            Signal.HISTORY_GROWTH,
            settings.history_growth_max,
            "the old row versions that wait for purge grow by {} a minute",
            _number,
        ),
        Rule(
            Signal.REDO_AGE,
            settings.redo_age_max,
            "{} of the redo log is not checkpointed",
            _percent,
            reopen=REDO_REOPEN,
        ),
        Rule(
            Signal.DIRTY_PAGES,
            settings.dirty_pages_max,
            "dirty pages are at {} of what the server allows",
            _percent,
        ),
        Rule(
            Signal.COMMIT_LATENCY,
            settings.commit_max_ms,
            "commits take {} on the server",
            _milliseconds,
            rise=USUAL_RISE,
        ),
        Rule(
            Signal.DISK_USED,
            1.0 - settings.disk_free_min if settings.disk_free_min else 0.0,
            "the server's disk is {} full",
            _percent,
            reopen=DISK_REOPEN,
        ),
        Rule(
            Signal.POOL_WAIT,
            settings.pool_wait_max_ms,
            "clients wait {} for a connection to the server",
            _milliseconds,
            fails_closed=False,
        ),
    ]
    return [replace(rule, required=rule.signal in required) for rule in rules if rule.limit > 0]


def _seconds(value: float) -> str:
    return f"{value:.1f} s"


def _milliseconds(value: float) -> str:
    return f"{value:.0f} ms"


def _number(value: float) -> str:
    return f"{value:,.0f}"


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %"
