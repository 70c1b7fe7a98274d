from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from migrator.deploy.lifecycle import State
from migrator.deploy.recommended import Recommended, Standing, reckon
from migrator.deploy.request import DeployRequest
from migrator.schema.recommend.recommendation import Kind, Recommendation
from tests.migrator.deploy.test_store import request

THEN = datetime(2026, 11, 1, tzinfo=UTC)
NOW = THEN + timedelta(days=2)
ADVICE = Recommendation(Kind.UNUSED_INDEX, "customers", "by_name", "Drop it", ("ALTER …",), "for 30 days")
RECORD = Recommended("r", "shop", 1, ADVICE, Standing.OPEN, THEN, THEN)


def deployed(number: int, **changes: object) -> DeployRequest:
    """A deploy request that changed `customers` a day ago."""
    changes = {"cut_over_at": THEN + timedelta(days=1), "deployment_state": State.COMPLETE, **changes}
    return request(number=number, **changes)


def test_what_nobody_had_before_is_new() -> None:
    done = reckon([], [ADVICE], [], NOW)
    assert (done.new, done.changed) == ((ADVICE,), ())


def test_figures_may_change() -> None:
    again = replace(ADVICE, reason="for 32 days")
    assert reckon([RECORD], [ADVICE], [], NOW).changed == ()
    [changed] = reckon([RECORD], [again], [], NOW).changed
    assert (changed.number, changed.recommendation.reason, changed.updated_at) == (1, "for 32 days", NOW)


def test_it_is_closed_by_the_last_deploy_request_that_changed_the_table() -> None:
    requests = [
        deployed(4),
        deployed(5),
        deployed(6, deployment_state=State.COMPLETE_REVERT),
        deployed(7, cut_over_at=None),
        deployed(8, operations=()),
    ]
    [changed] = reckon([RECORD], [], requests, NOW).changed
    assert (changed.standing, changed.closed_by) == (Standing.APPLIED, 5)
    assert changed.applied_at == THEN + timedelta(days=1)
    assert reckon([changed], [], requests, NOW).changed == ()
    [again] = reckon([changed], [ADVICE], requests, NOW).changed
    assert (again.standing, again.closed_by, again.applied_at) == (Standing.OPEN, None, None)


def test_what_no_deploy_request_did_is_out_of_date() -> None:
    before = deployed(3, cut_over_at=THEN - timedelta(days=1))
    [changed] = reckon([RECORD], [], [before], NOW).changed
    assert changed.standing is Standing.STALE
    [again] = reckon([changed], [ADVICE], [], NOW).changed
    assert again.standing is Standing.OPEN


def test_what_was_dismissed_stays_so() -> None:
    dismissed = replace(RECORD, standing=Standing.DISMISSED, dismissed_at=THEN)
    assert reckon([dismissed], [replace(ADVICE, reason="for 400 days")], [], NOW) == reckon([], [], [], NOW)
    assert reckon([dismissed], [], [deployed(4)], NOW).changed == ()
