"""I let the workers of one machine see how many clients each of them has, so that all get their share.

Each worker has one slot in a small file that all have mapped into memory, and writes only that. Who reads a
slot while it is written sees the old or the new number: an aligned word changes as a whole.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from typing import Final

SLOTS: Final = 256
SLOT_BYTES: Final = 8
ABSENT: Final = (1 << 63) - 1
"""What the slot of a worker that takes no clients holds."""


class Shares:
    """The numbers of clients of all workers, as worker `number` sees them; `path` is the file they share.

    Raises OSError when the file cannot be made.
    """

    def __init__(self, path: Path, number: int) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            if size < SLOTS * SLOT_BYTES:
                # Whoever comes second writes the same.
                os.pwrite(descriptor, ABSENT.to_bytes(SLOT_BYTES, "little") * SLOTS, 0)
            self._map = mmap.mmap(descriptor, SLOTS * SLOT_BYTES)
        finally:
            os.close(descriptor)
        self._slots = memoryview(self._map).cast("Q")
        self._number = number % SLOTS
        self._slots[self._number] = 0

    def tell(self, clients: int) -> None:
        """Let the others know how many clients this worker has."""
        self._slots[self._number] = clients

    def leave(self) -> None:
        """Let the others know that this worker takes no clients any more."""
        self._slots[self._number] = ABSENT

    def is_ahead(self) -> bool:
        """Whether another worker has fewer clients, so that the next one is rather for that."""
        return min(self._slots) < self._slots[self._number]
