"""A control process that is over ends, whatever threads it has left behind."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.servers import HANGS_S

PROGRAM = """
import runpy, sys, threading
import control.server

def run(config):
    threading.Thread(target=threading.Event().wait).start()
    {end}

control.server.run = run
sys.argv = ["control"]
runpy.run_module("control", run_name="__main__")
"""


@pytest.mark.parametrize(
    ("end", "status", "told"),
    [
        ("return 0", 0, ""),
        ("return 3", 3, ""),
        ("raise ValueError('unforeseen')", 1, "ValueError: unforeseen"),
    ],
)
def test_a_thread_that_waits_for_ever_keeps_no_control_process(end: str, status: int, told: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(end=end)],
        capture_output=True,
        text=True,
        timeout=HANGS_S,
        check=False,
    )
    assert ended.returncode == status
    assert told in ended.stderr
