from __future__ import annotations

import asyncio
import signal
from dataclasses import replace
from pathlib import Path

from proxy import channel
from proxy.wire.constants import Command
from router.model import Branch
from router.servers.process import LocalServer
from tests.support.proxy import production, running_proxy, start_worker, user
from tests.support.raw_client import RawClient, raw_client


async def test_sigterm_lets_transactions_finish(server: LocalServer, tmp_path: Path) -> None:
    async with running_proxy(tmp_path, [production(server.server, "mysql")], [user()]) as proxy:
        async with raw_client(proxy.port) as idle, raw_client(proxy.port) as busy:
            await busy.query("BEGIN")
            await idle.query("SELECT 1")
            proxy.processes[0].send_signal(signal.SIGTERM)
            assert await idle.gone()
            assert await busy.query("SELECT 2") == [[b"2"]]
            await busy.query("COMMIT")
            assert await busy.gone()
        async with asyncio.timeout(120):
            assert await proxy.processes[0].wait() == 0


async def test_control_can_order_the_drain(server: LocalServer, tmp_path: Path) -> None:
    async with running_proxy(tmp_path, [production(server.server, "mysql")], [user()]) as proxy:
        proxy.control.send(channel.Drain())
        async with asyncio.timeout(120):
            assert await proxy.processes[0].wait() == 0


async def test_a_killed_worker_costs_only_its_own_clients(server: LocalServer, tmp_path: Path) -> None:
    branches = [production(server.server, "mysql")]
    async with running_proxy(tmp_path, branches, [user()], workers=2) as proxy:
        clients = [await RawClient.connect(proxy.port) for _ in range(16)]
        proxy.processes[0].kill()
        await proxy.processes[0].wait()
        alive = 0
        for client in clients:
            try:
                assert await client.query("SELECT 1") == [[b"1"]]
                alive += 1
            except ConnectionError:
                pass
            client.close()
        assert 0 < alive < 16
        async with raw_client(proxy.port) as client:
            assert await client.query("SELECT 1") == [[b"1"]]


async def test_a_worker_serves_on_while_control_is_gone(server: LocalServer, tmp_path: Path) -> None:
    async with running_proxy(tmp_path, [production(server.server, "mysql")], [user()]) as proxy:
        [first] = proxy.control.all(channel.Hello)
        proxy.control.received.clear()
        proxy.control.hang_up()
        async with raw_client(proxy.port) as client:
            assert await client.query("SELECT 1") == [[b"1"]]
        assert await proxy.control.wait_for(channel.Hello) == first


async def test_a_branch_that_sleeps_is_woken_by_a_login(server: LocalServer, tmp_path: Path) -> None:
    asleep = Branch("shop", "dev", "mysql", False, False, True, None)
    branches = [production(server.server, "mysql"), asleep]
    async with running_proxy(tmp_path, branches, [user()]) as proxy:
        proxy.control.wake = lambda request: channel.WakeAnswer(request.request, server.server)
        async with raw_client(proxy.port, user="app.dev") as client:
            assert await client.query("SELECT 1") == [[b"1"]]
        assert proxy.control.all(channel.WakeRequest)[0].branch == "dev"


async def test_new_routes_take_effect_and_cut_off_what_is_gone(server: LocalServer, tmp_path: Path) -> None:
    main = production(server.server, "mysql")
    dev = replace(main, name="dev", production=False, safe_migrations=False)
    async with running_proxy(tmp_path, [main, dev], [user()]) as proxy:
        async with raw_client(proxy.port) as stays, raw_client(proxy.port, user="app.dev") as goes:
            await goes.query("SELECT 1")
            await proxy.publish([main], [user()])
            assert await goes.gone()
            assert await stays.query("SELECT 1") == [[b"1"]]
        async with raw_client(proxy.port) as client:
            await proxy.publish([replace(main, safe_migrations=False)], [user()])
            async with asyncio.timeout(120):
                while (await client.error(Command.QUERY, b"CREATE TABLE a.b.c")).errno == 1105:
                    pass
            await proxy.publish([main], [user()])
            assert await client.gone(), "it could send several statements at once"


async def test_a_user_who_is_gone_or_changed_is_cut_off(server: LocalServer, tmp_path: Path) -> None:
    users = [user("stays"), user("goes"), user("changes")]
    main = production(server.server, "mysql")
    async with (
        running_proxy(tmp_path, [main], users) as proxy,
        raw_client(proxy.port, user="stays") as stays,
        raw_client(proxy.port, user="goes") as goes,
        raw_client(proxy.port, user="changes") as changes,
    ):
        await proxy.publish([main], [users[0], replace(users[2], verifier=bytes(32))])
        assert await goes.gone()
        assert await changes.gone()
        assert await stays.query("SELECT 1") == [[b"1"]]


async def test_sessions_of_a_branch_or_user_can_be_killed(server: LocalServer, tmp_path: Path) -> None:
    users = [user("one"), user("two")]
    async with (
        running_proxy(tmp_path, [production(server.server, "mysql")], users) as proxy,
        raw_client(proxy.port, user="one") as one,
        raw_client(proxy.port, user="two") as two,
    ):
        proxy.control.send(channel.KillSessions("shop", "main", "one"))
        assert await one.gone()
        assert await two.query("SELECT 1") == [[b"1"]]
        proxy.control.send(channel.KillSessions("shop", "main"))
        assert await two.gone()


async def test_a_silent_client_is_disconnected(server: LocalServer, tmp_path: Path) -> None:
    environment = {"HEADGATE_PROXY_WAIT_TIMEOUT_S": "1"}
    branches = [production(server.server, "mysql")]
    async with (
        running_proxy(tmp_path, branches, [user()], environment=environment) as proxy,
        raw_client(proxy.port) as client,
    ):
        assert await client.query("SELECT SLEEP(1.5)") == [[b"0"]]
        assert await client.gone()


async def test_a_configuration_with_mistakes_is_told_and_ends(tmp_path: Path) -> None:
    process = await start_worker(0, {"HEADGATE_PROXY_PORT": "seven", "HEADGATE_PROXY_WORKERS": "0"})
    assert await process.wait() == 2
