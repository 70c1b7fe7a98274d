"""I keep the samples of rounds in which the ways take turns, and compare ways round by round.

Whatever else the machine does hurts all ways of a round alike. So what counts are the ratios within one
round, and of those the median; a key of the report is the worst of its cells.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")
Figures = dict[str, float]


def turns(ways: Sequence[T], number: int) -> list[T]:
    """Return the ways in the order of one round: each begins in its turn."""
    first = number % len(ways)
    return [*ways[first:], *ways[:first]]


@dataclass(slots=True)
class Rounds:
    """Samples by cell and way, one for each round."""

    samples: dict[tuple[str, str], list[Figures]] = field(default_factory=dict)

    def add(self, cell: str, way: str, figures: Figures) -> None:
        """Keep a sample."""
        self.samples.setdefault((cell, way), []).append(figures)

    @property
    def cells(self) -> list[str]:
        """The cells in the order in which they were measured first."""
        return list(dict.fromkeys(cell for cell, _ in self.samples))

    def ratios(self, way: str, other: str, figure: str) -> dict[str, float]:
        """Return, for each cell that both ways have, the median of the rounds' ratios of one figure."""
        found: dict[str, float] = {}
        for cell in self.cells:
            ours, theirs = self.samples.get((cell, way)), self.samples.get((cell, other))
            if ours and theirs:
                pairs = zip(ours, theirs, strict=True)
                found[cell] = statistics.median(a[figure] / b[figure] for a, b in pairs)
        return found

    def medians(self) -> dict[str, dict[str, Figures]]:
        """Return the medians of all figures, by cell and way, for the report's details."""
        table: dict[str, dict[str, Figures]] = {}
        for (cell, way), rows in self.samples.items():
            table.setdefault(cell, {})[way] = {
                figure: round(statistics.median(row[figure] for row in rows), 2) for figure in rows[0]
            }
        return table


def worst(pick: Callable[[Iterable[float]], float], ratios: dict[str, float]) -> float:
    """Return the worst of the cells' ratios: `pick` is max where less is better, min where more is."""
    return round(pick(ratios.values()), 3)


def rounded(ratios: dict[str, float]) -> dict[str, float]:
    """Return ratios as a report shows them."""
    return {cell: round(ratio, 3) for cell, ratio in ratios.items()}


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
