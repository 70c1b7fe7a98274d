"""I am what control refuses, apart from what routes and deploy requests refuse."""

from __future__ import annotations

REFUSED = 2
"""Exit status of a start that was refused: starting again would not help."""


class ControlError(Exception):
    """Control cannot do what was asked; the message says why and what to do next."""


class NotFound(ControlError):
    """There is no such thing."""


class StartRefused(ControlError):
    """Control cannot start; the message says what to mend."""
