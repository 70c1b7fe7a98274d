"""The commands of branches against a running Headgate, its proxy and its servers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest

from conf.settings import run_dir
from control.assembly import ADMIN_USER
from router.hosts import PRODUCTION
from tests.support.headgate import Headgate, data, refused, run_on, running_in, said


@pytest.fixture(scope="module")
def headgate(server_folder: Path) -> Iterator[Headgate]:
    """One Headgate that runs for all of these tests."""
    with running_in(server_folder / "branch-commands") as headgate:
        yield headgate


def on_production(headgate: Headgate, statement: str) -> None:
    """Run a statement on the embedded production server past Headgate, with every right."""
    secrets = json.loads((headgate.state / "secrets.json").read_text())
    (folder,) = (headgate.state / "servers").glob(PRODUCTION)
    with (
        pymysql.connect(
            unix_socket=str(run_dir(folder) / "server.sock"),
            user=ADMIN_USER,
            password=secrets[ADMIN_USER],
            database="shop",
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)


def names(headgate: Headgate, *filters: str) -> set[str]:
    return {branch["name"] for branch in data(headgate, "branch", "list", "shop", *filters)}


def test_staging_by_commands_refuses_ddl_to_its_clients_at_the_proxy(headgate: Headgate) -> None:
    made = data(headgate, "branch", "create", "shop", "staging")
    run_on(headgate, made["password"], "CREATE TABLE notes (id INT PRIMARY KEY, text VARCHAR(40))")
    assert "refuses direct DDL now" in said(
        headgate, "branch", "safe-migrations", "enable", "shop", "staging"
    )
    with pytest.raises(pymysql.err.Error) as refusal:
        run_on(headgate, made["password"], "ALTER TABLE notes ADD COLUMN more INT")
    assert refusal.value.args[0] == 1105
    assert "direct DDL is disabled" in str(refusal.value)
    run_on(headgate, made["password"], "INSERT INTO notes VALUES (1, 'Ada')")
    assert names(headgate, "--safe-migrations") == {"main", "staging"}
    assert names(headgate, "--development") == {"staging"}
    assert "staging" not in names(headgate, "-q", "nothing")
    assert "Nothing is found." in said(headgate, "branch", "lint", "shop", "main")
    assert "takes direct DDL again" in said(
        headgate, "branch", "safe-migrations", "disable", "shop", "staging"
    )
    run_on(headgate, made["password"], "ALTER TABLE notes ADD COLUMN more INT")


def test_a_branch_is_renamed_promoted_and_deleted_by_commands(headgate: Headgate) -> None:
    made = data(headgate, "branch", "create", "shop", "blue", "--ttl", "2d")
    assert made["expires_at"]
    assert "green now" in said(headgate, "branch", "rename", "shop", "blue", "green")
    assert run_on(headgate, made["password"], "SELECT 1") == [[(1,)]]
    assert "lives for 90m" in said(headgate, "branch", "expire", "shop", "green", "90m")
    assert "lives for ever" in said(headgate, "branch", "expire", "shop", "green", "0")
    assert "cannot be deleted" in said(headgate, "branch", "protect", "shop", "green")
    assert "unprotect shop green" in refused(headgate, "branch", "delete", "shop", "green", "--force")
    said(headgate, "branch", "unprotect", "shop", "green")
    assert "is production" in said(headgate, "branch", "promote", "shop", "green")
    assert names(headgate, "--production") == {"main", "green"}
    assert "headgate branch demote shop green" in refused(
        headgate, "branch", "delete", "shop", "green", "--force"
    )
    said(headgate, "branch", "demote", "shop", "green")
    said(headgate, "branch", "default", "shop", "green")
    assert "default branch" in refused(headgate, "branch", "delete", "shop", "green", "--force")
    said(headgate, "branch", "default", "shop", "main", "--adopt-children")
    said(headgate, "branch", "create", "shop", "below", "--from", "green")
    said(headgate, "branch", "delete", "shop", "green", "--delete-descendants", "--force")
    assert not {"green", "below"} & names(headgate)
    assert "is no time" in refused(headgate, "branch", "expire", "shop", "main", "soon", status=2)


def test_rows_are_copied_masked_and_rebased_over_by_commands(headgate: Headgate) -> None:
    parent = data(headgate, "branch", "create", "shop", "people")
    run_on(
        headgate,
        parent["password"],
        "CREATE TABLE people (id INT PRIMARY KEY, email VARCHAR(60) NOT NULL)",
        "INSERT INTO people VALUES (1, 'ada@example.org'), (2, 'alan@example.org')",
    )
    child = data(
        headgate,
        *("branch", "create", "shop", "masked", "--from", "people"),
        *("--seed-data", "sample", "--rows", "10", "--mask", "people.email=email"),
    )
    assert (child["ready"], child["seed_data"]) == (True, "sample")
    ((emails,),) = [run_on(headgate, child["password"], "SELECT email FROM people ORDER BY id")]
    assert len(emails) == 2
    assert all("@example.com" in str(email) for (email,) in emails)
    assert "no such column" in refused(
        headgate,
        *("branch", "create", "shop", "never", "--from", "people"),
        *("--seed-data", "all", "--mask", "people.phone=null"),
    )
    run_on(headgate, parent["password"], "ALTER TABLE people ADD COLUMN born DATE")
    rebased = said(headgate, "branch", "rebase", "shop", "masked")
    assert "born" in rebased
    assert "goes by people as it is now" in rebased
    assert run_on(headgate, child["password"], "SELECT COUNT(born), COUNT(*) FROM people") == [[(0, 2)]]
    assert "is read" in said(headgate, "branch", "refresh-schema", "shop", "masked")
    log = data(headgate, "audit-log", "list")
    assert {"created", "rebased"} <= {entry["action"] for entry in log}


def test_commands_are_about_the_branch_that_was_switched_to(
    headgate: Headgate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "src").mkdir()
    monkeypatch.chdir(tmp_path / "src")
    file = tmp_path / ".pscale.yml"
    assert "headgate branch switch BRANCH" in refused(headgate, "branch", "diff", status=2)
    assert "--create" in refused(headgate, "branch", "switch", "here")
    assert not file.exists()
    made = data(headgate, "branch", "switch", "here", "--create", "--parent-branch", "main", "--wait")
    assert made == {
        "org": "local",
        "database": "shop",
        "branch": "here",
        "created": True,
        "file": str(file),
    }
    assert file.read_text() == "org: local\ndatabase: shop\nbranch: here\n"
    password = data(headgate, "password", "create", "shop", "here")
    run_on(headgate, password, "CREATE TABLE desks (id INT PRIMARY KEY)")

    shown = headgate.run_here("branch", "diff")
    assert (shown.returncode, "desks" in shown.stdout) == (0, True)
    assert shown.stderr == f"here of shop, as {file} says\n"
    assert {"main", "here"} <= {branch["name"] for branch in data(headgate, "branch", "list")}
    assert [each["branch"] for each in [data(headgate, "deploy-request", "create")]] == ["here"]
    assert data(headgate, "deploy-request", "show")["branch"] == "here"
    assert data(headgate, "deploy-request", "show", "shop")["branch"] == "here"
    assert data(headgate, "branch", "show", "shop", "main")[0]["name"] == "main"
    said(headgate, "deploy-request", "close", "shop", "here")

    assert "created" in said(headgate, "--format", "json", "branch", "switch", "main")
    assert "branch: main" in file.read_text()
    said(headgate, "branch", "switch", "here")
    said(headgate, "branch", "delete", "shop", "here", "--force")
    assert (
        refused(headgate, "--format", "json", "branch", "diff")
        .rstrip()
        .endswith(f"{file} names it: choose another branch with: headgate branch switch BRANCH")
    )


def test_a_project_that_is_about_something_else_is_not_guessed_at(
    headgate: Headgate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / ".pscale.yml"
    file.write_text("org: acme\ndatabase: shop\nbranch: main\n")
    assert "HEADGATE_CONTROL_ORGANIZATION=acme" in refused(headgate, "branch", "schema", status=2)
    file.write_text("org: local\ndatabase: other\nbranch: main\n")
    assert "--database shop" in refused(headgate, "branch", "schema", "shop", status=2)
    assert "there is no database 'other'" in refused(headgate, "--format", "json", "branch", "schema")
    assert "there is no database 'other'" in refused(headgate, "branch", "switch", "main", "--create")
    file.write_text("org: local\ndatabase: shop\n")
    assert "does not say" in refused(headgate, "branch", "schema", status=2)
    file.write_text("org: local\nbranch main\n")
    assert "line 2" in refused(headgate, "branch", "schema", status=2)
    assert "line 2" in refused(headgate, "branch", "switch", "main", status=2)
    # What names both asks no file.
    said(headgate, "branch", "schema", "shop", "main")
    file.unlink()
    assert "--create" in refused(headgate, "branch", "switch", "main", "--parent-branch", "main", status=2)
    for verb in ("delete", "promote", "demote"):
        assert "Missing argument" in refused(headgate, "branch", verb, status=2)


def test_drift_is_adopted_as_it_was_shown(headgate: Headgate) -> None:
    drift = ("database", "drift", "shop")
    # The first table of an empty database is nobody's change.
    on_production(headgate, "CREATE TABLE by_hand (id INT PRIMARY KEY)")
    assert "as it should be" in said(headgate, *drift)
    on_production(headgate, "ALTER TABLE by_hand ADD COLUMN seen INT")
    shown = said(headgate, *drift)
    assert "by_hand" in shown
    (digest,) = (line.split("--seen ")[1] for line in shown.splitlines() if "--seen " in line)
    on_production(headgate, "ALTER TABLE by_hand ADD COLUMN unseen INT")
    assert "headgate database drift shop" in refused(headgate, *drift, "--adopt", "--seen", digest)
    assert "--seen" in refused(headgate, "--format", "json", *drift, "--adopt", status=2)
    assert "--seen" in refused(headgate, *drift, "--seen", digest, status=2)
    # Nobody is there to be asked.
    asked = headgate.run_here(*drift, "--adopt")
    assert (asked.returncode, "unseen" in asked.stdout) == (1, True)
    found = data(headgate, *drift)
    assert found["state"] == "open"
    adopted = said(headgate, *drift, "--adopt", "--seen", found["digest"])
    assert "how production should be from now on" in adopted
    assert "as it should be" in said(headgate, *drift)
