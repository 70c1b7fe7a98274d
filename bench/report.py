"""I say whether figures keep their limits, and talk to the person who waits for them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Final

AT_MOST: Final = "at most"
AT_LEAST: Final = "at least"

Targets = Mapping[str, tuple[str, float]]


def met(targets: Targets, key: str, value: object) -> bool:
    """Whether a figure keeps its limit; one that could not be measured does not."""
    direction, limit = targets[key]
    if not isinstance(value, int | float):
        return False
    return value <= limit if direction == AT_MOST else value >= limit


def say(text: str) -> None:
    """Tell how far the measurement is, beside its last line."""
    print(text, file=sys.stderr, flush=True)
