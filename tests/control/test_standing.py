"""Staging, several production branches, expiry, on both servers: what may be, and what is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from control import rebasing
from router.accounts import prove_no_ddl
from router.clock import now
from router.database import Connection
from router.errors import DatabaseError
from router.model import Account, Flavor, Server
from router.records import BranchRecord
from tests.support.service import Running, running_service

TRIGGERS = (
    "tidy BEFORE INSERT ON customers FOR EACH ROW SET NEW.name = TRIM(NEW.name)",
    "loud BEFORE INSERT ON customers FOR EACH ROW SET NEW.name = CONCAT(NEW.name, '!')",
)


@pytest.fixture(scope="module", params=list(Flavor), ids=str)
async def here(request: pytest.FixtureRequest, server_folder: Path) -> AsyncIterator[Running]:
    """A service of each family, with a branch `staging` that has safe migrations."""
    async with running_service(server_folder / f"standing-{request.param}", request.param) as running:
        await running.on_production(
            "CREATE TABLE customers (id INT PRIMARY KEY, name VARCHAR(50) NOT NULL)",
            "CREATE VIEW names AS SELECT name FROM customers",
            "CREATE USER owner ACCOUNT LOCK",
            "GRANT ALL ON shop.* TO owner",
            *(f"CREATE DEFINER = owner TRIGGER {trigger}" for trigger in TRIGGERS),
        )
        await running.call("POST", "/branches", {"name": "staging"}, expect=201)
        await running.on_branch("staging", "INSERT INTO customers VALUES (1, 'Ada'), (2, 'Alan')")
        staging = await running.call("POST", "/branches/staging/safe-migrations")
        assert (staging["safe_migrations"], staging["production"]) == (True, False)
        yield running


async def refused(running: Running, method: str, path: str, body: Any = None) -> str:
    answer = await running.call(method, path, body, expect=422)
    assert answer["code"] == "unprocessable"
    return str(answer["message"])


async def value(running: Running, branch: str, query: str) -> Any:
    server = await running.service.branches.wake(branch)
    async with await Connection.open(server, database="shop") as connection:
        return await connection.fetch_value(query)


async def test_on_a_branch_with_safe_migrations_the_server_itself_refuses_ddl(here: Running) -> None:
    server = await here.service.branches.wake("staging")
    assert "denied" in await prove_no_ddl(server, "shop")
    with pytest.raises(DatabaseError, match="denied"):
        await here.on_branch("staging", "ALTER TABLE customers ADD COLUMN phone INT")
    # Rows are taken, and what was made by the account before goes on working.
    await here.on_branch("staging", "INSERT INTO customers VALUES (3, 'Grace')")
    assert await value(here, "staging", "SELECT COUNT(*) FROM names") == 3
    # Triggers fire, in their order, with the rights of an account that nobody can log in with.
    await here.on_branch("staging", "DELETE FROM customers WHERE id = 3")
    await here.on_branch("staging", "INSERT INTO customers VALUES (3, ' Grace ')")
    assert await value(here, "staging", "SELECT name FROM customers WHERE id = 3") == "Grace!"
    await here.on_branch("staging", "DELETE FROM customers WHERE id = 3")
    (route,) = [branch for branch in await here.service.branches.routes() if branch.name == "staging"]
    assert (route.safe_migrations, route.production, route.sleepable) == (True, False, True)


async def test_a_hand_over_that_was_cut_off_is_finished_at_the_next_start(here: Running) -> None:
    await here.call("POST", "/branches", {"name": "cut-off"}, expect=201)
    await here.on_branch("cut-off", "CREATE PROCEDURE p() SELECT 1")
    branches, standing = here.service.branches, here.service.standing
    record, schema = await branches.get("cut-off"), await branches.read("cut-off")
    (lost,) = (code for code in schema.code if code.name == "tidy")
    handovers = standing._handovers
    await handovers.note(record.id, replace(schema, tables={}, opaque={}, code=(lost,)))
    record = await branches.change(record, safe_migrations=True)
    async with await Connection.open(await branches.admin(record), database="shop") as admin:
        await admin.execute("DROP TRIGGER tidy")
    await standing.take_up()
    after = {code.name: code for code in (await branches.read("cut-off")).code}
    assert after["tidy"] == lost
    assert after["tidy"].definer == after["p"].definer == here.service.targets.definers.new
    assert await handovers.begun() == {}
    await handovers.note(record.id)
    await here.call("DELETE", "/branches/cut-off", expect=204)
    assert await handovers.begun() == {}


async def spare_administrator(running: Running, branch: str) -> Server:
    """Make an administrator of a branch's server besides ours, and return the server with it."""
    admin = await running.service.branches.admin(await running.service.branches.get(branch))
    async with await Connection.open(admin) as connection:
        await connection.execute("CREATE USER spare@localhost IDENTIFIED BY 'spare'")
        await connection.execute("GRANT ALL ON *.* TO spare@localhost WITH GRANT OPTION")
    return replace(admin, account=Account("spare", "spare"))


async def shut_us_out(running: Running, spare: Server, *, out: bool = True) -> None:
    """Have a branch's server refuse our own administrator, or let it in again."""
    ours = running.service.branches._host.admin
    async with await Connection.open(spare) as link:
        for (host,) in await link.fetch_all("SELECT Host FROM mysql.user WHERE User = %s", ours.user):
            password = "another" if out else ours.password
            await link.execute("ALTER USER %s@%s IDENTIFIED BY %s", ours.user, host, password)


async def test_safe_migrations_that_fail_and_cannot_be_taken_back_say_so_and_are_off(
    here: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    await here.call("POST", "/branches", {"name": "walled"}, expect=201)
    await here.on_branch("walled", "CREATE PROCEDURE mine() SELECT 1")
    branches = here.service.branches
    spare, restart = await spare_administrator(here, "walled"), branches.restart

    async def restart_and_be_shut_out(record: BranchRecord) -> Server:
        server = await restart(record)
        await shut_us_out(here, spare)
        return server

    monkeypatch.setattr(branches, "restart", restart_and_be_shut_out)
    said = await refused(here, "POST", "/branches/walled/safe-migrations")
    monkeypatch.undo()
    assert "cannot have safe migrations: its server does not go along" in said
    assert said.endswith("with: headgate branch safe-migrations disable shop walled")
    assert (await here.call("GET", "/branches/walled"))["safe_migrations"] is False
    assert (await branches.get("walled")).id in await here.service.standing._handovers.begun()
    assert "cannot be finished" in await refused(here, "DELETE", "/branches/walled/safe-migrations")

    await shut_us_out(here, spare, out=False)
    await here.call("DELETE", "/branches/walled/safe-migrations")
    assert await here.service.standing._handovers.begun() == {}
    await here.on_branch("walled", "CREATE TABLE t (id INT PRIMARY KEY)", "CALL mine()")
    assert (await here.call("POST", "/branches/walled/safe-migrations"))["safe_migrations"] is True
    await here.call("DELETE", "/branches/walled", expect=204)


async def test_who_is_killed_before_the_rights_are_taken_takes_them_at_the_next_start(here: Running) -> None:
    await here.call("POST", "/branches", {"name": "half"}, expect=201)
    branches, standing = here.service.branches, here.service.standing
    record = await branches.get("half")
    await branches.wake("half")
    await standing._handovers.begin(record.id)
    await branches.change(record, safe_migrations=True)
    await standing.take_up()
    assert "denied" in await prove_no_ddl(await branches.wake("half"), "shop")
    assert await standing._handovers.begun() == {}
    await here.call("DELETE", "/branches/half", expect=204)


async def test_no_branch_becomes_production_while_its_safe_migrations_are_switched_off(
    here: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    await here.call("POST", "/branches", {"name": "raced"}, expect=201)
    await here.call("POST", "/branches/raced/safe-migrations")
    standing = here.service.standing
    check = standing._check_unneeded

    async def check_and_be_overtaken(record: BranchRecord, so: str, **more: bool) -> None:
        await check(record, so, **more)
        if so == "is not promoted":
            await standing.disable_safe_migrations("raced")

    monkeypatch.setattr(standing, "_check_unneeded", check_and_be_overtaken)
    said = await refused(here, "POST", "/branches/raced/promote")
    monkeypatch.undo()
    assert said.endswith("promote it again with: headgate branch promote shop raced")
    assert not (await here.call("GET", "/branches/raced"))["production"]
    await here.call("DELETE", "/branches/raced", expect=204)


async def test_a_change_goes_from_a_branch_to_staging_and_from_there_to_main(here: Running) -> None:
    await here.call("POST", "/branches", {"name": "phone", "parent_branch": "staging"}, expect=201)
    await here.on_branch("phone", "ALTER TABLE customers ADD COLUMN phone VARCHAR(20) NOT NULL DEFAULT ''")
    first = await here.call("POST", "/deploy-requests", {"branch": "phone"}, expect=201)
    assert first["into_branch"] == "staging"
    number = first["number"]
    await here.call("POST", f"/deploy-requests/{number}/deploy")
    await here.request_until(number, "complete_pending_revert")
    assert await value(here, "staging", "SELECT COUNT(phone) FROM customers") == 2
    with pytest.raises(DatabaseError, match="phone"):
        await value(here, "main", "SELECT phone FROM customers")
    # While it can be reverted, the branch stays as it is.
    for method, path, body in (
        ("DELETE", "/branches/staging/safe-migrations", None),
        ("POST", "/branches/staging/promote", None),
        ("PATCH", "/branches/staging", {"new_name": "preview"}),
        ("DELETE", "/branches/staging", None),
    ):
        assert f"while deploy request {number} is under way" in await refused(here, method, path, body)
    assert await here.service.sleep.needed() == {"staging"}
    await here.call("POST", f"/deploy-requests/{number}/revert")
    await here.request_until(number, "complete_revert")
    with pytest.raises(DatabaseError, match="phone"):
        await value(here, "staging", "SELECT phone FROM customers")
    await here.call("POST", f"/deploy-requests/{number}/redo")
    await here.request_until(number, "complete_pending_revert")
    await here.call("POST", f"/deploy-requests/{number}/skip-revert")
    await here.request_until(number, "complete")
    second = await here.call(
        "POST", "/deploy-requests", {"branch": "staging", "into_branch": "main"}, expect=201
    )
    await here.call("POST", f"/deploy-requests/{second['number']}/deploy")
    await here.request_until(second["number"], "complete_pending_revert")
    assert await value(here, "main", "SELECT COUNT(phone) FROM customers") == 0
    await here.call("POST", f"/deploy-requests/{second['number']}/skip-revert")
    await here.request_until(second["number"], "complete")
    await here.call("DELETE", "/branches/phone", expect=204)


async def test_without_safe_migrations_nothing_can_be_deployed_into_a_branch(here: Running) -> None:
    for name, parent in (("plain", "main"), ("plainer", "plain")):
        await here.call("POST", "/branches", {"name": name, "parent_branch": parent}, expect=201)
    said = await refused(here, "POST", "/deploy-requests", {"branch": "plainer"})
    assert "its safe migrations are off" in said
    assert "headgate branch safe-migrations enable shop plain" in said
    await here.call("PUT", "/branches/plain/safe-migrations", {"safe_migrations": True})
    with pytest.raises(DatabaseError):
        await here.on_branch("plain", "DROP TABLE customers")
    plain = await here.call("PUT", "/branches/plain/safe-migrations", {"safe_migrations": False})
    assert plain["safe_migrations"] is False
    await here.on_branch("plain", "ALTER TABLE customers ADD COLUMN x INT", "CREATE INDEX x ON customers (x)")
    assert "cannot be turned off" in await refused(here, "DELETE", "/branches/main/safe-migrations")
    await here.call("DELETE", "/branches/plain?delete_descendants=true", expect=204)
    left = (await here.call("GET", "/branches"))["data"]
    assert {branch["name"] for branch in left} >= {"main", "staging"}
    assert not {branch["name"] for branch in left} & {"plain", "plainer"}


async def test_lint_errors_keep_safe_migrations_off(here: Running) -> None:
    await here.call("POST", "/branches", {"name": "faulty"}, expect=201)
    await here.on_branch("faulty", "CREATE TABLE loose (a INT)")
    said = await refused(here, "POST", "/branches/faulty/safe-migrations")
    assert "lint error" in said
    assert "headgate branch lint shop faulty" in said
    found = (await here.call("GET", "/branches/faulty/schema/lint"))["data"]
    assert "NO_UNIQUE_KEY" in {entry["lint_error"] for entry in found}
    assert "loose" in {entry["table_name"] for entry in found}
    await here.on_branch("faulty", "ALTER TABLE loose ADD PRIMARY KEY (a)")
    await here.call("POST", "/branches/faulty/promote")
    faulty = await here.call("GET", "/branches/faulty")
    assert (faulty["production"], faulty["safe_migrations"]) == (True, True)
    assert "demote it first" in await refused(here, "DELETE", "/branches/faulty/safe-migrations")
    assert "is production" in await refused(here, "DELETE", "/branches/faulty")
    main, faulty = [
        branch for branch in await here.service.branches.routes() if branch.name in ("main", "faulty")
    ]
    assert main.is_default
    assert not faulty.sleepable
    await here.call("POST", "/branches/main/demote")
    assert "only production branch" in await refused(here, "POST", "/branches/faulty/demote")
    await here.call("POST", "/branches/main/promote")
    await here.call("POST", "/branches/faulty/demote")
    await here.call("DELETE", "/branches/faulty", expect=204)


async def test_a_renamed_branch_keeps_its_passwords_and_children(here: Running) -> None:
    await here.call("POST", "/branches", {"name": "old"}, expect=201)
    await here.call("POST", "/branches", {"name": "child", "parent_branch": "old"}, expect=201)
    made = await here.call("POST", "/branches/old/passwords", {"name": "ci"}, expect=201)
    renamed = await here.call("PATCH", "/branches/old", {"new_name": "new"})
    assert renamed["name"] == "new"
    (user,) = [user for user in await here.service.passwords.users() if user.name == made["username"]]
    assert user.branch == "new"
    assert (await here.call("GET", "/branches/child"))["parent_branch"] == "new"
    await here.call("GET", "/branches/old", expect=404)
    assert "already has a branch" in await refused(here, "PATCH", "/branches/child", {"new_name": "main"})
    await here.call("POST", "/branches/child/default", {"adopt_children": True})
    assert "is the default branch" in await refused(here, "DELETE", "/branches/child")
    assert (await here.call("GET", "/branches/staging"))["parent_branch"] == "child"
    assert (await here.call("GET", ""))["default_branch"] == "child"
    await here.call("POST", "/branches/main/default", {"adopt_children": True})
    assert (await here.call("GET", "/branches/staging"))["parent_branch"] == "main"
    assert (await here.call("PATCH", "", {"default_branch": "main"}))["default_branch"] == "main"
    await here.call("PATCH", "/branches/child", {"deletion_protected": True})
    assert "protected" in await refused(here, "DELETE", "/branches/new?delete_descendants=true")
    await here.call("PATCH", "/branches/child", {"deletion_protected": False})
    await here.call("DELETE", "/branches/new?delete_descendants=true", expect=204)


async def test_a_branch_expires_when_nobody_needs_it_any_more(here: Running) -> None:
    made = await here.call("POST", "/branches", {"name": "ci", "ttl": 172800}, expect=201)
    assert made["ttl_seconds"] == 172800
    assert made["expires_at"]
    assert made["actor"]["display_name"] == "local"
    store, expiry = here.service.branches._store, here.service.expiry
    assert await expiry.look() == []
    await here.call("POST", "/branches", {"name": "below", "parent_branch": "ci"}, expect=201)
    record = await store.change_branch(
        await here.service.branches.get("ci"), expires_at=now() - timedelta(seconds=1)
    )
    assert "'below' was made from it" in await expiry.spared(record)
    # At no moment does nobody need it: the service looks by itself, too.
    await here.on_branch("ci", "ALTER TABLE customers ADD COLUMN y INT")
    request = await here.call("POST", "/deploy-requests", {"branch": "ci", "into_branch": "main"}, expect=201)
    await here.call("DELETE", "/branches/below", expect=204)
    assert f"deploy request {request['number']} needs it" in await expiry.spared(record)
    assert await expiry.look() == []
    await here.call("PATCH", f"/deploy-requests/{request['number']}", {"state": "closed"})
    # Here, or by the service that looks by itself.
    await expiry.look()
    await here.call("GET", "/branches/ci", expect=404)
    gone = await here.call("GET", f"/deploy-requests/{request['number']}")
    assert (gone["branch_deleted"], gone["branch_deleted_by"]["id"]) == (True, "headgate")
    assert "lives for ever" in await refused(here, "PATCH", "/branches/main", {"ttl": 60})


async def test_no_branch_of_a_protected_database_is_deleted(here: Running) -> None:
    await here.call("POST", "/branches", {"name": "kept", "ttl": 3600}, expect=201)
    await here.call("PATCH", "", {"deletion_protected": True})
    said = await refused(here, "DELETE", "/branches/kept")
    assert "headgate database set shop delete_protection=false" in said
    record = await here.service.branches._store.change_branch(
        await here.service.branches.get("kept"), expires_at=now() - timedelta(seconds=1)
    )
    assert "protected" in await here.service.expiry.spared(record)
    assert await here.service.expiry.look() == []
    await here.call("PATCH", "", {"deletion_protected": False})
    await here.service.expiry.look()
    await here.call("GET", "/branches/kept", expect=404)


async def test_branches_are_listed_as_asked_for(here: Running) -> None:
    async def names(query: str) -> list[str]:
        return [branch["name"] for branch in (await here.call("GET", f"/branches?{query}"))["data"]]

    assert await names("q=stag") == ["staging"]
    assert await names("production=true") == ["main"]
    assert await names("safe_migrations=true&order=desc") == ["staging", "main"]
    assert await names("safe_migrations=false") == []


async def test_a_schema_that_changes_is_noticed_when_it_is_read(here: Running) -> None:
    await here.call("POST", "/branches", {"name": "fresh"}, expect=201)
    before = await here.call("POST", "/branches/fresh/refresh-schema")
    assert before["stale_schema"] is False
    await here.service.branches.note_changed("fresh")
    assert (await here.call("GET", "/branches/fresh"))["stale_schema"] is True
    await here.on_branch("fresh", "CREATE TABLE more (id INT PRIMARY KEY)")
    after = await here.call("POST", "/branches/fresh/refresh-schema")
    assert after["schema_last_updated_at"] > before["schema_last_updated_at"]
    assert after["stale_schema"] is False
    (change,) = (await here.call("GET", "/branches/fresh/diff"))["data"]
    assert change["name"] == "more"
    assert 'class="add"' in change["html"]
    await here.call("DELETE", "/branches/fresh", expect=204)


async def test_a_branch_is_rebased_onto_its_parent_as_that_is_now(here: Running) -> None:
    await here.call("POST", "/branches", {"name": "parent"}, expect=201)
    await here.on_branch("parent", "CREATE TABLE notes (id INT PRIMARY KEY, text TEXT)")
    await here.call("POST", "/branches", {"name": "late", "parent_branch": "parent"}, expect=201)
    await here.on_branch(
        "late",
        "INSERT INTO notes VALUES (1, 'kept')",
        "ALTER TABLE notes ADD COLUMN at DATETIME",
        "CREATE VIEW texts AS SELECT text FROM notes",
        "CREATE TRIGGER stamped BEFORE INSERT ON notes FOR EACH ROW SET NEW.at = '2026-01-01'",
    )
    await here.on_branch(
        "parent", "ALTER TABLE notes ADD COLUMN author VARCHAR(9)", "CREATE TABLE tags (id INT PRIMARY KEY)"
    )
    done = await here.call("POST", "/branches/late/rebase")
    assert (done["onto"], done["left_out"]) == ("parent", [])
    assert {change["name"] for change in done["changes"]} == {"notes", "tags"}
    await here.on_branch(
        "late", "INSERT INTO notes (id, author) VALUES (2, 'Ada')", "INSERT INTO tags VALUES (1)"
    )
    assert await value(here, "late", "SELECT COUNT(*) FROM texts") == 2
    assert str(await value(here, "late", "SELECT at FROM notes WHERE id = 2")).startswith("2026-01-01")
    # Its own change is what is left to deploy.
    own = (await here.call("GET", "/branches/late/diff"))["data"]
    assert "author" not in "".join(
        line for change in own for line in change["raw"].splitlines() if "+" in line[:1]
    )
    await here.on_branch("late", "ALTER TABLE notes MODIFY author VARCHAR(20)")
    await here.on_branch("parent", "ALTER TABLE notes MODIFY author VARCHAR(30)")
    said = await refused(here, "POST", "/branches/late/rebase")
    assert "conflicts with 'parent'" in said
    assert "--drop-conflicts" in said
    assert "20" in str(
        await value(
            here,
            "late",
            "SELECT COLUMN_TYPE FROM information_schema.COLUMNS "
            "WHERE TABLE_NAME = 'notes' AND COLUMN_NAME = 'author'",
        )
    )
    done = await here.call("POST", "/branches/late/rebase", {"drop_conflicts": True})
    assert len(done["left_out"]) == 1
    await here.on_branch("late", "UPDATE notes SET author = REPEAT('x', 30)")
    assert await value(here, "late", "SELECT COUNT(*) FROM notes WHERE text = 'kept'") == 1
    await here.call("DELETE", "/branches/parent?delete_descendants=true", expect=204)


async def test_a_rebase_that_the_rows_do_not_allow_takes_no_program_away(here: Running) -> None:
    await here.call("POST", "/branches", {"name": "stricter"}, expect=201)
    await here.on_branch("stricter", "CREATE TABLE notes (id INT PRIMARY KEY, n INT)")
    await here.call("POST", "/branches", {"name": "looser", "parent_branch": "stricter"}, expect=201)
    await here.on_branch(
        "looser",
        "INSERT INTO notes VALUES (1, NULL)",
        "CREATE PROCEDURE mine() SELECT 1",
        "CREATE TRIGGER stamped BEFORE INSERT ON notes FOR EACH ROW SET NEW.n = 1",
        "CREATE VIEW numbers AS SELECT n FROM notes",
    )
    await here.on_branch("stricter", "ALTER TABLE notes MODIFY n INT NOT NULL")
    before = (await here.service.branches.read("looser")).code
    assert "does not take its new schema" in await refused(here, "POST", "/branches/looser/rebase")
    assert (await here.service.branches.read("looser")).code == before
    assert await here.service.standing._handovers.begun() == {}
    await here.on_branch("looser", "UPDATE notes SET n = 2")
    await here.call("POST", "/branches/looser/rebase")
    after = {code.name for code in (await here.service.branches.read("looser")).code}
    assert after >= {"mine", "stamped", "numbers"}
    await here.call("DELETE", "/branches/stricter?delete_descendants=true", expect=204)


async def test_programs_that_a_rebase_could_not_put_back_come_back_with_the_next(
    here: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    await here.call("POST", "/branches", {"name": "strict"}, expect=201)
    await here.on_branch("strict", "CREATE TABLE notes (id INT PRIMARY KEY, n INT)")
    await here.call("POST", "/branches", {"name": "loose", "parent_branch": "strict"}, expect=201)
    await here.on_branch("loose", "INSERT INTO notes VALUES (1, NULL)", "CREATE PROCEDURE mine() SELECT 1")
    await here.on_branch("strict", "ALTER TABLE notes MODIFY n INT NOT NULL")
    before = (await here.service.branches.read("loose")).code
    spare = await spare_administrator(here, "loose")
    become = rebasing._become

    async def become_and_be_shut_out(*what: Any) -> None:
        await shut_us_out(here, spare)
        await become(*what)

    monkeypatch.setattr(rebasing, "_become", become_and_be_shut_out)
    said = await refused(here, "POST", "/branches/loose/rebase")
    monkeypatch.undo()
    assert "does not take its new schema" in said
    assert said.endswith("with: headgate branch rebase shop loose")
    await shut_us_out(here, spare, out=False)
    await here.on_branch("loose", "UPDATE notes SET n = 2")
    await here.call("POST", "/branches/loose/rebase")
    assert (await here.service.branches.read("loose")).code == before
    assert await here.service.standing._handovers.begun() == {}
    await here.call("DELETE", "/branches/strict?delete_descendants=true", expect=204)


async def test_who_is_killed_at_the_end_of_a_rebase_brings_no_dropped_program_back(
    here: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    await here.call("POST", "/branches", {"name": "tidied"}, expect=201)
    await here.on_branch("tidied", "CREATE PROCEDURE gone() SELECT 1", "CREATE PROCEDURE kept() SELECT 1")
    await here.call("POST", "/branches", {"name": "behind", "parent_branch": "tidied"}, expect=201)
    await here.on_branch("tidied", "DROP PROCEDURE gone")
    standing = here.service.standing

    async def killed(branch_id: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(standing._handovers, "end", killed)
    with pytest.raises(KeyboardInterrupt):
        await standing.rebase("behind")
    monkeypatch.undo()
    await standing.take_up()
    assert await standing._handovers.begun() == {}
    assert {code.name for code in (await here.service.branches.read("behind")).code} >= {"kept"}
    assert (await here.call("GET", "/branches/behind/diff"))["data"] == []
    await here.call("DELETE", "/branches/tidied?delete_descendants=true", expect=204)


async def test_a_rebase_is_no_way_around_deploy_requests(here: Running) -> None:
    """Neither into production, nor for members into staging; nor is it one to the rights of the engine."""
    await here.call("POST", "/branches", {"name": "blue"}, expect=201)
    await here.call("POST", "/branches", {"name": "mine"}, expect=201)
    await here.on_branch("blue", "CREATE PROCEDURE p() SELECT 1", "CREATE VIEW only AS SELECT 1 AS one")
    await here.call("POST", "/branches/blue/safe-migrations")
    organization = "/v1/organizations/local"
    token = (await here.http.post(f"{organization}/service-tokens", json={"name": "member"})).json()
    answer = await here.http.post(
        f"{organization}/databases/shop/branches/blue/rebase",
        json={"onto": "mine"},
        headers={"Authorization": f"{token['id']}:{token['token']}"},
    )
    assert answer.status_code == 403
    await here.http.delete(f"{organization}/service-tokens/{token['id']}")
    await here.call("POST", "/branches/blue/rebase", {"onto": "mine"})
    for query in (
        "SELECT DEFINER FROM information_schema.ROUTINES WHERE ROUTINE_NAME = 'p'",
        "SELECT DEFINER FROM information_schema.VIEWS WHERE TABLE_NAME = 'only'",
    ):
        record = await here.service.branches.get("blue")
        async with await Connection.open(await here.service.branches.admin(record), database="shop") as admin:
            assert await admin.fetch_value(query) == "headgate_definer@%"
    await here.call("POST", "/branches/blue/promote")
    said = await refused(here, "POST", "/branches/blue/rebase", {"onto": "mine"})
    assert "is production, which takes no direct schema changes" in said
    await here.call("POST", "/branches/blue/demote")
    await here.call("DELETE", "/branches/blue", expect=204)
    await here.call("DELETE", "/branches/mine", expect=204)
