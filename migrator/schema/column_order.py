"""I decide the order of a table's columns when two sides have added or moved some."""

from __future__ import annotations

from collections.abc import Collection, Sequence, Set
from dataclasses import dataclass
from enum import StrEnum

from migrator.schema.longest import longest_increasing


class ColumnOrder(StrEnum):
    """What becomes of two columns that two sides put at the same place of a table.

    APPEND: they follow each other, first the one that was there first. STRICT: they are a conflict.
    """

    APPEND = "append"
    STRICT = "strict"


@dataclass(frozen=True, slots=True)
class Ordered:
    """The merged order.

    `passed` are columns of ours, each with the columns of theirs that it comes after though ours put it at
    the same place. `clashes` are pairs of columns, ours and theirs, at one place. `torn` says that both sides
    moved columns that were there before, to different places.
    """

    columns: tuple[str, ...]
    passed: tuple[tuple[str, tuple[str, ...]], ...]
    clashes: tuple[tuple[str, str], ...]
    torn: bool


def merge_order(
    base: Sequence[str], ours: Sequence[str], theirs: Sequence[str], alive: Collection[str]
) -> Ordered:
    """Return theirs' order with our new and moved columns at their places; only `alive` columns are left."""
    moved, torn = _moved(base, ours, theirs)
    moved &= set(alive)
    order = [key for key in theirs if key in alive and key not in moved]
    passed = []
    old = set(base)
    for number, key in enumerate(ours):
        if key not in alive or key in order:
            continue
        previous = next((k for k in reversed(ours[:number]) if k in order), None)
        start = place = 0 if previous is None else order.index(previous) + 1
        while place < len(order) and order[place] not in old and order[place] not in ours:
            place += 1
        if place > start:
            passed.append((key, tuple(order[start:place])))
        order.insert(place, key)
    return Ordered(tuple(order), tuple(passed), tuple(_clashes(base, ours, theirs, alive)), torn)


def _moved(base: Sequence[str], ours: Sequence[str], theirs: Sequence[str]) -> tuple[set[str], bool]:
    """Return the columns that ours moved, if theirs has not moved them to the same places; and torn."""
    kept = [key for key in base if key in ours and key in theirs]
    our_order = [key for key in ours if key in kept]
    their_order = [key for key in theirs if key in kept]
    if our_order in (kept, their_order):
        return set(), False
    staying = longest_increasing([kept.index(key) for key in our_order])
    moved = {key for key in our_order if kept.index(key) not in staying}
    return moved, their_order != kept


def _clashes(
    base: Sequence[str], ours: Sequence[str], theirs: Sequence[str], alive: Collection[str]
) -> list[tuple[str, str]]:
    """Return pairs of different columns that the two sides put behind the same one, ours first.

    A column that one side put behind another clashes with that one, too, when the other side moved it away,
    and one that both added at different places clashes with itself.
    """
    mine, other = _anchors(base, ours, alive), _anchors(base, theirs, alive)
    both = set(ours) & set(theirs) & set(alive)
    here, there = _previous(ours, both), _previous(theirs, both)
    shared = {key for key in mine.keys() & other.keys() if here[key] == there[key]}
    behind: dict[str, list[str]] = {}
    for key, anchor in other.items():
        if key not in shared:
            behind.setdefault(anchor, []).append(key)
    found = [
        (key, rival)
        for key, anchor in mine.items()
        if key not in shared
        for rival in behind.get(anchor, ())
        if rival != key
    ]
    found += [(key, anchor) for key, anchor in mine.items() if anchor in other and anchor not in mine]
    found += [(anchor, key) for key, anchor in other.items() if anchor in mine and anchor not in other]
    found += [(key, key) for key in ours if key in both and key not in base and here[key] != there[key]]
    return list(dict.fromkeys(found))


def _previous(side: Sequence[str], of: Set[str]) -> dict[str, str]:
    """Return each of these columns with the one of them that comes before it ('' is none)."""
    kept = [key for key in side if key in of]
    return dict(zip(kept, ["", *kept], strict=False))


def _anchors(base: Sequence[str], side: Sequence[str], alive: Collection[str]) -> dict[str, str]:
    """Return the columns that a side added or moved, each with the one before it ('' is none)."""
    kept = [key for key in base if key in side and key in alive]
    there = [key for key in side if key in alive]
    staying = longest_increasing([kept.index(key) for key in there if key in kept])
    still = {kept[number] for number in staying}
    return {key: there[number - 1] if number else "" for number, key in enumerate(there) if key not in still}
