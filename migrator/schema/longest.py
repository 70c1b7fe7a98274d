"""I find the longest increasing subsequence: what need not move when the rest is put in order."""

from __future__ import annotations

import bisect
from collections.abc import Sequence


def longest_increasing(numbers: Sequence[int]) -> set[int]:
    """Return the members of a longest increasing subsequence of different numbers."""
    ends: list[int] = []
    at: list[int] = []
    before: dict[int, int | None] = {}
    for number in numbers:
        place = bisect.bisect_left(ends, number)
        ends[place : place + 1] = [number]
        at[place : place + 1] = [number]
        before[number] = at[place - 1] if place else None
    found: set[int] = set()
    last = at[-1] if at else None
    while last is not None:
        found.add(last)
        last = before[last]
    return found
