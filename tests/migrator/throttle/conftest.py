"""I keep the throttle's tests from hanging."""

from __future__ import annotations

import pytest

from tests.support.time_limit import limit


def pytest_itemcollected(item: pytest.Item) -> None:
    """Fail a test that hangs."""
    limit(item)
