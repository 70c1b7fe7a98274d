"""I run work that outlives the call that started it, and keep the first failure for whoever asks next."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

log = structlog.get_logger()


class Background:
    """Tasks that run until `stop`; when one fails, `failure` holds why and `failed` is set."""

    def __init__(self) -> None:
        self.failure: BaseException | None = None
        self.failed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Begin some work."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def check(self) -> None:
        """Raise the failure, if there was one."""
        if self.failure is not None:
            raise self.failure

    async def stop(self) -> None:
        """Cancel everything and wait until it has ended."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def alongside(self, work: Coroutine[Any, Any, None]) -> None:
        """Run some work in the foreground; a failure in the background ends it and is raised."""
        task = asyncio.get_running_loop().create_task(work)
        watch = asyncio.get_running_loop().create_task(self.failed.wait())
        try:
            await asyncio.wait({task, watch}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                self.check()
            await task
        finally:
            for each in (task, watch):
                each.cancel()
            await asyncio.gather(task, watch, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None and self.failure is None:
            self.failure = error
            self.failed.set()
            log.warning("background.failed", task=task.get_name(), reason=str(error))
