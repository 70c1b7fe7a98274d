"""The compiled form must never stand for sources it was not made of, and must do what they do."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from proxy.compiled import BUILD, ROOT, SOURCES, compiled_files, digest

SUFFIX = EXTENSION_SUFFIXES[0]
SANS_IO = (
    "tests/proxy/test_pins.py",
    "tests/proxy/test_preparation.py",
    "tests/proxy/test_prepared.py",
    "tests/proxy/test_session.py",
    "tests/proxy/test_stats.py",
    "tests/proxy/wire/test_execute.py",
    "tests/proxy/wire/test_framing.py",
    "tests/proxy/wire/test_packets.py",
    "tests/proxy/wire/test_primitives.py",
    "tests/proxy/wire/test_response.py",
    "tests/proxy/wire/test_response_tracked.py",
    "tests/proxy/wire/test_session_state.py",
)
_SHOW = "import proxy.wire.response, proxy.wire.framing as b; print(proxy.wire.response.__file__, b.__file__)"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A tree with one source, and a build of it."""
    (tmp_path / "proxy").mkdir()
    source = tmp_path / "proxy" / "a.py"
    source.write_text("A = 1\n")
    build = tmp_path / "build" / "proxy"
    build.mkdir(parents=True)
    (build / f"a{SUFFIX}").touch()
    (build.parent / SOURCES).write_text(json.dumps({"proxy/a.py": digest(source)}))
    return tmp_path


def test_a_build_of_the_present_sources_is_taken(root: Path) -> None:
    build = root / "build"
    assert compiled_files(build, root) == {"proxy.a": build / "proxy" / f"a{SUFFIX}"}


def test_a_build_of_other_sources_is_not_taken(root: Path) -> None:
    (root / "proxy" / "a.py").write_text("A = 2\n")
    assert compiled_files(root / "build", root) == {}


def test_a_build_whose_source_is_gone_is_not_taken(root: Path) -> None:
    (root / "proxy" / "a.py").unlink()
    assert compiled_files(root / "build", root) == {}


@pytest.mark.parametrize("listed", ["", "[]"])
def test_a_build_without_a_list_is_not_taken(root: Path, listed: str) -> None:
    (root / "build" / SOURCES).write_text(listed)
    assert compiled_files(root / "build", root) == {}
    (root / "build" / SOURCES).unlink()
    assert compiled_files(root / "build", root) == {}


def test_a_build_for_another_python_is_not_taken(root: Path) -> None:
    (root / "build" / "proxy" / f"a{SUFFIX}").rename(root / "build" / "proxy" / "a.cpython-27-other.so")
    assert compiled_files(root / "build", root) == {}


def test_plain_python_can_be_asked_for() -> None:
    environment = {**os.environ, "HEADGATE_PURE": "1"}
    shown = subprocess.run(
        [sys.executable, "-c", _SHOW], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    files = [Path(file) for file in shown.stdout.split()]
    assert files == [ROOT / "proxy/wire/response.py", ROOT / "proxy/wire/framing.py"]


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_these_tests_run_the_compiled_form() -> None:
    assert compiled_files(BUILD, ROOT), "nothing is compiled of the present sources: make compiled"


def test_plain_python_passes_the_same_tests() -> None:
    environment = {**os.environ, "HEADGATE_PURE": "1"}
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *SANS_IO],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-3000:]
