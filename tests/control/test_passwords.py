"""Passwords: what may be asked for, what they let in, and until when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from control.errors import ControlError, NotFound
from control.passwords import Passwords, PasswordWish
from router.clock import now
from router.errors import RouteError, UnknownBranch
from router.model import Role
from router.records import BranchRecord, BranchState, PasswordRecord
from router.secrets import new_id, slow_hash_holds, verifier
from router.state import open_state
from router.store import BranchStore


class Bench:
    """Passwords of a database with two branches, and how often the routes changed."""

    def __init__(self, store: BranchStore) -> None:
        self.store = store
        self.changes = 0
        self.roles = frozenset({Role.READWRITER, Role.ADMIN})
        self.passwords = Passwords("shop", store, roles=lambda: self.roles, changed=self.changed)

    async def changed(self) -> None:
        self.changes += 1


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    engine = open_state(tmp_path / "state.db")
    store = BranchStore(engine)
    await store.prepare()
    for name in ("main", "add-phone"):
        record = BranchRecord(
            id=new_id(),
            database="shop",
            name=name,
            parent_id=None,
            production=name == "main",
            safe_migrations=name == "main",
            state=BranchState.READY,
            base=None,
            created_at=now(),
            updated_at=now(),
        )
        await store.add_branch(record)
    yield Bench(store)
    await engine.dispose()


async def test_a_generated_password_is_kept_by_its_verifier_only(bench: Bench) -> None:
    record, secret = await bench.passwords.create(PasswordWish("main", "ci"))
    assert record.verifier == verifier(secret)
    assert (record.slow_hash, record.native_verifier) == ("", b"")
    assert secret not in repr(record)
    assert await bench.passwords.users() == [record.user]


async def test_a_password_reaches_its_branch_or_all(bench: Bench) -> None:
    everywhere, _ = await bench.passwords.create(PasswordWish(None, "the application", "app"))
    bound, _ = await bench.passwords.create(PasswordWish("add-phone"))
    users = {(user.name, user.branch) for user in await bench.passwords.users()}
    assert users == {("app", None), (bound.username, "add-phone")}
    assert {record.id for record in await bench.passwords.all("add-phone")} == {everywhere.id, bound.id}
    assert {record.id for record in await bench.passwords.all("main")} == {everywhere.id}


async def test_a_password_is_deleted_only_where_it_belongs(bench: Bench) -> None:
    bound, _ = await bench.passwords.create(PasswordWish("add-phone", "ci"))
    with pytest.raises(NotFound, match=r"'main' has no password"):
        await bench.passwords.delete("main", bound.id)
    before = bench.changes
    await bench.passwords.delete("add-phone", bound.id)
    assert bench.changes == before + 1
    assert await bench.passwords.all("add-phone") == []


async def test_a_password_that_is_deleted_while_it_is_changed_does_not_come_back(bench: Bench) -> None:
    bound, _ = await bench.passwords.create(PasswordWish("add-phone", ttl_s=3600))
    await asyncio.gather(
        bench.passwords.change("add-phone", bound.id, name="other", networks=["10.0.0.0/8"]),
        bench.passwords.renew("add-phone", bound.id),
        bench.passwords.delete("add-phone", bound.id),
        bench.passwords.change("add-phone", bound.id, name="another", networks=None),
        return_exceptions=True,
    )
    assert await bench.passwords.all() == []


async def test_a_user_name_that_is_taken_is_given_away_only_if_that_may_be(bench: Bench) -> None:
    earlier, _ = await bench.passwords.create(PasswordWish("main", username="web"))

    def check(found: PasswordRecord) -> None:
        assert found == earlier
        raise ControlError("not yours")

    wish = PasswordWish("add-phone", username="web")
    with pytest.raises(ControlError, match="not yours"):
        await bench.passwords.create(wish, check)
    assert await bench.passwords.all() == [earlier]
    later, _ = await bench.passwords.create(wish)
    assert await bench.passwords.all() == [later]


async def test_a_password_for_an_unknown_branch_is_refused(bench: Bench) -> None:
    with pytest.raises(UnknownBranch):
        await bench.passwords.create(PasswordWish("mian"))


@pytest.mark.parametrize("username", ["app.main", "a b", "-app", "x" * 64, "a`b", "é", "a|replica"])
async def test_a_user_name_with_anything_that_routes_or_quotes_is_refused(
    bench: Bench, username: str
) -> None:
    with pytest.raises(RouteError, match="cannot be a user name"):
        await bench.passwords.create(PasswordWish("main", username=username))


async def test_a_chosen_password_is_kept_by_a_slow_hash_only(bench: Bench) -> None:
    record, secret = await bench.passwords.create(PasswordWish("main", secret="correct horse battery"))
    assert secret == "correct horse battery"
    assert record.verifier == b""
    assert slow_hash_holds(secret, record.slow_hash)


@pytest.mark.parametrize(
    ("wish", "reason"),
    [
        (PasswordWish("main", secret="short"), "at least 12 characters"),
        (PasswordWish("main", secret="correct horse battery", native=True), "too weakly"),
        (PasswordWish("main", role=Role.READER), "production.reader_user"),
        (PasswordWish("main", networks=["10.0.0.1/8"]), "write networks as"),
        (PasswordWish("main", networks=["everywhere"]), "write networks as"),
        (PasswordWish("main", networks=["10.0.0.0/8"] * 101), "100 networks"),
        (PasswordWish("main", ttl_s=-1), "lives for 1 to"),
        (PasswordWish("main", ttl_s=10**9), "lives for 1 to"),
    ],
)
async def test_what_cannot_be_had_is_refused_with_what_to_do(
    bench: Bench, wish: PasswordWish, reason: str
) -> None:
    with pytest.raises(ControlError, match=reason):
        await bench.passwords.create(wish)
    assert await bench.passwords.all() == []
    assert bench.changes == 0


async def test_a_role_is_given_once_production_has_an_account_for_it(bench: Bench) -> None:
    bench.roles |= {Role.READER}
    record, _ = await bench.passwords.create(PasswordWish("main", role=Role.READER))
    assert record.user.role is Role.READER


async def test_a_password_lives_until_it_expires_and_renewing_starts_its_time_again(bench: Bench) -> None:
    record, _ = await bench.passwords.create(PasswordWish("main", ttl_s=300))
    assert record.expires_at is not None
    assert record.user.expires_at_s == record.expires_at.timestamp()
    older = replace(record, expires_at=now() + timedelta(seconds=5))
    await bench.store.put_password(older)
    renewed = await bench.passwords.renew("main", record.id)
    assert renewed.expires_at is not None
    assert renewed.expires_at > now() + timedelta(seconds=290)
    await bench.store.put_password(replace(record, expires_at=now()))
    assert await bench.passwords.users() == []
    with pytest.raises(ControlError, match="has expired: create a new one"):
        await bench.passwords.renew("main", record.id)


async def test_what_does_not_expire_cannot_be_renewed(bench: Bench) -> None:
    record, _ = await bench.passwords.create(PasswordWish("main"))
    with pytest.raises(ControlError, match="nothing to renew"):
        await bench.passwords.renew("main", record.id)


async def test_name_and_networks_can_be_changed(bench: Bench) -> None:
    record, _ = await bench.passwords.create(PasswordWish("main", "old", networks=["10.0.0.0/8"]))
    renamed = await bench.passwords.change("main", record.id, name="new", networks=None)
    assert (renamed.name, renamed.networks) == ("new", ("10.0.0.0/8",))
    moved = await bench.passwords.change("main", record.id, name=None, networks=["::1"])
    assert (moved.name, moved.networks) == ("new", ("::1/128",))
    assert await bench.passwords.get("main", record.id) == moved
