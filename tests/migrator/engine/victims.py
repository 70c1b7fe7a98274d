"""I give orders to processes of their own, which a failpoint kills or stops while they carry an operation."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, Process
from pathlib import Path

import msgspec

from router.model import Server
from tests.support.servers import HANGS_S, until


class Orders(msgspec.Struct, kw_only=True):
    """Where to do what; the module that says what carries it out when it is run."""

    server: Server
    schema: str


async def start(orders: Orders, failpoint: str, *, stops: bool = False) -> Process:
    """Start who carries orders out, and is killed at the failpoint, or stops there."""
    how = {"HEADGATE_FAILPOINT_STOPS": "1"} if stops else {}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", type(orders).__module__, msgspec.json.encode(orders).decode()),
        env={**os.environ, "HEADGATE_FAILPOINT": failpoint, **how},
        stdout=DEVNULL,
    )


async def killed(orders: Orders, failpoint: str) -> None:
    """Let somebody carry orders out until the failpoint kills him."""
    process = await start(orders, failpoint)
    async with asyncio.timeout(HANGS_S):
        assert await process.wait() == -signal.SIGKILL


async def stopped(orders: Orders, failpoint: str) -> Process:
    """Let somebody carry orders out until he stops at the failpoint; SIGCONT wakes him up."""
    process = await start(orders, failpoint, stops=True)
    stat = Path(f"/proc/{process.pid}/stat")
    try:
        await until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T")
    except BaseException:
        process.kill()
        await process.wait()
        raise
    return process
