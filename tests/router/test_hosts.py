"""Local servers: made, woken, put to sleep and deleted, whatever happens at the same time."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from conf.settings import run_dir
from router.database import Connection
from router.errors import ServerFailed
from router.hosts import LocalHost
from router.model import Flavor, Server
from router.servers.programs import default_cache, find_server
from tests.support.servers import ADMIN, remove_servers, until


@pytest.fixture
async def host(request: pytest.FixtureRequest, server_folder: Path) -> AsyncIterator[LocalHost]:
    """Of the family that starts faster, unless a test asks for both."""
    flavor = getattr(request, "param", Flavor.MARIADB)
    folder = server_folder / f"host-{flavor}"
    yield LocalHost(await find_server(flavor), folder, default_cache(), ADMIN)
    remove_servers(folder)


def pid(host: LocalHost, name: str) -> int | None:
    return host._local(name).pid


async def asked(server: Server, sql: str) -> object:
    async with await Connection.open(server) as connection:
        return await connection.fetch_value(sql)


def starts_told_in_log(host: LocalHost) -> int:
    return host._local("a").log.read_text(errors="replace").lower().count("ready for connections")


@pytest.mark.parametrize("host", list(Flavor), ids=str, indirect=True)
async def test_a_server_is_made_sleeps_wakes_with_its_data_and_is_deleted(host: LocalHost) -> None:
    assert (host.names(), host.server("a"), host.exists("a"), host.asleep("a")) == ([], None, False, True)
    server = await host.wake("a")
    assert (host.names(), host.asleep("a")) == (["a"], False)
    assert host.server("a") == server
    await asked(server, "CREATE DATABASE kept")
    await host.sleep("a")
    assert host.asleep("a")
    assert host.exists("a")
    again = await host.wake("a")
    assert await asked(again, "SHOW DATABASES LIKE 'kept'") == "kept"
    folder = run_dir(host._directory / "a")
    await host.delete("a")
    assert (host.names(), host.server("a"), host.asleep("a")) == ([], None, True)
    assert not folder.exists()
    assert list(host._directory.iterdir()) == []
    await host.delete("a")


async def test_logins_that_come_together_start_one_process(host: LocalHost) -> None:
    await host.wake("a")
    await host.sleep("a")
    starts = starts_told_in_log(host)
    servers = await asyncio.gather(*(host.wake("a") for _ in range(5)))
    assert len(set(servers)) == 1
    assert await asked(servers[0], "SELECT 1") == 1
    assert starts_told_in_log(host) == starts + 1


async def test_a_server_woken_before_its_sleep_had_its_turn_is_not_stopped(host: LocalHost) -> None:
    await host.wake("a")
    before = pid(host, "a")
    used = False

    async def wake() -> None:
        nonlocal used
        await host.wake("a")
        used = True

    # The wake is first in line; the sleep that was decided on before it looks again.
    await asyncio.gather(wake(), host.sleep("a", unless=lambda: used))
    assert pid(host, "a") == before


async def test_a_server_that_was_killed_is_asleep_and_wakes_again(host: LocalHost) -> None:
    await host.wake("a")
    host._local("a").kill()
    server = await host.wake("a")
    assert await asked(server, "SELECT 1") == 1


async def test_a_server_left_running_is_taken_over_by_the_next_process(host: LocalHost) -> None:
    await host.wake("a")
    before = pid(host, "a")
    successor = LocalHost(host.programs, host._directory, default_cache(), ADMIN)
    assert not successor.asleep("a")
    await successor.wake("a")
    assert pid(successor, "a") == before
    await successor.stop_all()
    assert host.asleep("a")


async def test_leftovers_of_crashed_deletes_are_no_servers_and_go_with_the_next_start(
    host: LocalHost,
) -> None:
    await host.remove_leftovers()
    await host.wake("a")
    await host.sleep("a")
    shutil.copytree(host._directory / "a", host._directory / ".b.removed")
    assert host.names() == ["a"]
    await host.remove_leftovers()
    assert [path.name for path in host._directory.iterdir()] == ["a"]
    assert not host.exists("b")


async def test_at_the_end_everything_stops_and_nothing_wakes_again(host: LocalHost) -> None:
    await asyncio.gather(host.wake("a"), host.wake("b"))
    await asyncio.gather(host.stop_all(), *(refused(host, name) for name in ("a", "b", "c")))
    assert host.asleep("a")
    assert host.asleep("b")
    assert host.names() == ["a", "b"]


async def refused(host: LocalHost, name: str) -> None:
    await asyncio.sleep(0)
    with pytest.raises(ServerFailed, match="Headgate is stopping"):
        await host.wake(name)


@pytest.mark.parametrize("host", list(Flavor), ids=str, indirect=True)
async def test_a_start_that_is_cancelled_leaves_no_process_and_the_next_one_works(host: LocalHost) -> None:
    waking = asyncio.ensure_future(host.wake("a"))
    await until(lambda: host.exists("a") and pid(host, "a") is not None)
    waking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waking
    await until(lambda: pid(host, "a") is None)
    assert await asked(await host.wake("a"), "SELECT 1") == 1
