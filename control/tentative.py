"""I make a branch on which something is to be changed at once; when that fails, the branch is gone again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from control.branches import Branches


@contextlib.asynccontextmanager
async def new_branch(branches: Branches, name: str, parent: str = "") -> AsyncIterator[None]:
    """Make a branch that stays if the body succeeds; its parent is the default branch when none is named."""
    await branches.create(name, parent)
    try:
        yield
    except BaseException:
        await asyncio.shield(branches.delete(name))
        raise
