"""I run the control process: the service, its HTTP API, and their orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import Iterator

import structlog
import uvicorn
import uvloop

from conf.errors import ConfError
from conf.load import load
from conf.logs import set_up
from conf.settings import ControlSettings, Settings
from control.api.app import make_app
from control.assembly import open_service
from control.errors import LAST_WORDS, REFUSED, StartRefused, reason
from control.service import Service
from control.signals import until_told_to_end

log = structlog.get_logger()


def run(config: str) -> int:
    """Run control until SIGTERM or SIGINT and return the exit status."""
    # Until there is something to reload: its default is to end the process.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    settings = load(config or None)
    set_up(settings.log_level, "control")
    try:
        uvloop.run(_serve(settings, config))
    except StartRefused as error:
        log.error("control.refused", reason=str(error))
        leave_last_words(settings, str(error))
        return REFUSED
    return 0


async def _serve(settings: Settings, config: str) -> None:
    await until_told_to_end(_work(settings, config, listen(settings.control)))
    log.info("control.ended")


async def _work(settings: Settings, config: str, listener: socket.socket) -> None:
    async with open_service(settings, config) as service, asyncio.TaskGroup() as group:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, lambda: group.create_task(_reload(service)))
        http = _HttpServer(uvicorn.Config(make_app(service), log_config=None, lifespan="off"))
        group.create_task(service.run())
        log.info("control.ready", api=service.base_url)
        await http.serve(sockets=[listener])


async def _reload(service: Service) -> None:
    """Read the configuration again; what is wrong with it is logged, and then all stays as it is."""
    try:
        await service.reload()
    except ConfError as error:
        log.error("configuration.refused", mistakes=error.mistakes)
    except StartRefused as error:
        log.error("configuration.refused", mistakes=(str(error),))


class _HttpServer(uvicorn.Server):
    """Uvicorn without its own signal handling: the process has one place for that."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


def leave_last_words(settings: Settings, words: str) -> None:
    """Leave the reason of a refused start where the supervisor looks for it."""
    try:
        (settings.run_dir / LAST_WORDS).write_text(words)
    except OSError:
        sys.stderr.write(f"{words}\n")


def listen(settings: ControlSettings) -> socket.socket:
    """Return the socket of the HTTP API. Raises StartRefused when its port is taken."""
    try:
        return socket.create_server((settings.host, settings.port), backlog=128)
    except OSError as error:
        raise StartRefused(
            f"cannot listen on {settings.host}:{settings.port} for the HTTP API ({reason(error)}): "
            "stop what uses that port, or set HEADGATE_CONTROL_PORT"
        ) from error
