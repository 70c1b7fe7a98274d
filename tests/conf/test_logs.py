"""What is logged, and how."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator

import pytest
import structlog

from conf.logs import set_up


class Terminal(io.StringIO):
    """A standard error stream that somebody looks at, or not."""

    def __init__(self, *, is_terminal: bool) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def log_to(monkeypatch: pytest.MonkeyPatch, level: str, *, is_terminal: bool) -> Terminal:
    stream = Terminal(is_terminal=is_terminal)
    monkeypatch.setattr(sys, "stderr", stream)
    set_up(level, "worker 3")
    return stream


def fail() -> None:
    secret = "hg_pw_" + "a" * 36
    raise ValueError(f"a secret of {len(secret)} characters")


def test_programs_get_one_json_object_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = log_to(monkeypatch, "info", is_terminal=False)
    structlog.get_logger().info("worker.joined", pid=7)
    structlog.get_logger().debug("nobody.asked")
    (line,) = stream.getvalue().splitlines()
    event = json.loads(line)
    assert (event["event"], event["pid"], event["level"]) == ("worker.joined", 7, "info")
    assert event["process"] == "worker 3"
    assert event["timestamp"].endswith("Z")


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_traceback_shows_no_values_of_variables(monkeypatch: pytest.MonkeyPatch, is_terminal: bool) -> None:
    stream = log_to(monkeypatch, "error", is_terminal=is_terminal)
    try:
        fail()
    except ValueError as error:
        structlog.get_logger().error("api.failed", exc_info=error)
    text = stream.getvalue()
    assert "a secret of 42 characters" in text
    assert "in fail" in text
    assert "hg_pw_aaa" not in text
