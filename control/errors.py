"""I am what control refuses, apart from what routes and deploy requests refuse."""

from __future__ import annotations

import os

REFUSED = 2
"""Exit status of a start that was refused: starting again would not help."""


LAST_WORDS = "refusal.txt"
"""File in the folder for sockets with the reason of a refused start."""


class ControlError(Exception):
    """Control cannot do what was asked; the message says why and what to do next."""


class NotFound(ControlError):
    """There is no such thing."""


class NotAllowed(ControlError):
    """Whoever asks may not do that; the message says who may."""


class Outdated(ControlError):
    """What somebody decided about has changed since they looked; the message says how to look again."""


class StartRefused(ControlError):
    """Control cannot start; the message says what to mend."""


def reason(error: OSError) -> str:
    """Return what the system says of an error, without what libraries add to it."""
    return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
