"""I end a process's work in order when the process is told to end."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable


async def until_told_to_end(work: Awaitable[None]) -> None:
    """Do the work until it is done, or until SIGINT or SIGTERM cancels it.

    Only the first signal counts: a second one must not interrupt the orderly end.
    """
    task = asyncio.current_task()
    assert task is not None
    ending = False

    def end() -> None:
        nonlocal ending
        if not ending:
            ending = True
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, end)
    try:
        await work
    except asyncio.CancelledError:
        if not ending:
            raise
