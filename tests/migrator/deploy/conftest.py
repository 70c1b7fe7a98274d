"""A bench for deploy requests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from migrator.deploy.store import DeployStore
from router.state import open_state
from tests.support.deploying import Bench, Tables


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    engine = open_state(tmp_path / "state.db")
    store = DeployStore(engine)
    await store.prepare()
    yield Bench(store, Tables())
    await engine.dispose()
