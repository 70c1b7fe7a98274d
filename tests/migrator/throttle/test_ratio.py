"""What people say of a database and of single deploy requests, and how the two go together."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from migrator.errors import Refused
from migrator.throttle.ratio import NOTHING, WHOLE_DATABASE, Ratio, Ratios

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_ratio_leaves_the_rest_of_the_time() -> None:
    assert Ratio(0).ceiling == 1.0
    assert Ratio(95).ceiling == pytest.approx(0.05)


@pytest.mark.parametrize("ratio", [-1, 96])
def test_a_ratio_out_of_bounds_is_refused(ratio: int) -> None:
    with pytest.raises(Refused, match="0 to 95"):
        Ratio(ratio)


def test_a_deploy_requests_own_ratio_comes_before_its_databases() -> None:
    ratios = Ratios()
    assert ratios.effective(7, NOW) == NOTHING
    ratios.put(WHOLE_DATABASE, Ratio(80))
    assert ratios.effective(7, NOW) == Ratio(80)
    ratios.put(7, Ratio(20))
    assert ratios.effective(7, NOW) == Ratio(20)
    assert ratios.effective(8, NOW) == Ratio(80)
    ratios.put(7, None)
    assert ratios.effective(7, NOW) == Ratio(80)


def test_pausing_the_database_pauses_requests_with_a_ratio_of_their_own() -> None:
    ratios = Ratios()
    ratios.put(7, Ratio(20))
    ratios.put(WHOLE_DATABASE, Ratio(paused=True))
    assert ratios.effective(7, NOW) == Ratio(20, paused=True)


def test_a_ratio_is_over_when_its_time_is() -> None:
    ratios = Ratios()
    ratios.put(7, Ratio(90, expires_at=NOW + timedelta(minutes=1)))
    assert ratios.effective(7, NOW).ratio == 90
    assert ratios.effective(7, NOW + timedelta(minutes=1)) == NOTHING
