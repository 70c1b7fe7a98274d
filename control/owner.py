"""I see to it that one state folder belongs to one Headgate."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from control.errors import StartRefused


@contextlib.contextmanager
def sole_owner(state: Path) -> Iterator[None]:
    """Hold the state folder's lock, which the system releases when this process ends, however it ends.

    The folder is made when it is missing. What this process and its children make from now on, other users
    cannot read, even in a folder that was made by hand and is open to all. Raises StartRefused when another
    process holds the lock.
    """
    os.umask(0o077)
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (state / "lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StartRefused(
                f"another Headgate runs on the state folder {state}: stop it, or choose another "
                "folder with HEADGATE_STATE"
            ) from None
        yield
