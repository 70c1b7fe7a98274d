"""Processes end in order when the supervisor that started them dies."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

from conf.lifeline import SUPERVISOR

# A child that says when it holds the line, then ends in order at SIGTERM.
CHILD = """
import signal, sys, time
from conf.lifeline import hold
signal.signal(signal.SIGTERM, lambda *_: (print("in order", flush=True), sys.exit()))
hold()
print("holding", flush=True)
time.sleep(60)
"""

PARENT = """
import os, subprocess, sys
child = subprocess.Popen(
    [sys.executable, "-c", sys.argv[1]], env={**os.environ, "HEADGATE_SUPERVISOR_PID": str(os.getpid())}
)
child.wait()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="prctl(2) is Linux's")
def test_a_killed_supervisor_takes_its_children_with_it_in_order() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PARENT), textwrap.dedent(CHILD)],
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "holding\n"
        parent.kill()
        # The pipe ends when the child, too, is gone.
        assert parent.stdout.read() == "in order\n"


@pytest.mark.skipif(sys.platform != "linux", reason="prctl(2) is Linux's")
def test_a_process_whose_supervisor_died_before_it_could_hold_on_does_not_start() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from conf.lifeline import hold; hold(); print('started')"],
        env={**os.environ, SUPERVISOR: "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "the supervisor is gone" in done.stderr
    assert "started" not in done.stdout


def test_without_a_supervisor_nothing_happens() -> None:
    environment = {key: value for key, value in os.environ.items() if key != SUPERVISOR}
    done = subprocess.run(
        [sys.executable, "-c", "from conf.lifeline import hold; hold(); print('started')"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "started\n"
