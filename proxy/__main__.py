"""I am `python -m proxy`: one worker process."""

from __future__ import annotations

import argparse
import socket
import sys
from collections.abc import Sequence

import structlog
import uvloop

from conf.errors import ConfError
from conf.lifeline import hold
from conf.load import load
from conf.logs import set_up
from proxy.worker import Worker


async def _run(config: str | None, number: int, listening: Sequence[socket.socket]) -> int:
    settings = load(config)
    set_up(settings.log_level, f"worker {number}")
    failed = False
    try:
        await Worker(settings, number, listening).run()
    except* OSError as errors:
        failed = True
        for error in errors.exceptions:
            structlog.get_logger().error("worker.failed", reason=str(error))
    return int(failed)


def main() -> int:
    """Run a worker until it is told to end."""
    parser = argparse.ArgumentParser(prog="python -m proxy", description="One proxy worker of Headgate.")
    parser.add_argument("--config", default="", help="configuration file; empty: defaults and environment")
    parser.add_argument("--worker", type=int, default=0, help="number of this worker")
    parser.add_argument(
        "--listen", type=int, nargs="*", default=[], help="descriptors of the sockets that all workers share"
    )
    arguments = parser.parse_args()
    hold()
    listening = [socket.socket(fileno=descriptor) for descriptor in arguments.listen]
    try:
        return uvloop.run(_run(arguments.config or None, arguments.worker, listening))
    except ConfError as error:
        sys.stderr.write(f"{error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
