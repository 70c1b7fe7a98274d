"""I remember what was found out last, by what it depends on."""

from __future__ import annotations

from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Known(Generic[K, V]):
    """What was found out last, by what it depends on: asking again costs nothing."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: dict[K, V] = {}

    def get(self, key: K) -> V | None:
        """Return it, or None when it is not known (any more)."""
        return self._known.get(key)

    def put(self, key: K, value: V) -> None:
        """Remember it, and forget what was remembered first when there is too much."""
        self._known[key] = value
        while len(self._known) > self._most:
            del self._known[next(iter(self._known))]
