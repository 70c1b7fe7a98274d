"""I end this process in order when the supervisor that started it dies."""

from __future__ import annotations

import ctypes
import os
import signal

SUPERVISOR = "HEADGATE_SUPERVISOR_PID"
PR_SET_PDEATHSIG = 1


def hold() -> None:
    """Ask the system for SIGTERM at the supervisor's death; raise SystemExit when it has died already.

    Without a supervisor in the environment nothing happens. Linux only (prctl(2)); elsewhere nothing happens.
    """
    supervisor = os.environ.get(SUPERVISOR)
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if supervisor is None or prctl is None:
        return
    prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(supervisor):
        raise SystemExit("the supervisor is gone")
