from __future__ import annotations

from datetime import UTC, datetime, timedelta

from migrator.schema.recommend.evidence import Use
from migrator.schema.recommend.watch import Observation, by_place, least_idle, observe

DAY = timedelta(days=1)
START = datetime(2026, 11, 1, tzinfo=UTC)


def seen(day: int, count: int, *, up_since: int = 0, server: str = "a", index: str = "i") -> Observation:
    """What a server that was started on day `up_since` has counted by `day`."""
    return Observation(server, "t", index, START + up_since * DAY, START + day * DAY, count)


def test_what_was_never_counted_is_idle_since_the_server_was_started() -> None:
    known = observe(None, seen(5, 0))
    assert (known.since, known.last_at) == (START, None)
    assert observe(known, seen(6, 0)).last_at is None


def test_a_counter_that_grows_was_used_by_then() -> None:
    known = observe(observe(None, seen(5, 3)), seen(6, 3))
    assert known.last_at == START + 5 * DAY
    assert observe(known, seen(7, 4)).last_at == START + 7 * DAY


def test_a_restart_forgets_nothing() -> None:
    known = observe(observe(None, seen(5, 3)), seen(8, 0, up_since=7))
    assert (known.since, known.last_at) == (START, START + 5 * DAY)
    used_since = observe(known, seen(9, 2, up_since=7))
    assert used_since.last_at == START + 9 * DAY
    assert observe(used_since, seen(10, 1, up_since=10)).last_at == START + 10 * DAY


def test_an_index_counts_as_watched_when_all_servers_watch_it() -> None:
    all_seen = [seen(5, 0), seen(5, 0, server="b", up_since=3), seen(5, 0, index="j")]
    uses = by_place([observe(None, each) for each in all_seen], 2, "counted")
    assert uses == {("t", "i"): Use(START + 3 * DAY, None, "counted")}
    used = by_place([observe(None, seen(5, 0)), observe(None, seen(5, 1, server="b"))], 2, "counted")
    assert used["t", "i"].last_at == START + 5 * DAY


def test_the_witness_of_the_latest_use_counts() -> None:
    idle, used = Use(START, None, "a"), Use(START, START + DAY, "b")
    assert least_idle([idle, None, used]) is used
    assert least_idle([None]) is None
