"""I measure the schema change engine beside native ALTER TABLE and pt-online-schema-change.

`python -m bench.migrator` measures all sections in turn; `--only` names some of them. The ways take turns
within each round, so that whatever else the machine does hurts all of them. The last line is one
JSON object; docs/performance.md says what its keys are.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from bench import rebuild, share, stream, throttled
from bench.report import AT_LEAST, AT_MOST, met, say
from migrator.engine.ground.state import prepare_state
from router.model import Flavor
from tests.support.servers import free_port, running_server, session_folder

TARGETS: Final = {
    "copy_vs_native": (AT_MOST, 1.25),
    "copy_vs_ptosc": (AT_MOST, 0.85),
    "row_cost_growth": (AT_MOST, 1.1),
    "migrator_rss_mib": (AT_MOST, 200.0),
    "keys_per_s": (AT_LEAST, 60_000.0),
    "skip_per_s": (AT_LEAST, 400_000.0),
    "p95_with_migration": (AT_MOST, 1.25),
    "copy_rows_per_s_throttled": (AT_LEAST, 10_000.0),
    "cutover_longest_pause_ms": (AT_MOST, 200.0),
    "cutover_errors": (AT_MOST, 0.0),
    "revert_ms": (AT_MOST, 1000.0),
    "under_load_row_exact": (AT_LEAST, 1.0),
    "catch_up_ratio": (AT_LEAST, 2.0),
}
OPTIONS: Final = {
    "innodb-buffer-pool-size": "4G",
    "innodb-redo-log-capacity": "2G",
    "max-binlog-size": "1G",
}


async def measure_rebuild() -> dict[str, object]:
    """Rebuild tables on an idle server."""
    with session_folder() as folder:
        async with running_server(
            Flavor.MYSQL, folder / "rebuild", port=free_port(), options=OPTIONS
        ) as local:
            await prepare_state(local.server)
            return await rebuild.measure(local)


async def measure_stream() -> dict[str, object]:
    """Read the log of a server that has written a lot."""
    return dict(await asyncio.to_thread(stream.measure))


async def measure_load() -> dict[str, object]:
    """Migrate while clients work through the proxy."""
    with session_folder() as folder:
        return await throttled.measure(folder)


async def measure_share(rounds: int, window_s: float) -> dict[str, object]:
    """Copy at the share of the time that clients leave."""
    with session_folder() as folder:
        return await share.measure(folder, rounds, window_s)


def sections(arguments: argparse.Namespace) -> dict[str, Callable[[], Awaitable[dict[str, object]]]]:
    """Return what measures each section."""
    return {
        "stream": measure_stream,
        "rebuild": measure_rebuild,
        "share": partial(measure_share, arguments.rounds, arguments.window),
        "load": measure_load,
    }


async def main(arguments: argparse.Namespace) -> int:
    """Measure and print the JSON line."""
    started = time.monotonic()
    measures = sections(arguments)
    figures: dict[str, object] = {}
    details: dict[str, object] = {}
    for name in arguments.only or measures:
        began = time.monotonic()
        found = await measures[name]()
        details[name] = found.pop("detail", None)
        figures |= found
        say(f"{name}: {time.monotonic() - began:.0f} s, {json.dumps(found)}")
    report = {
        **figures,
        "targets_met": {key: met(TARGETS, key, figures[key]) for key in TARGETS if key in figures},
        "details": details,
        "cores": os.cpu_count(),
        "seconds": round(time.monotonic() - started),
    }
    print(json.dumps(report))
    return 0


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.migrator", description=__doc__)
    parser.add_argument(
        "--only",
        action="append",
        choices=("stream", "rebuild", "share", "load"),
        help="measure this section; may be repeated",
    )
    parser.add_argument("--rounds", type=int, default=6, help="rounds of the share section")
    parser.add_argument("--window", type=float, default=20.0, help="seconds of load for each way in a round")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(asyncio.run(main(parse())))
