"""Every kind of client gets through half a minute in which backends, clients and a worker are killed."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SECONDS = 30


async def test_a_short_soak_ends_without_an_error_a_mix_up_or_a_leak() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.soak", "--seconds", str(SECONDS)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    report = json.loads(output.splitlines()[-1])
    assert report["held"], report
    assert process.returncode == 0
    kinds = report["details"]["rounds_of_each_kind"]
    assert set(kinds) >= {
        "text",
        "prepared",
        "write",
        "state",
        "pin",
        "big",
        "upload",
        "idle",
        "storm",
        "vanish",
    }
    assert report["details"]["kills"]["workers"] >= 1
