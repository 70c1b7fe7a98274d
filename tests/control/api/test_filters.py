"""Which deploy requests a list has."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from control.api.filters import Filter, Wanted, span
from control.errors import ControlError
from migrator.deploy.lifecycle import State
from migrator.deploy.request import DeployRequest, RequestState


def at(day: int, hour: int = 12) -> datetime:
    return datetime(2026, 8, day, hour, tzinfo=UTC)


def request(state: State, started: int | None = None, deployed: int | None = None) -> DeployRequest:
    return DeployRequest(
        id="d4k2m9x7q1zt",
        number=1,
        database="shop",
        branch="add-phone",
        into_branch="main",
        notes="",
        state=RequestState.CLOSED if deployed else RequestState.OPEN,
        deployment_state=state,
        auto_cutover=True,
        diff={},
        operations=(),
        problem=None,
        warnings=(),
        created_at=at(1),
        updated_at=at(9),
        started_at=at(started) if started else None,
        cut_over_at=at(deployed) if deployed else None,
    )


READY = request(State.READY)
RUNNING = request(State.IN_PROGRESS, started=5)
DEPLOYED = request(State.COMPLETE, started=5, deployed=7)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Wanted.ANY, [READY, RUNNING, DEPLOYED]),
        (Wanted.OPEN, [READY, RUNNING]),
        (Wanted.CLOSED, [DEPLOYED]),
        (Wanted.DEPLOYED, [DEPLOYED]),
    ],
)
def test_by_state(wanted: Wanted, found: list[DeployRequest]) -> None:
    assert [each for each in (READY, RUNNING, DEPLOYED) if Filter(wanted).fits(each)] == found


def test_by_branch() -> None:
    assert Filter(branch="add-phone", into_branch="main").fits(READY)
    assert not Filter(branch="add-email").fits(READY)
    assert not Filter(into_branch="staging").fits(READY)


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("2026-08-07", True),
        ("2026-08-06", False),
        ("2026-08-01..2026-08-07", True),
        ("2026-08-01..2026-08-06", False),
        ("2026-08-08..", False),
        ("..2026-08-07", True),
        ("2026-08-07T12:00:00Z", True),
        ("2026-08-07T12:00:00Z..2026-08-07T13:00:00Z", True),
        ("2026-08-07T10:00:00Z..2026-08-07T11:00:00Z", False),
        ("2026-08-07T14:00:00+02:00", True),
    ],
)
def test_by_when_it_was_deployed(text: str, fits: bool) -> None:
    assert Filter(deployed=span(text)).fits(DEPLOYED) is fits
    assert not Filter(deployed=span(text)).fits(RUNNING)


@pytest.mark.parametrize(
    ("text", "running", "deployed"),
    [("2026-08-04", False, False), ("2026-08-06", True, True), ("2026-08-08", True, False)],
)
def test_by_when_it_ran(text: str, running: bool, deployed: bool) -> None:
    assert Filter(running=span(text)).fits(RUNNING) is running
    assert Filter(running=span(text)).fits(DEPLOYED) is deployed
    assert not Filter(running=span(text)).fits(READY)


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "2026-08-01..soon", "1..2..3"])
def test_what_is_no_time_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(ControlError, match="is no time: write it as"):
        span(text)


def test_no_span_is_asked_for_by_an_empty_text() -> None:
    assert span("") is None
