"""How the share of copying follows what clients feel, with the clock passed in."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from migrator.throttle.controller import (
    FLOOR,
    LATENCY,
    PROBE_S,
    PROBE_SETTLE_S,
    SHARE_AT_FIRST,
    SLOW_START_S,
    STALE_S,
    TARGET_MIN_S,
    UP_EVERY_S,
    Controller,
    Permit,
)
from migrator.throttle.signals import ClassSample, TrafficSample

IDLE_TARGET_S = 0.25
TICK_S = 0.1


def sample(at_s: float, p95_ms: float, queries_per_s: float = 500.0) -> TrafficSample:
    return TrafficSample(at_s, {"read": ClassSample(queries_per_s, p95_ms / 2, p95_ms)}, 3)


def controller() -> Controller:
    return Controller(1.3, IDLE_TARGET_S)


def drive(subject: Controller, p95_ms: float, from_s: float, seconds: float) -> Iterator[Permit | None]:
    """Feed one latency ten times a second, and ask as often."""
    for tick in range(round(seconds / TICK_S)):
        now_s = from_s + tick * TICK_S
        subject.take_traffic(sample(now_s, p95_ms))
        permit = subject.decide(now_s)
        if permit is not None:
            subject.copied(now_s)
        yield permit


def learned(p95_ms: float = 6.0) -> tuple[Controller, float]:
    """A controller that has measured the usual latency, and the time it is then."""
    subject = controller()
    assert all(permit is None for permit in drive(subject, p95_ms, 0.0, PROBE_S))
    assert "measuring" in str(subject.reason)
    return subject, PROBE_S


def test_an_idle_server_is_soon_used_whole_with_long_chunks() -> None:
    subject = controller()
    assert subject.decide(0.0) == Permit(IDLE_TARGET_S, SHARE_AT_FIRST)
    assert subject.decide(SLOW_START_S) == Permit(IDLE_TARGET_S, 2 * SHARE_AT_FIRST)
    assert subject.decide(2 * SLOW_START_S) == Permit(IDLE_TARGET_S, 4 * SHARE_AT_FIRST)
    assert subject.decide(3 * SLOW_START_S) == Permit(IDLE_TARGET_S, 1.0)


def test_a_few_queries_are_no_traffic() -> None:
    subject = controller()
    subject.take_traffic(sample(0.0, 5.0, queries_per_s=2.0))
    permit = subject.decide(0.0)
    assert permit is not None
    assert permit.target_s == IDLE_TARGET_S


def test_under_load_chunks_are_half_as_long_as_slow_statements_take() -> None:
    subject, now_s = learned(p95_ms=36.0)
    (permit,) = drive(subject, 36.0, now_s, TICK_S)
    assert permit == Permit(0.018, SHARE_AT_FIRST)
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
        if permit is not None:
            subject.copied(now_s)
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


def shares_with_a_mean_of(mean_ms: float, queries_per_s: float) -> list[float]:
    """The shares of five seconds in which statements take so long on average, and usually 0.25 ms."""
    subject, shares = controller(), []
    for tick in range(100):
        at_s = tick * TICK_S
        kind = ClassSample(queries_per_s, 0.2, 0.6, 0.25 if tick < 50 else mean_ms)
        subject.take_traffic(TrafficSample(at_s, {"read": kind}, 3))
        if tick >= 50:
            permit = subject.decide(at_s)
            subject.copied(at_s)
            shares += [permit.share] if permit else []
    return shares


def test_a_mean_of_many_statements_tells_a_twentieth_of_a_millisecond() -> None:
    assert shares_with_a_mean_of(0.32, 5000.0)[-1] < SHARE_AT_FIRST
    assert shares_with_a_mean_of(0.26, 5000.0)[-1] > SHARE_AT_FIRST


def test_a_mean_of_few_statements_does_not() -> None:
    assert shares_with_a_mean_of(0.32, 20.0)[-1] > SHARE_AT_FIRST


def test_many_small_delays_count_though_no_percentile_rises() -> None:
    subject, now_s = learned(p95_ms=0.8)
    shares = []
    for tick in range(50):
        at_s = now_s + tick * TICK_S
        kind = ClassSample(5000.0, 0.4, 0.8, 0.6 if tick else 0.4)
        subject.take_traffic(TrafficSample(at_s, {"read": kind}, 3))
        permit = subject.decide(at_s)
        subject.copied(at_s)
        if permit:
            shares.append(permit.share)
    assert shares[-1] < shares[0]
    assert "on average" in str(subject.reason)
    assert subject.signal == LATENCY


def test_what_was_seen_before_the_migration_saves_measuring_first() -> None:
    subject = controller()
    for tick in range(20):
        subject.take_traffic(sample(tick * TICK_S, 36.0))
    assert subject.decide(2.0) == Permit(0.018, SHARE_AT_FIRST)


def test_a_lock_that_met_a_clients_halves_the_share() -> None:
    subject, now_s = learned()
    list(drive(subject, 6.0, now_s, 20))
    before = subject.share
    subject.collided(now_s + 21)
    subject.collided(now_s + 21.1)
    assert subject.share == before / 2 > FLOOR


@given(
    st.lists(
        st.tuples(st.floats(0.05, 5.0), st.floats(0.1, 500.0), st.floats(0.0, 5000.0)),
        min_size=1,
        max_size=200,
    )
)
def test_whatever_is_fed_the_share_stays_between_the_floor_and_all(
    fed: list[tuple[float, float, float]],
) -> None:
    subject, now_s = controller(), 0.0
    for step_s, p95_ms, queries_per_s in fed:
        now_s += step_s
        subject.take_traffic(sample(now_s, p95_ms, queries_per_s))
        permit = subject.decide(now_s)
        if permit is not None:
            subject.copied(now_s)
            assert FLOOR <= permit.share <= 1.0
            assert TARGET_MIN_S <= permit.target_s <= IDLE_TARGET_S


@given(st.floats(0.1, 1000.0), st.floats(1.0, 1000.0))
def test_copying_always_advances_whatever_latency_there_is(p95_ms: float, then_ms: float) -> None:
    subject, now_s = learned(p95_ms)
    permits = list(drive(subject, then_ms, now_s, 20.0))
    assert sum(permit is not None for permit in permits) > len(permits) / 3


def test_a_load_of_others_that_ends_leaves_no_room_for_copying() -> None:
    """What was usual beside it would allow four times of what is usual now."""
    subject, share, copied_s = controller(), 0.0, float("-inf")
    shares: list[float] = []
    for tick in range(2000):
        now_s = tick * TICK_S
        alone_ms = 8.0 if now_s < 20 else 2.0
        resting = now_s - copied_s >= PROBE_SETTLE_S - TICK_S
        mean_ms = alone_ms * (1.0 if resting else 1 + share)
        stats = ClassSample(1000.0, mean_ms, 2 * mean_ms, mean_ms)
        subject.take_traffic(TrafficSample(now_s, {"read": stats}, 3))
        if (permit := subject.decide(now_s)) is not None:
            subject.copied(now_s)
            share, copied_s = permit.share, now_s
            shares.append(share if now_s >= 20 else 0.0)
    assert max(shares) < 0.5
