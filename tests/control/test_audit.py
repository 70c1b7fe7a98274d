"""Refused statements leave a trace, and a client that repeats itself does not fill the log."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from control import audit as module
from control.audit import QUIET_S, Audit
from proxy.channel import Refused

DROP = Refused("app", "10.0.0.7", "shop", "main", "DROP TABLE", "DROP TABLE orders")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def lines(logged: list[dict[str, object]]) -> list[tuple[object, object]]:
    return [(line["digest"], line["times"]) for line in logged]


def test_a_refusal_is_written_at_once_with_who_and_where_and_what() -> None:
    with capture_logs() as logged:
        Audit(Clock()).note(DROP)
    [line] = logged
    assert line["event"] == "statement.refused"
    assert (line["user"], line["client"], line["branch"]) == ("app", "10.0.0.7", "main")
    assert (line["verb"], line["digest"], line["times"]) == ("DROP TABLE", "DROP TABLE orders", 1)


def test_repetitions_are_written_as_one_line_with_their_number() -> None:
    clock = Clock()
    audit = Audit(clock)
    with capture_logs() as logged:
        for _ in range(500):
            audit.note(DROP)
        clock.now = QUIET_S + 1
        audit.write_repeated()
        audit.write_repeated()
        audit.note(DROP)
    assert [times for _, times in lines(logged)] == [1, 499, 1]


def test_different_refusals_are_told_apart_and_none_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KNOWN_MAX", 2)
    audit = Audit(Clock())
    with capture_logs() as logged:
        for name in ("a", "a", "b", "c"):
            audit.note(Refused("app", "10.0.0.7", "shop", "main", "DROP TABLE", name))
    assert lines(logged) == [("a", 1), ("b", 1), ("c", 1), ("a", 1)]
