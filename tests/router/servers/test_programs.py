from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from router.errors import ServerNotFound
from router.model import Flavor
from router.servers import packages, programs
from router.servers.programs import default_cache, find_program, find_server, launch


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without any server: nothing on PATH, nothing in system folders, an empty cache."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(programs, "SYSTEM_FOLDERS", ())
    (tmp_path / "bin").mkdir()
    return tmp_path


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


async def test_without_any_server_the_error_names_the_ways_to_get_one(bare: Path) -> None:
    for fetch in (True, False):
        with pytest.raises(ServerNotFound) as failure:
            await find_server(Flavor.MYSQL, fetch=fetch, cache=bare / "cache")
        text = str(failure.value)
        assert "PATH" in text
        assert "HEADGATE_SERVERS_PROGRAM" in text
        assert "Debian" in text
        assert ("switched off" in text) is not fetch


async def test_a_machine_that_is_no_debian_is_told_so(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "read_distribution", lambda: None)
    with pytest.raises(ServerNotFound, match="no apt"):
        await find_server(Flavor.MARIADB, cache=bare / "cache")


async def test_a_server_on_path_is_preferred_to_the_cache(bare: Path) -> None:
    script(bare / "bin/mysqld", 'echo "/usr/sbin/mysqld  Ver 8.4.3 for Linux on x86_64 (MySQL)"')
    found = await find_server(Flavor.MYSQL, cache=bare / "cache")
    assert (found.version, found.root) == ("8.4.3", None)
    assert found.server("--x") == [str(bare / "bin/mysqld"), "--no-defaults", "--x"]
    assert found.command("mysql", "-e") == ["mysql", "-e"]


async def test_a_mariadb_named_mysqld_is_not_taken_for_mysql(bare: Path) -> None:
    script(bare / "bin/mysqld", 'echo "mysqld  Ver 10.11.6-MariaDB-0 for debian-linux-gnu"')
    with pytest.raises(ServerNotFound):
        await find_server(Flavor.MYSQL, cache=bare / "cache")
    assert (await find_server(Flavor.MARIADB, cache=bare / "cache")).version == "10.11.6-MariaDB-0"


async def test_a_configured_program_is_used_or_refused_never_replaced(bare: Path) -> None:
    own = script(bare / "own-mysqld", 'echo "mysqld  Ver 9.1.0 for Linux on x86_64"')
    found = await find_server(Flavor.MYSQL, configured=str(own))
    assert (found.version, found.server_program) == ("9.1.0", own)
    with pytest.raises(ServerNotFound, match="no mariadb server"):
        await find_server(Flavor.MARIADB, configured=str(own))
    with pytest.raises(ServerNotFound, match="which is no program"):
        await find_server(Flavor.MYSQL, configured=str(bare / "missing"))


async def test_a_broken_tree_in_the_cache_is_named(bare: Path) -> None:
    folder = bare / "cache/mysql/usr/sbin"
    folder.mkdir(parents=True)
    for _ in range(2):
        with pytest.raises(ServerNotFound, match=f"{bare}/cache/mysql do not run on this machine"):
            await find_server(Flavor.MYSQL, fetch=False, cache=bare / "cache")
        script(folder / "mysqld", "exit 1")


@pytest.mark.parametrize("flavor", list(Flavor), ids=str)
async def test_programs_of_a_tree_run_with_its_own_libraries(flavor: Flavor) -> None:
    found = await find_server(flavor)
    client = "mysql" if flavor is Flavor.MYSQL else "mariadb"
    for command in (found.server("--version"), found.command(client, "--version")):
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        output, _ = await process.communicate()
        assert process.returncode == 0
        assert found.version.split("-")[0].encode() in output


def test_a_script_runs_with_the_interpreter_of_its_tree(tmp_path: Path) -> None:
    for name in ("lib64/ld-linux-x86-64.so.2", "usr/bin/perl", "usr/share/perl5/A.pm"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    tool = script(tmp_path / "usr/bin/tool", "")
    tool.write_text("#!/usr/bin/env perl\n")
    command = launch(tmp_path, find_program(tmp_path, "tool"))
    assert command[0] == str(tmp_path / "lib64/ld-linux-x86-64.so.2")
    assert command[3:] == [str(tmp_path / "usr/bin/perl"), f"-I{tmp_path}/usr/share/perl5", str(tool)]
    with pytest.raises(ServerNotFound, match="no program 'other'"):
        find_program(tmp_path, "other")


def test_the_cache_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert default_cache() == Path("/elsewhere/headgate")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative is not allowed there")
    monkeypatch.setenv("HOME", "/home/someone")
    assert default_cache() == Path("/home/someone/.cache/headgate")
