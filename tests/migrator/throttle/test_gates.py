"""Which signals forbid copying: each shuts, opens well below, and forbids when it falls silent."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf.load import SIGNALS
from conf.settings import ThrottleSettings
from migrator.throttle.gates import FAR, REOPEN, STALE_S, Gates, Growth, Rule, Signal, server_rules


def rules(settings: ThrottleSettings | None = None, *, replicated: bool = True) -> list[Rule]:
    return server_rules(settings or ThrottleSettings(), 2, replicated=replicated)


def gates(*signals: Signal, settings: ThrottleSettings | None = None) -> Gates:
    return Gates(rule for rule in rules(settings) if rule.signal in signals)


LIMITS = {rule.signal: rule.limit for rule in rules()}


def test_the_settings_know_the_signals_by_the_same_names() -> None:
    assert set(SIGNALS) == {str(signal) for signal in Signal}


@pytest.mark.parametrize("signal", list(Signal))
def test_a_gate_shuts_above_its_limit_and_opens_well_below(signal: Signal) -> None:
    subject = gates(signal)
    limit = LIMITS[signal]
    reopen = next(rule.reopen for rule in rules() if rule.signal is signal)
    feed = Signal.HISTORY_LENGTH if signal is Signal.HISTORY_GROWTH else signal
    if signal is Signal.HISTORY_GROWTH:
        for at_s, value in ((0.0, 0.0), (30.0, limit * 0.6)):
            subject.take(at_s, feed, value)
        now_s = 30.0
    else:
        now_s = 0.0
        subject.take(0.0, feed, 0.0)
        assert subject.held(0.0) is None
        now_s = 1.0
        subject.take(now_s, feed, limit * 5)
    held = subject.held(now_s)
    assert held is not None
    assert held.signal == signal
    assert "more than" in held.reason
    if signal is Signal.HISTORY_GROWTH:
        return
    subject.take(now_s + 1, feed, limit * (reopen + 1) / 2)
    again = subject.held(now_s + 1)
    assert again is not None
    assert again.for_s == 1.0
    assert "goes on at" in again.reason
    subject.take(now_s + 2, feed, limit * reopen * 0.99)
    assert subject.held(now_s + 2) is None


def test_a_limit_of_nothing_leaves_a_signal_out() -> None:
    settings = ThrottleSettings(
        replica_lag_max_s=0,
        threads_rise=0,
        history_length_max=0,
        history_growth_max=0,
        redo_age_max=0,
        dirty_pages_max=0,
        commit_max_ms=0,
        disk_free_min=0,
        pool_wait_max_ms=0,
    )
    assert rules(settings) == []


def test_without_replicas_nobody_waits_for_their_lag() -> None:
    assert Signal.REPLICA_LAG not in {rule.signal for rule in rules(replicated=False)}


def test_nothing_is_copied_before_the_first_measurement() -> None:
    held = gates(Signal.REDO_AGE).held(0.0)
    assert held is not None
    assert "first measurement" in held.reason


def test_a_signal_that_falls_silent_stops_copying() -> None:
    subject = gates(Signal.REDO_AGE)
    subject.take(0.0, Signal.REDO_AGE, 0.1)
    assert subject.held(STALE_S) is None
    held = subject.held(STALE_S + 1)
    assert held is not None
    assert "was not measured for 4 s" in held.reason
    subject.take(STALE_S + 2, Signal.REDO_AGE, LIMITS[Signal.REDO_AGE] * 0.9)
    assert subject.held(STALE_S + 2) is None


def test_a_signal_that_the_server_does_not_tell_is_done_without_and_said_once() -> None:
    subject = gates(Signal.REDO_AGE)
    assert subject.refuse(Signal.REDO_AGE, "denied")
    assert not subject.refuse(Signal.REDO_AGE, "denied")
    assert subject.held(100.0) is None


def test_a_required_signal_that_the_server_does_not_tell_stops_copying() -> None:
    subject = gates(Signal.REDO_AGE, settings=ThrottleSettings(required=("redo_age",)))
    subject.refuse(Signal.REDO_AGE, "denied")
    held = subject.held(0.0)
    assert held is not None
    assert "redo_age is required, and cannot be read: denied" in held.reason


def test_an_unreachable_replica_is_behind_but_does_not_stop_the_following_of_the_log() -> None:
    subject = gates(Signal.REPLICA_LAG)
    subject.take(0.0, Signal.REPLICA_LAG, math.inf, "replica x:1 does not answer")
    held = subject.held(0.0)
    assert held is not None
    assert held.reason == "replica x:1 does not answer"
    assert subject.far_behind(0.0) is None


def test_a_replica_far_behind_stops_even_the_following_of_the_log() -> None:
    subject = gates(Signal.REPLICA_LAG)
    limit = LIMITS[Signal.REPLICA_LAG]
    subject.take(0.0, Signal.REPLICA_LAG, limit * FAR)
    assert subject.far_behind(0.0) is None
    subject.take(1.0, Signal.REPLICA_LAG, limit * FAR + 1)
    assert subject.far_behind(1.0) is not None
    subject.take(2.0, Signal.REPLICA_LAG, limit * FAR * REOPEN)
    assert subject.far_behind(2.0) is None
    assert subject.held(2.0) is not None


def test_what_becomes_usual_stops_copying_no_longer() -> None:
    subject = gates(Signal.THREADS_RUNNING)
    subject.take(0.0, Signal.THREADS_RUNNING, 1.0)
    now_s = 0.0
    held = []
    for _ in range(120):
        now_s += 0.5
        subject.take(now_s, Signal.THREADS_RUNNING, 40.0)
        held.append(subject.held(now_s) is not None)
    assert held[0]
    assert not held[-1]


def test_growth_is_told_by_the_minute() -> None:
    subject = Growth()
    assert subject.take(0.0, 100.0) == 0.0
    assert subject.take(10.0, 200.0) == 0.0
    assert subject.take(30.0, 400.0) == pytest.approx(600.0)


@given(st.lists(st.tuples(st.floats(0.0, 2.0), st.floats(0.0, 2.0)), min_size=1, max_size=50))
def test_no_copying_while_a_signal_is_above_its_limit_or_silent(fed: list[tuple[float, float]]) -> None:
    subject = gates(Signal.REDO_AGE)
    now_s = 0.0
    for pause_s, value in fed:
        now_s += 2 * pause_s
        if 2 * pause_s > STALE_S:
            assert subject.held(now_s) is not None
        subject.take(now_s, Signal.REDO_AGE, value)
        if value > LIMITS[Signal.REDO_AGE]:
            assert subject.held(now_s) is not None
        if value <= LIMITS[Signal.REDO_AGE] * REOPEN:
            assert subject.held(now_s) is None
