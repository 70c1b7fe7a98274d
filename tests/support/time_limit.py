"""I end tests that hang, so that they fail instead of stopping everything behind them."""

from __future__ import annotations

import asyncio
import functools
import inspect
from typing import Any

import pytest

LIMIT_S = 300.0


def limit(item: pytest.Item, seconds: float = LIMIT_S) -> None:
    """Let a test that is a coroutine function run no longer than this."""
    function: Any = getattr(item, "obj", None)
    if not isinstance(item, pytest.Function) or not inspect.iscoroutinefunction(function):
        return

    @functools.wraps(function)
    async def limited(*args: object, **kwargs: object) -> None:
        async with asyncio.timeout(seconds):
            await function(*args, **kwargs)

    item.obj = limited
