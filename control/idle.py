"""I know when each local server was last used, and put those to sleep that nobody has needed for a while."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterator

from router.hosts import LocalHost


class Idle:
    """When the servers of one host were last used; a server in use never sleeps."""

    def __init__(self, host: LocalHost) -> None:
        self._host = host
        self._used_s: dict[str, float] = {}
        self._users: Counter[str] = Counter()

    def touch(self, server: str) -> None:
        """Take that a server was used now."""
        self._used_s[server] = time.monotonic()

    @contextlib.contextmanager
    def in_use(self, server: str) -> Iterator[None]:
        """Keep a server from being put to sleep while the body runs."""
        self._users[server] += 1
        try:
            yield
        finally:
            self._users[server] -= 1
            self.touch(server)

    async def sleep_if_idle(self, server: str, after_s: float) -> None:
        """Stop a server that nobody has used for so many seconds."""

        def needed() -> bool:
            used_s = self._used_s.setdefault(server, time.monotonic())
            return self._users[server] > 0 or time.monotonic() - used_s <= after_s

        if not needed() and not self._host.asleep(server):
            await self._host.sleep(server, unless=needed)
