"""I am the named places in the engine where a test may kill the process, as a crash would.

HEADGATE_FAILPOINT=name kills at the first visit, name:3 at the third; with HEADGATE_FAILPOINT_STOPS=1 the
process is stopped instead, to wake up later. Outside of tests nobody sets them.
"""

from __future__ import annotations

import os
import signal
from collections import Counter

_visits: Counter[str] = Counter()


def reach(name: str) -> None:
    """Die here if the environment says so."""
    wanted = os.environ.get("HEADGATE_FAILPOINT", "")
    if not wanted:
        return
    _visits[name] += 1
    place, _, visit = wanted.partition(":")
    if place == name and _visits[name] == int(visit or 1):
        stops = bool(os.environ.get("HEADGATE_FAILPOINT_STOPS"))
        os.kill(os.getpid(), signal.SIGSTOP if stops else signal.SIGKILL)
