"""Sets of transactions: they grow, are compared, and are read as servers write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.engine.log.gtid import (
    GTID_TAGGED,
    STEPS_MAX,
    MariadbGtids,
    MysqlGtids,
    Trail,
    covers,
    gtids_of,
    parse_gtid,
)
from migrator.engine.log.place import Position
from migrator.errors import StreamBroken
from router.model import Flavor

A = "7c536cdf-e4f9-11f1-88f9-02fc00000001"
B = "00000000-0000-0000-0000-0000000000ff:red"


@given(st.lists(st.tuples(st.sampled_from([A, B]), st.integers(1, 40)), unique=True))
def test_a_set_holds_what_was_put_in_whatever_the_order(gtids: list[tuple[str, int]]) -> None:
    subject = MysqlGtids()
    for gtid in gtids:
        subject.add(gtid)
    again = MysqlGtids(str(subject))
    ordered = MysqlGtids()
    for gtid in sorted(gtids):
        ordered.add(gtid)
    assert str(subject) == str(again) == str(ordered)
    for gtid in gtids:
        with pytest.raises(StreamBroken, match="for the second time"):
            again.add(gtid)


@given(st.sets(st.integers(1, 30)), st.sets(st.integers(1, 30)))
def test_sets_are_joined_and_compared_as_sets(one: set[int], two: set[int]) -> None:
    def made(numbers: set[int]) -> MysqlGtids:
        subject = MysqlGtids()
        for number in numbers:
            subject.add((A, number))
        return subject

    first, second = made(one), made(two)
    assert first.covers(second) is (two <= one)
    first.join(second)
    assert str(first) == str(made(one | two))


def test_a_set_is_read_as_servers_write_it() -> None:
    text = f"{A}:1-16:18:red:1-2:blue:7,\n{B.split(':')[0]}:3"
    assert str(MysqlGtids(text)) == (f"{B.split(':')[0]}:3,{A}:1-16:18,{A}:blue:7,{A}:red:1-2")
    assert str(MysqlGtids("")) == ""


def test_a_position_of_mariadb_is_the_last_of_every_domain() -> None:
    subject = gtids_of(Flavor.MARIADB, "0-1-23,5-1-2")
    before = subject.copy()
    subject.add((5, 2, 3))
    assert str(subject) == "0-1-23,5-2-3"
    assert covers(subject, before)
    assert not covers(before, subject)
    assert not covers(before, MariadbGtids("7-1-1"))
    with pytest.raises(StreamBroken):
        subject.add((5, 2, 3))


def test_a_tagged_gtid_is_read() -> None:
    # As MySQL 9.7 wrote it.
    body = bytes.fromhex(
        "027000000002f8a6d87d039103e50322c5032102e50304f103000000020408060672656408080a100c7f46f62024b7600610"
        "51041283120b"
    )
    assert parse_gtid(GTID_TAGGED, 1, body) == (f"{A}:red", 2)


def place(n: int) -> Position:
    return Position.of("binlog.000001", n)


@given(st.integers(0, 60), st.integers(0, 60))
def test_a_trail_never_says_too_much(asked: int, forgotten: int) -> None:
    trail = Trail(MysqlGtids(f"{A}:1-100"))
    for n in range(1, 51):
        trail.note(place(n), [(A, 100 + n)])
    assert str(trail.newest) == f"{A}:1-150"
    assert str(trail.at(place(asked))) == f"{A}:1-{100 + min(asked, 50)}"
    trail.forget(place(forgotten))
    assert str(trail.at(place(max(asked, forgotten)))) == f"{A}:1-{100 + min(max(asked, forgotten), 50)}"
    trail.go_back(place(max(asked, forgotten)))
    assert str(trail.newest) == f"{A}:1-{100 + min(max(asked, forgotten), 50)}"


def test_a_trail_that_nobody_shortens_grows_no_further_and_says_too_little_rather_than_too_much() -> None:
    trail = Trail(MysqlGtids())
    for n in range(1, 5 * STEPS_MAX):
        trail.note(place(n), [(A, n)])
    assert len(trail._steps) <= STEPS_MAX
    for n in range(1, 5 * STEPS_MAX, 97):
        known = str(trail.at(place(n)))
        last = int(known.rpartition("-")[2].rpartition(":")[2]) if known else 0
        assert last <= n
    assert str(trail.newest) == f"{A}:1-{5 * STEPS_MAX - 1}"
