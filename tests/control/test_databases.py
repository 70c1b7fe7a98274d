"""Settings outlive a restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from control.databases import Databases
from migrator.deploy.settings import DatabaseSettings, Framework, SettingRefused
from router.state import open_state


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    engine = open_state(tmp_path / "state.db")
    yield engine
    await engine.dispose()


async def test_what_was_decided_is_there_after_a_restart_and_the_rest_follows_the_configuration(
    engine: AsyncEngine,
) -> None:
    first = Databases("shop", engine, DatabaseSettings(revert_window_s=600))
    await first.prepare()
    assert first.decided.updated_at is None
    await first.change({"migration_framework": "other", "migration_table": "versions"})
    await first.change({"require_approval": True})
    again = Databases("shop", engine, DatabaseSettings(revert_window_s=900))
    await again.prepare()
    settings = again.settings()
    assert settings.migration_framework is Framework.OTHER
    assert (settings.migration_table, settings.require_approval) == ("versions", True)
    assert settings.revert_window_s == 900
    assert again.decided.updated_at == first.decided.updated_at
    other = Databases("blog", engine)
    await other.prepare()
    assert other.settings() == DatabaseSettings()


async def test_what_two_people_decide_at_the_same_time_both_holds(engine: AsyncEngine) -> None:
    databases = Databases("shop", engine)
    await databases.prepare()
    await asyncio.gather(
        databases.change({"require_approval": True}), databases.change({"revert_window_s": 900})
    )
    assert databases.settings() == DatabaseSettings(require_approval=True, revert_window_s=900)


async def test_nothing_is_changed_when_one_value_is_refused(engine: AsyncEngine) -> None:
    databases = Databases("shop", engine)
    await databases.prepare()
    with pytest.raises(SettingRefused):
        await databases.change({"require_approval": True, "column_order": "any"})
    assert databases.settings() == DatabaseSettings()


async def test_settings_that_are_no_more_are_left_out(engine: AsyncEngine) -> None:
    databases = Databases("shop", engine)
    await databases.prepare()
    row = "('shop', 'production_web_console', 'true', '2026-01-01T00:00:00+00:00')"
    async with engine.begin() as connection:
        await connection.execute(sa.text(f"INSERT INTO database_settings VALUES {row}"))
    await databases.prepare()
    assert databases.settings() == DatabaseSettings()


async def test_settings_of_a_newer_headgate_are_not_left_out_silently(engine: AsyncEngine) -> None:
    databases = Databases("shop", engine)
    await databases.prepare()
    async with engine.begin() as connection:
        await connection.execute(
            sa.text(
                "INSERT INTO database_settings VALUES ('shop', 'future', '1', '2026-01-01T00:00:00+00:00')"
            )
        )
    with pytest.raises(OSError, match="future"):
        await databases.prepare()
