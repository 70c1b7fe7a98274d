"""I am a pytest plugin that gives tests that failed beside the others a second chance: their files, alone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Sequence

import pytest

ALLOWED = "HEADGATE_ALONE"
"""How many tests may fail beside the others and be tried once more; nothing is tried again without it."""

_PHASES = frozenset({"setup", "call", "teardown"})


def files_to_repeat(failed: Iterable[str], allowed: int) -> Sequence[str]:
    """Name the files of failed tests, each once and in order; none when too many tests failed."""
    tests = list(dict.fromkeys(failed))
    return list(dict.fromkeys(test.partition("::")[0] for test in tests)) if len(tests) <= allowed else []


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
) -> None:
    """Run what failed once more, after the failures are printed; the run is green if all of it passes."""
    # Any other status than this one means that not everything was run.
    if exitstatus != pytest.ExitCode.TESTS_FAILED or ALLOWED not in os.environ:
        return
    stats = terminalreporter.stats
    reports = [*stats.get("failed", []), *stats.get("error", [])]
    files = files_to_repeat((report.nodeid for report in reports), int(os.environ[ALLOWED]))
    # A worker that crashed, and a file that cannot be read, leave tests out that nobody counts.
    if not files or any(report.when not in _PHASES for report in reports):
        return
    terminalreporter.section("once more, alone: " + ", ".join(files))
    terminalreporter.flush()
    alone = {name: value for name, value in os.environ.items() if name != ALLOWED}
    # Whole files, because some tell one story in several tests.
    command = [sys.executable, "-m", "pytest", *files]
    if subprocess.run(command, cwd=config.rootpath, env=alone, check=False).returncode != pytest.ExitCode.OK:
        return
    terminalreporter.section("failed beside the others, passed alone", sep="!", yellow=True, bold=True)
    for report in reports:
        terminalreporter.line(f"FLAKY {report.nodeid}", yellow=True)
    stats["passed alone"] = [*stats.pop("failed", []), *stats.pop("error", [])]
    session = terminalreporter._session
    assert session is not None
    session.exitstatus = pytest.ExitCode.OK
