from __future__ import annotations

import asyncio
import errno
import shutil
from pathlib import Path

import pytest

from router.errors import ServerFailed
from router.model import Account, Flavor
from router.servers import template
from router.servers.programs import Programs, default_cache, find_server
from router.servers.template import ADMIN_FILE, admin_statements, make_data_directory

ADMIN = Account("o'neill", "back\\slash and 'quote'")


@pytest.fixture(params=list(Flavor), ids=str)
async def programs(request: pytest.FixtureRequest) -> Programs:
    return await find_server(request.param)


async def test_the_second_data_directory_is_copied_from_the_same_template(
    programs: Programs, tmp_path: Path
) -> None:
    await make_data_directory(programs, tmp_path / "first", admin=ADMIN, cache=default_cache())
    templates = {path: path.stat().st_ino for path in default_cache().glob("template-*")}
    await make_data_directory(programs, tmp_path / "second", admin=ADMIN, cache=default_cache())
    assert {path: path.stat().st_ino for path in default_cache().glob("template-*")} == templates


async def test_a_template_is_made_once_by_two_that_need_it_at_once(
    programs: Programs, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    await asyncio.gather(
        *(make_data_directory(programs, tmp_path / f"data{i}", admin=ADMIN, cache=cache) for i in range(2))
    )
    assert [path.is_dir() for path in cache.glob("template-*")] == [True]
    assert not [path for path in cache.iterdir() if path.is_dir() and path.name.startswith(".")]
    assert (tmp_path / "data1" / ADMIN_FILE).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "data1").stat().st_mode & 0o077 == 0
    assert not (tmp_path / "data1" / "auto.cnf").exists(), "two servers must not share a UUID"


async def test_a_data_directory_that_exists_is_left_alone(programs: Programs, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "precious").touch()
    await make_data_directory(programs, tmp_path / "data", admin=ADMIN, cache=default_cache())
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["precious"]


async def test_a_full_disk_leaves_no_half_made_data_directory(
    programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_data_directory(programs, tmp_path / "warm", admin=ADMIN, cache=default_cache())
    copied = 0
    original = shutil.copyfile

    def fill_up(source: Path, target: Path) -> Path:
        nonlocal copied
        copied += 1
        if copied > 3:
            raise OSError(errno.ENOSPC, "No space left on device", str(target))
        return original(source, target)

    monkeypatch.setattr(template.shutil, "copyfile", fill_up)
    with pytest.raises(ServerFailed, match="No space left on device"):
        await make_data_directory(programs, tmp_path / "data", admin=ADMIN, cache=default_cache())
    assert [path.name for path in tmp_path.iterdir()] == ["warm"]


async def test_a_failed_initialisation_leaves_no_template_and_says_why(
    programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(template, "MYSQL_OPTIONS", ("--initialize-insecure", "--no-such-option"))
    monkeypatch.setattr(template, "MARIADB_OPTIONS", ("--bootstrap", "--no-such-option"))
    with pytest.raises(ServerFailed, match="no-such-option"):
        await make_data_directory(programs, tmp_path / "data", admin=ADMIN, cache=tmp_path / "cache")
    assert not (tmp_path / "data").exists()
    assert not [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]


async def test_what_a_killed_maker_left_is_removed(programs: Programs, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    await make_data_directory(programs, tmp_path / "one", admin=ADMIN, cache=cache)
    made = next(cache.glob("template-*"))
    leftover = cache / f".{made.name}.abandoned"
    made.rename(leftover)
    await make_data_directory(programs, tmp_path / "two", admin=ADMIN, cache=cache)
    assert made.is_dir()
    assert not leftover.exists()


def test_names_and_passwords_are_quoted_and_kept_out_of_the_binary_log() -> None:
    lines = admin_statements(ADMIN).splitlines()
    assert lines[0] == "SET SESSION sql_log_bin = 0;"
    assert lines[1] == (
        r"CREATE USER IF NOT EXISTS 'o''neill'@'%' IDENTIFIED BY 'back\\slash and ''quote''';"
    )
    with pytest.raises(ValueError, match="one line"):
        admin_statements(Account("a", "two\nlines"))
