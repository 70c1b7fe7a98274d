"""One Headgate a state folder, and nobody else's eyes on it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from control.errors import StartRefused
from control.owner import sole_owner


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    """The umask most people have, and afterwards the one there was."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_a_second_owner_is_refused(tmp_path: Path) -> None:
    with sole_owner(tmp_path), pytest.raises(StartRefused, match="another Headgate"), sole_owner(tmp_path):
        pass
    with sole_owner(tmp_path):
        pass


def test_nothing_made_in_a_folder_open_to_all_can_be_read_by_others(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    state.chmod(0o755)
    with sole_owner(state):
        (state / "state.db").write_text("x")
        (state / "logs").mkdir()
    assert [oct(path.stat().st_mode & 0o077) for path in state.iterdir()] == ["0o0"] * 3
