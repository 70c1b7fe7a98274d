"""The socket folder is this user's own, or there is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from conf.settings import run_dir


def test_it_is_private_and_found_again(tmp_path: Path) -> None:
    folder = run_dir(tmp_path / "state")
    try:
        assert folder.stat().st_mode & 0o777 == 0o700
        assert run_dir(tmp_path / "state") == folder
    finally:
        folder.rmdir()


@pytest.mark.parametrize(
    "squat",
    [
        lambda place, elsewhere: place.symlink_to(elsewhere),
        lambda place, elsewhere: place.symlink_to(elsewhere / "nowhere"),
        lambda place, elsewhere: place.write_text("x"),
        lambda place, elsewhere: (place.mkdir(), place.chmod(0o777)),
    ],
    ids=["link", "dangling link", "file", "open folder"],
)
def test_a_name_that_somebody_else_took_is_refused(
    tmp_path: Path, squat: Callable[[Path, Path], object]
) -> None:
    place = run_dir(tmp_path / "state")
    place.rmdir()
    squat(place, tmp_path)
    try:
        with pytest.raises(PermissionError, match="not a private folder"):
            run_dir(tmp_path / "state")
    finally:
        if place.is_dir() and not place.is_symlink():
            place.rmdir()
        else:
            place.unlink()
