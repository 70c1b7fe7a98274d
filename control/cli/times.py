"""I read a length of time as people write it: 90s, 30m, 8h or 7d."""

from __future__ import annotations

import re
from typing import Final

import typer

UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def seconds(text: str) -> int:
    """Return how many seconds a time like `90s`, `30m`, `8h` or `7d` has; a bare number counts seconds."""
    found = re.fullmatch(r"(\d{1,9})([smhd]?)", text.strip())
    if not found:
        raise typer.BadParameter(f"{text!r} is no time: write it as 90s, 30m, 8h or 7d")
    return int(found[1]) * UNITS[found[2]]
