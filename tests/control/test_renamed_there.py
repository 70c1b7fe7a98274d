"""What was renamed on production since a branch was made is known when that is checked, on both servers."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from proxy.channel import DefinitionChanged
from router.model import Flavor
from tests.support.service import Running, running_service


@pytest.fixture(scope="module", params=list(Flavor), ids=str)
async def here(request: pytest.FixtureRequest, server_folder: Path) -> AsyncIterator[Running]:
    """A service where the branch `first` has renamed a column on production, and others were made before."""
    async with running_service(server_folder / f"renamed-{request.param}", request.param) as running:
        await running.on_production("CREATE TABLE t (id INT PRIMARY KEY, a INT, n INT)")
        for name in ("first", "same", "unseen", "against", "beside"):
            await running.call("POST", "/branches", {"name": name}, expect=201)
        await change(running, "first", "ALTER TABLE t RENAME COLUMN a TO b")
        await deployed(running, "first")
        yield running


async def change(running: Running, branch: str, statement: str) -> None:
    """Change a branch as if through the proxy."""
    await running.on_branch(branch, statement)
    seen = DefinitionChanged("shop", branch, "app", statement, time.time())
    running.service.watched.log.note(seen)


async def proposed(running: Running, branch: str) -> Any:
    return await running.call("POST", "/deploy-requests", {"branch": branch}, expect=201)


async def deployed(running: Running, branch: str) -> None:
    request = await proposed(running, branch)
    number = request["number"]
    assert request["deployment_state"] == "ready", request["deployment"]["problem"]
    await running.call("POST", f"/deploy-requests/{number}/confirm")
    await running.call("POST", f"/deploy-requests/{number}/deploy")
    await running.request_until(number, "complete_pending_revert")
    await running.call("POST", f"/deploy-requests/{number}/skip-revert")
    await running.request_until(number, "complete")


async def test_who_has_renamed_the_same_column_has_nothing_to_deploy(here: Running) -> None:
    await change(here, "same", "ALTER TABLE t RENAME COLUMN a TO b")
    assert (await proposed(here, "same"))["deployment_state"] == "no_changes"


async def test_who_has_renamed_it_past_the_proxy_has_nothing_to_deploy_either(here: Running) -> None:
    await here.on_branch("unseen", "ALTER TABLE t RENAME COLUMN a TO b")
    assert (await proposed(here, "unseen"))["deployment_state"] == "no_changes"


async def test_who_uses_the_old_name_is_told_of_the_new_one(here: Running) -> None:
    await change(here, "against", "ALTER TABLE t ADD INDEX of_a (a)")
    request = await proposed(here, "against")
    assert request["deployment_state"] == "error"
    assert "renamed column 'a' to 'b'" in request["deployment"]["problem"]


async def test_who_has_renamed_it_goes_on_from_there(here: Running) -> None:
    await change(here, "first", "ALTER TABLE t ADD COLUMN c INT")
    request = await proposed(here, "first")
    assert request["deployment_state"] == "ready", request["deployment"]["problem"]
    (operation,) = (await here.service.deploys.get("shop", request["number"])).operations
    assert not operation.renames
    assert "ADD COLUMN" in operation.statements[0]


async def test_a_branch_that_leaves_it_alone_is_rebased_and_deployed(here: Running) -> None:
    await change(here, "beside", "ALTER TABLE t MODIFY n BIGINT")
    done = await here.call("POST", "/branches/beside/rebase")
    assert done["left_out"] == []
    assert (await proposed(here, "beside"))["deployment_state"] == "ready"
