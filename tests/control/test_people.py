"""Who a token lets in."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from control import people as module
from control.errors import ControlError, NotFound
from control.people import People
from router.clock import now
from router.model import LOCAL, Access, Actor, ActorKind
from router.state import open_state

SECRET = "hg_tk_of_the_state_folder"


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    engine = open_state(tmp_path / "state.db")
    yield engine
    await engine.dispose()


@pytest.fixture
async def people(engine: AsyncEngine) -> People:
    people = People(engine, SECRET)
    await people.prepare()
    return people


async def test_a_token_lets_in_who_it_was_made_for_also_after_a_restart(
    people: People, engine: AsyncEngine
) -> None:
    token, secret = await people.create("ada", Access.ADMIN, LOCAL)
    assert re.fullmatch(r"[a-z0-9]{12}", token.id)
    assert re.fullmatch(r"hg_tk_\w{36}", secret)
    again = People(engine, SECRET)
    await again.prepare()
    for known in (people, again):
        expected = Actor(token.id, "ada", ActorKind.SERVICE_TOKEN, Access.ADMIN, made_by=LOCAL.id)
        assert await known.authenticate(f"{token.id}:{secret}") == expected
        assert await known.authenticate(f"Bearer {token.id}:{secret}") == expected
        assert await known.authenticate(f"{LOCAL.id}:{SECRET}") == LOCAL
        assert known.administrators() == 2


async def test_the_secret_is_kept_nowhere(people: People, engine: AsyncEngine, tmp_path: Path) -> None:
    token, secret = await people.create("ada", Access.MEMBER, LOCAL)
    await engine.dispose()
    for file in tmp_path.iterdir():
        assert secret.encode() not in file.read_bytes()
    assert secret not in repr(token)


async def test_whatever_is_wrong_lets_nobody_in(people: People) -> None:
    token, secret = await people.create("ada", Access.MEMBER, LOCAL)
    other, _ = await people.create("bo", Access.ADMIN, LOCAL)
    wrong = ["", ":", secret, token.id, f"{token.id}:", f"{token.id}:{secret}x", f"{other.id}:{secret}"]
    wrong += [
        f"{token.id}:{SECRET}",
        f"nobody:{SECRET}",
        f"{LOCAL.id}:{secret}",
        f"Basic {token.id}:{secret}",
    ]
    for credential in [*wrong, "\xff:\xff", "a:\udcff"]:
        assert await people.authenticate(credential) is None, credential


async def test_a_deleted_and_an_expired_token_let_nobody_in(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, gone_secret = await people.create("gone", Access.ADMIN, LOCAL)
    brief, brief_secret = await people.create("brief", Access.ADMIN, LOCAL, ttl_s=60)
    assert people.administrators() == 3
    await people.delete(gone.id)
    assert await people.authenticate(f"{gone.id}:{gone_secret}") is None
    with pytest.raises(NotFound):
        await people.delete(gone.id)
    assert await people.authenticate(f"{brief.id}:{brief_secret}") is not None
    monkeypatch.setattr(module, "now", lambda: now() + timedelta(seconds=61))
    assert await people.authenticate(f"{brief.id}:{brief_secret}") is None
    assert people.administrators() == 1


async def test_the_last_use_is_kept_to_the_minute(
    people: People, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, secret = await people.create("ada", Access.MEMBER, LOCAL)
    assert people.get(token.id).last_used_at is None
    await people.authenticate(f"{token.id}:{secret}")
    first = people.get(token.id).last_used_at
    await people.authenticate(f"{token.id}:{secret}")
    assert people.get(token.id).last_used_at == first is not None
    monkeypatch.setattr(module, "now", lambda: now() + timedelta(seconds=61))
    await people.authenticate(f"{token.id}:{secret}")
    again = People(engine, SECRET)
    await again.prepare()
    last = again.get(token.id).last_used_at
    assert last is not None
    assert last - first >= timedelta(seconds=60)


@pytest.mark.parametrize(
    ("name", "ttl_s"), [("", None), ("  ", None), ("x" * 101, None), ("a", -1), ("a", 10**12)]
)
async def test_a_token_that_cannot_be_is_refused(people: People, name: str, ttl_s: int | None) -> None:
    with pytest.raises(ControlError):
        await people.create(name, Access.MEMBER, LOCAL, ttl_s)
    assert people.all() == []


async def test_a_token_that_was_made_by_a_token_is_of_who_made_that(people: People) -> None:
    ada, _ = await people.create("ada", Access.ADMIN, LOCAL)
    second, _ = await people.create("second", Access.ADMIN, ada.actor)
    third, _ = await people.create("third", Access.ADMIN, second.actor)
    assert [each.made_by for each in (ada, second, third)] == [LOCAL.id, ada.id, ada.id]
