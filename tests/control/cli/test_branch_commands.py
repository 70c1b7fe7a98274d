"""The commands of branches against a running Headgate, its proxy and its servers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest

from tests.support.headgate import Headgate, data, refused, run_on, running_in, said


@pytest.fixture(scope="module")
def headgate(server_folder: Path) -> Iterator[Headgate]:
    """One Headgate that runs for all of these tests."""
    with running_in(server_folder / "branch-commands") as headgate:
        yield headgate


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
