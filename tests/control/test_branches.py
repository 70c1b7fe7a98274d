"""Branches on real local servers: made whole or not at all, woken, put to sleep, deleted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from conf.settings import ServersSettings
from control import making
from control import sleep as module
from control.branches import Branches
from control.errors import ControlError, NotFound
from control.production import Production
from control.sleep import Sleep
from control.standing import check_deletable
from migrator.deploy.settings import DatabaseSettings
from router.database import Connection
from router.errors import DatabaseError, RouteError, ServerFailed, UnknownBranch
from router.hosts import LocalHost
from router.model import Account, Flavor, PoolMode
from router.records import BranchState
from router.servers.process import LocalServer
from router.servers.programs import default_cache, find_server
from router.state import open_state
from router.store import BranchStore
from tests.support.servers import ADMIN, fresh_schema, remove_servers, until

ACCOUNT = Account("headgate_branch", "secret of branches")


@dataclass
class Bench:
    """Branches, and what a test turns to change or watch them."""

    host: LocalHost
    store: BranchStore
    production: Production
    clients: dict[str, int] = field(default_factory=dict)
    changes: int = 0
    branches: Branches = field(init=False)

    def __post_init__(self) -> None:
        self.branches = self.again()

    @property
    def schema(self) -> str:
        return self.production.schema

    def again(self, sleep_after_s: float = 600.0) -> Branches:
        """The branches as the next control process finds them."""
        return Branches(
            ServersSettings(sleep_after_s=sleep_after_s),
            self.store,
            self.host,
            self.production,
            ACCOUNT,
            changed=self._note_change,
        )

    def connections(self, database: str, branch: str) -> int:
        return self.clients.get(branch, 0)

    async def _note_change(self) -> None:
        self.changes += 1


async def nothing_needed() -> tuple[str, ...]:
    return ()


@pytest.fixture
async def bench(
    request: pytest.FixtureRequest,
    mysql: LocalServer,
    mariadb: LocalServer,
    server_folder: Path,
    tmp_path: Path,
) -> AsyncIterator[Bench]:
    """On the family that starts faster, unless a test asks for both."""
    flavor = getattr(request, "param", Flavor.MARIADB)
    local = mariadb if flavor is Flavor.MARIADB else mysql
    folder = server_folder / "branches"
    engine = open_state(tmp_path / "state.db")
    store = BranchStore(engine)
    await store.prepare()
    host = LocalHost(await find_server(flavor), folder, default_cache(), ADMIN)
    async with fresh_schema(local, "br%") as schema:
        async with await Connection.open(local.server, database=schema) as connection:
            await connection.execute("CREATE TABLE t (id INT PRIMARY KEY)")
            await connection.execute("CREATE VIEW v AS SELECT id FROM t")
        bench = Bench(host, store, Production("shop", schema, local.server, local.server))
        await bench.branches.prepare()
        yield bench
    await engine.dispose()
    remove_servers(folder)


@pytest.mark.parametrize("bench", list(Flavor), ids=str, indirect=True)
async def test_a_branch_is_made_with_its_parents_schema_and_reached_by_its_own_account(bench: Bench) -> None:
    made = await bench.branches.create("add-phone")
    assert (made.state, made.parent, made.production) == (BranchState.READY, "main", False)
    assert bench.changes
    server = await bench.branches.wake("add-phone")
    assert server.account == ACCOUNT
    async with await Connection.open(server, database=bench.schema) as connection:
        tables = {str(name) for (name,) in await connection.fetch_all("SHOW TABLES")}
        assert tables == {"t", "v"}
        await connection.execute("ALTER TABLE t ADD COLUMN phone VARCHAR(32)")
        # What came from production belongs to the branch's user too.
        await connection.execute("ALTER VIEW v AS SELECT id + 1 AS id FROM t")
        await connection.execute("DROP VIEW v")
        with pytest.raises(DatabaseError):
            await connection.execute("CREATE DATABASE elsewhere")
    base, present = await bench.branches.base("add-phone"), await bench.branches.read("add-phone")
    assert base.tables == (await bench.branches.read("main")).tables
    assert base.tables != present.tables
    grandchild = await bench.branches.create("deeper", "add-phone")
    assert grandchild.parent == "add-phone"
    assert (await bench.branches.base("deeper")).tables == present.tables
    await bench.branches.delete("add-phone")
    assert [record.name for record in await bench.branches.all()] == ["main", "deeper"]
    assert len(bench.host.names()) == 1


async def test_the_production_branch_is_made_once(bench: Bench) -> None:
    await bench.again().prepare()
    (main,) = await bench.branches.all()
    assert (main.name, main.production, main.safe_migrations) == ("main", True, True)
    assert await bench.branches.wake("main") == bench.branches.production.traffic
    with pytest.raises(ControlError, match="no base to compare with"):
        await bench.branches.base("main")
    with pytest.raises(ControlError, match="it cannot be deleted"):
        check_deletable(main, DatabaseSettings())


async def test_a_branch_that_cannot_be_made_leaves_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise DatabaseError(1114, "the disk is full")

    monkeypatch.setattr(making, "clone_schema", fail)
    with pytest.raises(DatabaseError, match="the disk is full"):
        await bench.branches.create("add-phone")
    assert [record.name for record in await bench.branches.all()] == ["main"]
    assert bench.host.names() == []


async def test_a_cancelled_creation_leaves_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    cloning = asyncio.Event()

    async def hang(*_: object) -> None:
        cloning.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(making, "clone_schema", hang)
    creating = asyncio.ensure_future(bench.branches.create("add-phone"))
    await cloning.wait()
    (main, half) = await bench.branches.all()
    assert (main.name, half.state) == ("main", BranchState.PENDING)
    assert [branch.name for branch in (await bench.branches.routes())] == ["main"]
    with pytest.raises(ControlError, match="still being made"):
        await bench.branches.wake("add-phone")
    with pytest.raises(RouteError, match="already has a branch"):
        await bench.branches.create("add-phone")
    creating.cancel()
    with pytest.raises(asyncio.CancelledError):
        await creating
    assert [record.name for record in await bench.branches.all()] == ["main"]
    assert bench.host.names() == []


async def test_what_a_killed_process_had_half_made_is_removed_at_the_next_start(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def die(*_: object) -> None:
        raise DatabaseError(0, "the process ends here")

    kept = await bench.branches.create("kept")
    with monkeypatch.context() as patch:
        patch.setattr(making, "clone_schema", die)
        # What a process that is killed does not get to.
        patch.setattr(Branches, "_remove", lambda *_: asyncio.sleep(0))
        with pytest.raises(DatabaseError, match="ends here"):
            await bench.branches.create("half")
    await bench.host.wake("branch-forgotten")
    again = bench.again()
    await again.prepare()
    assert [record.name for record in await bench.branches.all()] == ["main", "kept"]
    assert bench.host.names() == [f"branch-{kept.id}"]
    with pytest.raises(UnknownBranch, match="could not be made: Headgate was stopped meanwhile"):
        await again.get("half")


@pytest.mark.parametrize("name", ["a/b", "", "Main", "a.b", "-", "x" * 64])
async def test_a_name_that_cannot_be_makes_nothing(bench: Bench, name: str) -> None:
    with pytest.raises(RouteError, match="cannot be the name of a branch"):
        await bench.branches.create(name)
    assert len(await bench.branches.all()) == 1


async def test_an_unknown_branch_or_database_is_told_with_what_there_is(bench: Bench) -> None:
    with pytest.raises(UnknownBranch, match="there are: main"):
        await bench.branches.create("new", "mian")
    for ask in (bench.branches.get, bench.branches.read, bench.branches.wake, bench.branches.delete):
        with pytest.raises(UnknownBranch):
            await ask("mian")
    bench.branches.check_database("shop")
    with pytest.raises(NotFound, match="'shop'"):
        bench.branches.check_database("blog")


@pytest.mark.parametrize("bench", [Flavor.MARIADB], ids=str, indirect=True)
async def test_a_password_that_a_branch_user_changed_is_mended_when_the_branch_wakes(bench: Bench) -> None:
    made = await bench.branches.create("add-phone")
    server = await bench.branches.wake("add-phone")
    async with await Connection.open(server) as connection:
        await connection.execute("SET PASSWORD = PASSWORD('mine')")
    with pytest.raises(DatabaseError):
        await Connection.open(server)
    await bench.host.sleep(f"branch-{made.id}")
    async with await Connection.open(await bench.branches.wake("add-phone")) as connection:
        assert await connection.fetch_value("SELECT 1") == 1


async def test_idle_branches_sleep_and_wake_and_used_ones_stay(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHECK_S", 0.01)
    branches = bench.again(sleep_after_s=0.05)
    idle, used = await branches.create("idle"), await branches.create("used")
    bench.clients["used"] = 1
    minding = asyncio.ensure_future(Sleep(branches, bench.connections, nothing_needed).run())
    try:
        await until(lambda: branches.asleep(idle))
        assert not branches.asleep(used)
        # In use for longer than an idle server is kept.
        async with branches.scratch.awake() as server, await Connection.open(server) as connection:
            assert await connection.fetch_value("SELECT SLEEP(0.3)") == 0
        await until(lambda: bench.host.asleep("scratch"))
        bench.clients["idle"] = 1
        await branches.wake("idle")
        assert not branches.asleep(idle)
        bench.clients["used"] = 0
        await until(lambda: branches.asleep(used))
        assert (await branches.read("used")).tables == (await branches.base("used")).tables
    finally:
        minding.cancel()
        await asyncio.gather(minding, return_exceptions=True)


async def test_a_server_that_does_not_stop_keeps_no_other_awake(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHECK_S", 0.01)
    branches = bench.again(sleep_after_s=0.05)
    stuck, other = await branches.create("stuck"), await branches.create("other")
    stop = LocalServer.stop

    async def stop_all_but_one(self: LocalServer, **how: float) -> None:
        if stuck.id in self.name:
            raise ServerFailed("it did not stop within 60 s")
        await stop(self, **how)

    with monkeypatch.context() as patch:
        patch.setattr(LocalServer, "stop", stop_all_but_one)
        minding = asyncio.ensure_future(Sleep(branches, bench.connections, nothing_needed).run())
        try:
            await until(lambda: branches.asleep(other))
            bench.clients["other"] = 1
            await branches.wake("other")
            bench.clients["other"] = 0
            await until(lambda: branches.asleep(other))
            assert not minding.done()
        finally:
            minding.cancel()
            await asyncio.gather(minding, return_exceptions=True)
        await branches.wake("other")
        await bench.host.stop_all()
        assert (branches.asleep(stuck), branches.asleep(other)) == (False, True)
    await bench.host.stop_all()
    assert branches.asleep(stuck)


async def test_routes_hold_each_ready_branch_with_its_account(bench: Bench) -> None:
    await bench.branches.create("add-phone")
    main, add_phone = await bench.branches.routes()
    assert (main.sleepable, main.safe_migrations, main.schema) == (False, True, bench.schema)
    assert (add_phone.sleepable, add_phone.safe_migrations) == (True, False)
    assert (main.pool_mode, add_phone.pool_mode) == (PoolMode.TRANSACTION, PoolMode.SESSION)
    assert add_phone.server is not None
    assert add_phone.server.account == ACCOUNT


async def test_at_the_end_nothing_is_made_any_more(bench: Bench) -> None:
    await bench.host.stop_all()
    with pytest.raises(ServerFailed, match="Headgate is stopping"):
        await bench.branches.create("add-phone")
    assert [record.name for record in await bench.branches.all()] == ["main"]


async def test_a_server_is_ready_for_the_first_branch_too(bench: Bench) -> None:
    branches = bench.branches
    await branches.offer_default()
    keeping = asyncio.ensure_future(branches.spare.run())
    try:
        await until(lambda: branches.spare.server is not None, timeout_s=120)
        spare = branches.spare.server
        first = await branches.create("first")
        assert f"branch-{first.id}" == spare
        assert (await branches.read("first")).tables == (await branches.read("main")).tables
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


async def test_a_server_is_kept_ready_only_if_the_settings_say_so(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    branches, wanted = bench.branches, []
    monkeypatch.setattr(branches.spare, "want", wanted.append)
    await branches.offer_default()
    assert [sorted(schema.tables) for schema in wanted] == [["t"]]
    branches.adjust(replace(branches.settings, spare=False), branches.production)
    await branches.offer_default()
    assert len(wanted) == 1


@pytest.mark.parametrize("bench", list(Flavor), ids=str, indirect=True)
async def test_the_next_branch_gets_the_server_that_was_kept_ready(bench: Bench) -> None:
    branches = bench.branches
    keeping = asyncio.ensure_future(branches.spare.run())
    try:
        assert branches.spare.server is None
        await branches.create("first")
        await until(lambda: branches.spare.server is not None)
        spare = branches.spare.server
        assert spare is not None
        assert not bench.host.asleep(spare)
        with pytest.raises(RouteError, match="already has a branch"):
            await branches.create("first")
        assert branches.spare.server == spare
        second = await branches.create("second")
        assert f"branch-{second.id}" == spare
        assert (await branches.read("second")).tables == (await branches.read("main")).tables
        # Made ready with what production was, it does not pass that on.
        await until(lambda: branches.spare.server is not None)
        async with await Connection.open(bench.production.migrator, database=bench.schema) as connection:
            await connection.execute("ALTER TABLE t ADD COLUMN later INT")
        await branches.create("third")
        assert (await branches.read("third")).tables == (await branches.read("main")).tables
        # Offered a schema, it takes that on.
        await until(lambda: branches.spare.server is not None)
        former = branches.spare.server
        async with await Connection.open(bench.production.migrator, database=bench.schema) as connection:
            await connection.execute("ALTER TABLE t ADD COLUMN latest INT")
        await branches.offer_default()
        # Whoever takes one that is being made ready waits for it.
        fourth = await branches.create("fourth")
        assert f"branch-{fourth.id}" == former
        assert (await branches.read("fourth")).tables == (await branches.read("main")).tables
        # One that no branch has is gone at the next start.
        await until(lambda: branches.spare.server is not None)
        await bench.again().prepare()
        assert len(bench.host.names()) == 4
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
