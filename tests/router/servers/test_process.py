from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from router.database import Connection
from router.errors import DatabaseError, ServerFailed
from router.model import Account, Address, Flavor, Server
from router.servers.process import LocalServer
from tests.support.servers import ADMIN, new_server, running_server, until

# What a program that is killed right after it has started a server does.
STARTER = """
import asyncio, sys
from pathlib import Path
from router.model import Flavor
from tests.support.servers import new_server
async def main():
    server = await new_server(Flavor(sys.argv[1]), Path(sys.argv[2]), production=False)
    await server.start()
    print(server.pid, flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


@pytest.fixture(params=list(Flavor), ids=str)
async def branch(request: pytest.FixtureRequest, server_folder: Path) -> AsyncIterator[LocalServer]:
    """A server of a branch that is not started yet, and is removed at the end."""
    directory = server_folder / f"branch-{time.monotonic_ns()}"
    server = await new_server(request.param, directory, production=False)
    yield server
    await server.remove()


async def test_a_started_server_answers_on_its_socket_and_its_port(
    server: LocalServer, database: str
) -> None:
    there = server.server
    tcp = Server(there.flavor, there.version, Address(port=server.port or 0), there.account)
    for place in (there, tcp):
        async with await Connection.open(place, database=database) as connection:
            version = await connection.fetch_value("SELECT VERSION()")
            assert version == there.version
            assert ("MariaDB" in version) is (server.programs.flavor is Flavor.MARIADB)
            assert await connection.fetch_value("SELECT DATABASE()") == database


async def test_production_options_give_a_durable_row_based_log_with_gtids(server: LocalServer) -> None:
    async with await Connection.open(server.server) as connection:
        variables = dict(await connection.fetch_all("SHOW GLOBAL VARIABLES"))
        expected = {
            "log_bin": "ON",
            "binlog_format": "ROW",
            "binlog_row_image": "FULL",
            "performance_schema": "ON",
        }
        assert {name: variables[name] for name in expected} == expected
        assert variables["secure_file_priv"] != "", "files of this machine must not be readable by SQL"
        if server.programs.flavor is Flavor.MYSQL:
            assert variables["gtid_mode"] == "ON"
            assert variables["innodb_log_writer_threads"] == "ON"


async def test_a_branch_does_not_listen_on_tcp(branch: LocalServer) -> None:
    await branch.start()
    async with await Connection.open(branch.server) as connection:
        assert await connection.fetch_value("SELECT @@skip_networking") == 1


async def test_what_was_written_survives_stop_and_kill(branch: LocalServer) -> None:
    await branch.start()
    async with await Connection.open(branch.server) as connection:
        await connection.execute("CREATE DATABASE kept")
        await connection.execute("CREATE TABLE kept.notes (id INT PRIMARY KEY)")
        await connection.execute("INSERT INTO kept.notes VALUES (1)")
    await branch.stop()
    assert branch.pid is None
    assert not await branch.running()
    await branch.start()
    async with await Connection.open(branch.server) as connection:
        await connection.execute("INSERT INTO kept.notes VALUES (2)")
    branch.kill()
    await until(lambda: branch.pid is None)
    assert not await branch.running()
    await branch.start()
    async with await Connection.open(branch.server) as connection:
        assert await connection.fetch_all("SELECT id FROM kept.notes") == [(1,), (2,)]


async def test_stopping_a_server_that_does_not_run_does_nothing(branch: LocalServer) -> None:
    await branch.stop()
    branch.kill()
    assert branch.pid is None


async def test_starting_twice_at_once_starts_one_process(branch: LocalServer) -> None:
    other = LocalServer(branch.programs, branch.directory, name="other", admin=ADMIN)
    await asyncio.gather(branch.start(), other.start())
    assert branch.pid is not None
    assert branch.pid == other.pid
    assert await other.running()


async def test_a_server_outlives_its_killed_starter_and_is_adopted(server_folder: Path) -> None:
    directory = server_folder / "adopted"
    command = [sys.executable, "-c", STARTER, "mariadb", str(directory)]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as starter:
        assert starter.stdout is not None
        pid = int(await asyncio.to_thread(starter.stdout.readline))
        starter.kill()
    server = await new_server(Flavor.MARIADB, directory, production=False)
    assert await server.running()
    await server.start()
    assert server.pid == pid
    await server.stop()
    assert server.pid is None
    await server.remove()


async def test_a_server_is_adopted_when_its_starter_died_before_noting_the_process_id(
    branch: LocalServer,
) -> None:
    await branch.start()
    pid = branch.pid
    (branch.directory / "headgate-server.pid").unlink()
    assert branch.pid is None
    await branch.start()
    assert branch.pid == pid


async def test_a_server_that_is_on_its_way_down_is_started_again(branch: LocalServer) -> None:
    await branch.start()
    first = branch.pid
    async with await Connection.open(branch.server) as connection:
        await connection.execute("SHUTDOWN")
    await branch.start()
    await until(lambda: branch.pid is not None)
    if branch.pid == first:  # it answered once more on its way down
        await until(lambda: branch.pid is None)
        await branch.start()
    assert branch.pid != first
    assert await branch.running()


async def test_the_process_id_of_another_program_is_not_taken_for_the_server(branch: LocalServer) -> None:
    (branch.directory / "headgate-server.pid").write_text(f"{os.getpid()}\n")
    assert branch.pid is None
    await branch.start()
    assert branch.pid not in (None, os.getpid())


async def test_a_failed_start_shows_the_end_of_the_log(server_folder: Path) -> None:
    for flavor in Flavor:
        options = {"no-such-option-at-all": "1"}
        server = await new_server(flavor, server_folder / f"failing-{flavor}", options=options)
        with pytest.raises(ServerFailed, match="no-such-option-at-all") as failure:
            await server.start()
        assert "ended while it was starting" in str(failure.value)
        assert ADMIN.password not in str(failure.value)
        await server.remove()


async def test_a_missing_data_directory_is_named(branch: LocalServer, tmp_path: Path) -> None:
    server = LocalServer(branch.programs, tmp_path / "nowhere", name="lost", admin=ADMIN)
    with pytest.raises(ServerFailed, match="no data directory"):
        await server.start()


async def test_a_wrong_admin_password_is_told_at_once(branch: LocalServer) -> None:
    await branch.start()
    wrong = LocalServer(branch.programs, branch.directory, name="x", admin=Account(ADMIN.user, "wrong"))
    with pytest.raises(ServerFailed, match="refuses the account 'tester'"):
        await wrong.start()


async def test_nobody_but_the_admin_can_log_in(branch: LocalServer) -> None:
    await branch.start()
    for account in (Account("root"), Account(""), Account("mariadb.sys"), Account("root", "invalid")):
        stranger = Server(branch.server.flavor, branch.server.version, branch.server.address, account)
        with pytest.raises(DatabaseError):
            await Connection.open(stranger)
    async with await Connection.open(branch.server) as connection:
        await connection.execute("CREATE USER 'granted'@'%' IDENTIFIED BY 'x'")
        await connection.execute("GRANT ALL PRIVILEGES ON *.* TO 'granted'@'%' WITH GRANT OPTION")
    assert not (branch.directory / "headgate-admin.sql").exists()


async def test_a_terminal_signal_to_the_starter_does_not_reach_the_server(branch: LocalServer) -> None:
    await branch.start()
    assert branch.pid is not None
    assert os.getsid(branch.pid) == branch.pid


async def test_a_starting_server_leaves_the_temporary_tables_of_others_alone(
    mariadb: LocalServer, server_folder: Path
) -> None:
    async with await Connection.open(mariadb.server) as connection:
        folder = Path(str(await connection.fetch_value("SELECT @@tmpdir")))
        theirs = folder / "#sql-temptable-1-1-1.MAI"
        theirs.touch()
        async with running_server(Flavor.MARIADB, server_folder / "neighbour", production=False):
            assert theirs.exists()
        theirs.unlink()


async def test_a_removed_server_leaves_nothing(server_folder: Path) -> None:
    async with running_server(Flavor.MARIADB, server_folder / "removed", production=False) as server:
        socket = Path(str(server.server.address.socket))
        await server.remove()
        assert server.pid is None
        assert not server.directory.exists()
        assert not socket.parent.exists()
