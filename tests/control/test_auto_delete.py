from __future__ import annotations

from pathlib import Path

from router.model import Flavor
from tests.support.service import Running, running_service


async def test_a_branch_that_holds_more_than_was_deployed_is_kept(server_folder: Path) -> None:
    async with running_service(server_folder / "kept", Flavor.MARIADB) as running:
        await deploy_and_go_on(running)


async def deploy_and_go_on(running: Running) -> None:
    call = running.call
    await running.on_production("CREATE TABLE counters (id INT PRIMARY KEY, a INT)")
    for number, branch in enumerate(("busy", "idle")):
        await call("POST", "/branches", {"name": branch}, expect=201)
        await running.on_branch(branch, f"ALTER TABLE counters ADD COLUMN n{number} INT")
        proposal = {"branch": branch, "into_branch": "main", "auto_delete_branch": True}
        one = f"/deploy-requests/{(await call('POST', '/deploy-requests', proposal, expect=201))['number']}"
        await call("POST", f"{one}/deploy")
        await running.request_until(int(one.rsplit("/")[-1]), "complete_pending_revert")
        if branch == "busy":
            await running.on_branch(branch, "CREATE TABLE hours_of_work (id INT PRIMARY KEY)")
        await call("POST", f"{one}/skip-revert")
        done = await running.request_until(int(one.rsplit("/")[-1]), "complete")
        assert done["branch_deleted"] is (branch == "idle")
    names = [each["name"] for each in (await call("GET", "/branches"))["data"]]
    assert "busy" in names
    assert "idle" not in names
