"""I set up structlog the same way in every process."""

from __future__ import annotations

import logging
import sys

import structlog


def set_up(level: str, process: str) -> None:
    """Write events to standard error: coloured lines to a terminal, one JSON object a line elsewhere.

    `process` (for example 'control' or 'worker 1') is bound to every event.
    """
    renderers: list[structlog.typing.Processor]
    if sys.stderr.isatty():
        # Plain tracebacks: the pretty ones show the values of variables, secrets among them.
        renderers = [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    else:
        renderers = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *renderers,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)
