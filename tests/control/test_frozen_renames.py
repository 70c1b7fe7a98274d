from __future__ import annotations

import time
from pathlib import Path

from proxy.channel import DefinitionChanged
from router.model import Flavor
from tests.support.service import Running, running_service


async def test_what_a_request_renames_is_part_of_what_is_reviewed_and_frozen(server_folder: Path) -> None:
    async with running_service(server_folder / "frozen", Flavor.MARIADB) as running:
        await review_and_go_on(running)


async def review_and_go_on(running: Running) -> None:
    async def change(statement: str) -> None:
        await running.on_branch("renaming", statement)
        seen = DefinitionChanged("shop", "renaming", "app", statement, time.time())
        running.service.watched.log.note(seen)

    deploys = running.service.deploys
    await running.on_production("CREATE TABLE frozen (id INT PRIMARY KEY, a INT)")
    await running.call("POST", "/branches", {"name": "renaming"}, expect=201)
    await change("ALTER TABLE frozen RENAME COLUMN a TO b")
    proposal = {"branch": "renaming", "into_branch": "main"}
    number = (await running.call("POST", "/deploy-requests", proposal, expect=201))["number"]
    request = await deploys.get("shop", number)
    snapshot = await deploys.snapshot(request)
    assert snapshot is not None
    (renaming,) = request.operations[0].statements
    assert "RENAME COLUMN" in renaming
    # The branch goes on: whoever takes the deployment up, or tries it again, does what was begun.
    await change("ALTER TABLE frozen RENAME COLUMN b TO c")
    frozen = await deploys._look(request, frozen=snapshot)
    assert frozen.operations[0].statements == (renaming,)
    # The same schema as was reviewed, but now the values are lost.
    await change("ALTER TABLE frozen DROP COLUMN c, ADD COLUMN b INT")
    found = (await deploys._look(request)).snapshot
    assert found is not None
    assert found.changes_since(snapshot) == ("frozen:\ncolumn a is no longer renamed to b",)
