"""How the share of copying follows what clients feel, with the clock passed in."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.throttle.controller import (
    FLOOR,
    PROBE_S,
    PROBE_SETTLE_S,
    SHARE_AT_FIRST,
    STALE_S,
    TARGET_MIN_S,
    UP_EVERY_S,
    Controller,
    Permit,
)
from migrator.throttle.signals import ClassSample, ServerSample, TrafficSample

IDLE_TARGET_S = 0.25
TICK_S = 0.1


def sample(at_s: float, p95_ms: float, queries_per_s: float = 500.0) -> TrafficSample:
    return TrafficSample(at_s, {"read": ClassSample(queries_per_s, p95_ms / 2, p95_ms)}, 3)


def controller() -> Controller:
    return Controller(1.3, IDLE_TARGET_S, cores=2)


def drive(subject: Controller, p95_ms: float, from_s: float, seconds: float) -> Iterator[Permit | None]:
    """Feed one latency ten times a second, and ask as often."""
    for tick in range(round(seconds / TICK_S)):
        now_s = from_s + tick * TICK_S
        subject.take_traffic(sample(now_s, p95_ms))
        yield subject.decide(now_s)


def learned(p95_ms: float = 6.0) -> tuple[Controller, float]:
    """A controller that has measured the usual latency, and the time it is then."""
    subject = controller()
    assert all(permit is None for permit in drive(subject, p95_ms, 0.0, PROBE_S))
    assert "measuring" in str(subject.reason)
    return subject, PROBE_S


def test_an_idle_server_is_used_whole_with_long_chunks() -> None:
    assert controller().decide(0.0) == Permit(IDLE_TARGET_S, 1.0)


def test_a_few_queries_are_no_traffic() -> None:
    subject = controller()
    subject.take_traffic(sample(0.0, 5.0, queries_per_s=2.0))
    assert subject.decide(0.0) == Permit(IDLE_TARGET_S, 1.0)


def test_under_load_chunks_are_half_as_long_as_slow_statements_take() -> None:
    subject, now_s = learned(p95_ms=6.0)
    (permit,) = drive(subject, 6.0, now_s, TICK_S)
    assert permit == Permit(0.003, SHARE_AT_FIRST)
    assert subject.reason is None


def test_the_usual_latency_is_measured_before_the_first_chunk() -> None:
    subject = controller()
    subject.take_traffic(sample(0.0, 5.0))
    assert subject.decide(0.0) is None


def test_the_share_grows_slowly_while_nobody_feels_it() -> None:
    subject, now_s = learned()
    permits = list(drive(subject, 6.0, now_s, 3 * UP_EVERY_S + 1))
    shares = [permit.share for permit in permits if permit]
    assert shares == sorted(shares)
    assert SHARE_AT_FIRST < shares[-1] < SHARE_AT_FIRST + 0.3


def drive_a_server_we_slow_down(
    subject: Controller, from_s: float, seconds: float
) -> Iterator[Permit | None]:
    """Feed a latency that is high a moment after copying, and as usual a moment after a pause."""
    permit = subject.decide(from_s)
    copied_s = from_s
    for tick in range(round(seconds / TICK_S)):
        now_s = from_s + tick * TICK_S
        copied_s = now_s if permit is not None else copied_s
        subject.take_traffic(sample(now_s, 11.0 if now_s - copied_s < PROBE_SETTLE_S - TICK_S else 6.0))
        permit = subject.decide(now_s)
        yield permit


def test_the_share_shrinks_to_the_floor_and_never_below_when_copying_keeps_latency_high() -> None:
    subject, now_s = learned()
    shares = [permit.share for permit in drive_a_server_we_slow_down(subject, now_s, 60) if permit]
    assert min(shares) == FLOOR
    assert shares[-1] <= FLOOR + 0.05
    assert shares.count(FLOOR) > len(shares) / 2
    list(drive(subject, 11.0, now_s + 60, 1))
    assert "read statements take" in str(subject.reason)


def test_latency_that_stays_high_while_copying_rests_is_somebody_elses() -> None:
    subject, now_s = learned()
    shares = [permit.share for permit in drive(subject, 11.0, now_s, 60) if permit]
    assert min(shares) == FLOOR
    assert shares[-1] > SHARE_AT_FIRST


def test_copying_stops_for_a_moment_when_latency_doubles() -> None:
    subject, now_s = learned()
    assert None in list(drive(subject, 40.0, now_s, 3))


def test_copying_recovers_when_latency_does() -> None:
    subject, now_s = learned()
    list(drive(subject, 40.0, now_s, 5))
    shares = [permit.share for permit in drive(subject, 6.0, now_s + 5, 20) if permit]
    assert shares[-1] > SHARE_AT_FIRST


def test_small_differences_are_noise() -> None:
    subject, now_s = learned(p95_ms=0.4)
    shares = [permit.share for permit in drive(subject, 1.2, now_s, 5) if permit]
    assert min(shares) >= SHARE_AT_FIRST


def test_a_signal_that_stopped_holds_copying_at_the_floor() -> None:
    subject, now_s = learned()
    list(drive(subject, 6.0, now_s, 1))
    assert subject.decide(now_s + 1 + STALE_S) == Permit(TARGET_MIN_S, FLOOR)
    assert "stopped coming" in str(subject.reason)


def test_many_running_threads_hold_copying_at_the_floor_even_without_a_proxy() -> None:
    subject = controller()
    subject.take_server(ServerSample(0.0, 1))
    subject.take_server(ServerSample(0.5, 40))
    permit = subject.decide(1.0)
    assert permit is not None
    assert permit.share == FLOOR
    assert "threads are running" in str(subject.reason)


def test_slow_commits_hold_copying_at_the_floor() -> None:
    subject = controller()
    for _ in range(10):
        subject.took(0.4)
    permit = subject.decide(0.0)
    assert permit is not None
    assert permit.share == FLOOR
    assert "commits take" in str(subject.reason)
    for _ in range(20):
        subject.took(0.002)
    assert subject.decide(1.0) == Permit(IDLE_TARGET_S, 1.0)
