"""Branches and passwords as kept in the state database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from router.clock import now
from router.errors import RouteError, UnknownBranch
from router.model import Role, User
from router.records import BranchRecord, BranchState, Home, PasswordRecord
from router.secrets import new_id
from router.state import open_state
from router.store import BranchStore


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    engine = open_state(tmp_path / "deep" / "state.db")
    yield engine
    await engine.dispose()


@pytest.fixture
async def store(engine: AsyncEngine) -> BranchStore:
    store = BranchStore(engine)
    await store.prepare()
    return store


def branch(name: str, **changes: object) -> BranchRecord:
    moment = now()
    record = BranchRecord(
        id=new_id(),
        database="shop",
        name=name,
        parent_id=None,
        production=False,
        safe_migrations=False,
        state=BranchState.PENDING,
        base=None,
        created_at=moment,
        updated_at=moment,
    )
    return replace(record, **changes)  # type: ignore[arg-type]


def password(username: str, on: BranchRecord | None = None, database: str = "shop") -> PasswordRecord:
    record = PasswordRecord(new_id(), database, None, "a name", username, bytes(range(32)), now())
    return replace(record, branch_id=on.id, branch=on.name) if on else record


async def test_a_branch_comes_back_as_it_was_stored(store: BranchStore) -> None:
    record = branch("add-phone", base='{"tables": "`☃`"}', production=True, home=Home.CONFIGURED)
    await store.add_branch(record)
    assert await store.branch("shop", "add-phone") == record
    assert await store.branches("shop") == [record]
    assert await store.branches("other") == []


async def test_what_was_stored_is_there_for_the_next_process(tmp_path: Path) -> None:
    record = branch("add-phone")
    for _ in range(2):
        engine = open_state(tmp_path / "state.db")
        store = BranchStore(engine)
        await store.prepare()
        if not await store.branches("shop"):
            await store.add_branch(record)
        await engine.dispose()
    engine = open_state(tmp_path / "state.db")
    assert await BranchStore(engine).branches("shop") == [record]
    await engine.dispose()


async def test_a_saved_branch_keeps_its_changes_and_the_time_of_them(store: BranchStore) -> None:
    record = branch("add-phone")
    await store.add_branch(record)
    saved = await store.change_branch(record, state=BranchState.READY, base="{}")
    assert saved.updated_at >= record.updated_at
    found = await store.branch("shop", "add-phone")
    assert found == saved
    assert found.state is BranchState.READY


async def test_times_come_back_in_utc_whatever_zone_they_were_given_in(store: BranchStore) -> None:
    east = datetime(2026, 1, 2, 3, 4, 5, 678901, timezone(timedelta(hours=9)))
    await store.add_branch(branch("add-phone", created_at=east))
    found = (await store.branch("shop", "add-phone")).created_at
    assert found == east
    assert found.tzinfo == UTC


async def test_branches_are_listed_oldest_first(store: BranchStore) -> None:
    moment = now()
    for age, name in enumerate(("c", "a", "b")):
        await store.add_branch(branch(name, created_at=moment - timedelta(minutes=age)))
    assert [record.name for record in await store.branches("shop")] == ["b", "a", "c"]


async def test_a_taken_name_is_refused_with_the_way_out_and_other_databases_may_use_it(
    store: BranchStore,
) -> None:
    await store.add_branch(branch("add-phone"))
    await store.add_branch(branch("add-phone", database="blog"))
    with pytest.raises(RouteError, match=r"already has.*headgate branch delete shop add-phone"):
        await store.add_branch(branch("add-phone"))
    assert len(await store.branches("shop")) == 1


async def test_an_unknown_branch_is_answered_with_those_that_exist(store: BranchStore) -> None:
    with pytest.raises(UnknownBranch, match="none yet"):
        await store.branch("shop", "main")
    await store.add_branch(branch("main"))
    with pytest.raises(UnknownBranch, match=r"no branch 'mian' \(there are: main\)"):
        await store.branch("shop", "mian")


async def test_a_deleted_branch_takes_its_own_passwords_with_it_and_no_others(store: BranchStore) -> None:
    record, far = branch("add-phone"), branch("add-phone", database="blog")
    for one in (record, far):
        await store.add_branch(one)
    for two in (password("bound", record), password("free"), password("far", far, "blog")):
        await store.put_password(two)
    await store.delete_branch(record)
    assert await store.branches("shop") == []
    assert [one.username for one in await store.passwords("shop")] == ["free"]
    assert [one.username for one in await store.passwords("blog")] == ["far"]


async def test_a_password_comes_back_as_a_user_without_its_secret_in_any_text(store: BranchStore) -> None:
    bound = branch("add-phone")
    await store.add_branch(bound)
    record = password("app", bound)
    await store.put_password(record)
    (found,) = await store.passwords("shop")
    assert found == record
    assert found.user == User("app", record.verifier, "shop", "add-phone")
    assert "verifier" not in repr(found)
    assert "verifier" not in repr(found.user)


async def test_a_second_password_of_a_user_replaces_the_first(store: BranchStore) -> None:
    bound = branch("add-phone")
    await store.add_branch(bound)
    first, second = password("app"), password("app", bound)
    await store.put_password(first)
    await store.put_password(second)
    assert await store.passwords("shop") == [second]


async def test_deleting_a_password_says_whether_there_was_one(store: BranchStore) -> None:
    record = password("app")
    await store.put_password(record)
    assert not await store.delete_password("blog", record.id)
    assert await store.delete_password("shop", record.id)
    assert not await store.delete_password("shop", record.id)
    assert await store.passwords("shop") == []


async def test_a_state_database_of_another_format_is_refused_with_what_to_do(tmp_path: Path) -> None:
    engine = open_state(tmp_path / "state.db")
    await BranchStore(engine).prepare()
    await BranchStore(engine).prepare()
    async with engine.begin() as connection:
        await connection.exec_driver_sql("UPDATE state_format SET format = 99")
    with pytest.raises(OSError, match=r"has format 99.*HEADGATE_STATE"):
        await BranchStore(engine).prepare()
    await engine.dispose()


FORMAT_1_PASSWORDS = """
CREATE TABLE passwords (
    id VARCHAR(12) NOT NULL PRIMARY KEY, "database" VARCHAR(63) NOT NULL, branch VARCHAR(63),
    name VARCHAR(255) NOT NULL, username VARCHAR(255) NOT NULL UNIQUE, verifier BLOB NOT NULL,
    created_at VARCHAR(40) NOT NULL
)
"""


FORMAT_1_BRANCHES = """
CREATE TABLE branches (
    id VARCHAR(12) NOT NULL PRIMARY KEY, "database" VARCHAR(63) NOT NULL, name VARCHAR(63) NOT NULL,
    parent VARCHAR(63), production BOOLEAN NOT NULL, safe_migrations BOOLEAN NOT NULL,
    state VARCHAR(20) NOT NULL, base TEXT, created_at VARCHAR(40) NOT NULL, updated_at VARCHAR(40) NOT NULL,
    UNIQUE ("database", name)
)
"""


async def test_a_state_database_of_the_first_format_is_brought_up_to_date(engine: AsyncEngine) -> None:
    main = branch("main", production=True, safe_migrations=True, home=Home.CONFIGURED, is_default=True)
    old, lost = password("app", main), password("lost")
    async with engine.begin() as connection:
        await connection.exec_driver_sql("CREATE TABLE state_format (format INTEGER PRIMARY KEY)")
        await connection.exec_driver_sql("INSERT INTO state_format VALUES (1)")
        await connection.exec_driver_sql(FORMAT_1_BRANCHES)
        await connection.exec_driver_sql(FORMAT_1_PASSWORDS)
        moment = main.created_at.isoformat()
        for row in ((main.id, "main", None, 1), ("b23456789012", "add-phone", "main", 0)):
            await connection.exec_driver_sql(
                "INSERT INTO branches VALUES (?, 'shop', ?, ?, ?, 1, 'ready', NULL, ?, ?)",
                (*row, moment, moment),
            )
        for one, name in ((old, "main"), (lost, "gone")):
            await connection.exec_driver_sql(
                "INSERT INTO passwords VALUES (?, ?, ?, ?, ?, ?, ?)",
                (one.id, "shop", name, one.name, one.username, one.verifier, one.created_at.isoformat()),
            )
    store = BranchStore(engine)
    for _ in range(2):
        await store.prepare()
        assert await store.passwords("shop") == [old]
        child, found = sorted(await store.branches("shop"), key=lambda record: record.name)
        assert (found.home, found.is_default, found.parent) == (Home.CONFIGURED, True, None)
        assert (child.home, child.is_default, child.parent) == (Home.LOCAL, False, "main")


async def test_passwords_and_children_follow_a_branch_that_is_renamed(store: BranchStore) -> None:
    record = branch("add-phone")
    await store.add_branch(record)
    await store.add_branch(branch("deeper", parent_id=record.id))
    await store.put_password(password("app", record))
    await store.change_branch(record, name="add-phones")
    assert [one.branch for one in await store.passwords("shop")] == ["add-phones"]
    assert (await store.branch("shop", "deeper")).parent == "add-phones"
    await store.delete_branch(record)
    assert (await store.branch("shop", "deeper")).parent is None


async def test_a_password_comes_back_with_its_limits(store: BranchStore) -> None:
    record = replace(
        password("reader"),
        role=Role.READER,
        slow_hash="scrypt$1$salt$hash",
        native_verifier=bytes(range(20)),
        networks=("10.0.0.0/8", "::1/128"),
        ttl_s=300,
        expires_at=now(),
        replica=True,
    )
    await store.put_password(record)
    assert await store.passwords("shop") == [record]
    assert record.expired(now())
    assert not replace(record, expires_at=None).expired(now())
