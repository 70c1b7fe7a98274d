"""Every command against a running Headgate, as people and programs use it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from control import client
from tests.support.headgate import Headgate, data, refused, rows, run_on, running_in, said


@pytest.fixture(scope="module")
def headgate(server_folder: Path) -> Iterator[Headgate]:
    """One Headgate that runs for all of these tests."""
    with running_in(server_folder / "cli") as headgate:
        yield headgate


def test_a_change_from_branch_to_production_and_back_by_commands(headgate: Headgate) -> None:
    started = headgate.run("branch", "create", "shop", "add-coupons")
    assert started.returncode == 0, started.stderr
    made = started.stdout
    assert "Branch add-coupons is ready" in made
    command = re.search(r"mysql -h 127\.0\.0\.1 -P (\d+) -u (\w+) -p(\w+) shop", made)
    assert command
    assert int(command[1]) == headgate.proxy_port
    with headgate.connect(command[2], command[3]) as developer:
        rows(developer, "CREATE TABLE coupons (code VARCHAR(20) PRIMARY KEY)")
    assert "The branch is as it was made." not in said(headgate, "branch", "diff", "shop", "add-coupons")
    assert "coupons" in said(headgate, "branch", "schema", "shop", "add-coupons")
    assert "The branch has no tables." in said(headgate, "branch", "schema", "shop", "main")
    assert "add-coupons" in said(headgate, "branch", "list", "shop")
    assert "add-coupons" in said(headgate, "branch", "show", "shop", "add-coupons")

    created = said(headgate, "deploy-request", "create", "shop", "add-coupons", "--notes", "for spring")
    assert "coupons" in created
    assert "1" in said(headgate, "deploy-request", "list", "shop")
    assert "add-coupons" in said(headgate, "deploy-request", "show", "shop", "1")
    assert "coupons" in said(headgate, "deploy-request", "diff", "shop", "1")
    assert "headgate deploy-request revert shop 1" in said(
        headgate, "deploy-request", "deploy", "shop", "1", "--wait"
    )
    assert "coupons" in said(headgate, "branch", "schema", "shop", "main")
    assert "reverted" in said(headgate, "deploy-request", "revert", "shop", "1")
    assert "The branch has no tables." in said(headgate, "branch", "schema", "shop", "main")
    assert "is deployed" in said(headgate, "deploy-request", "redo", "shop", "1")
    assert "can be taken back" in said(headgate, "deploy-request", "revert", "shop", "1", "--lose")
    assert "taken back until" in said(headgate, "deploy-request", "show", "shop", "1")
    assert "is over" in said(headgate, "deploy-request", "skip-revert", "shop", "1")
    assert "taken back" in refused(headgate, "deploy-request", "redo", "shop", "1")
    history = said(headgate, "deploy-request", "history", "shop", "1")
    assert "complete_revert" in history
    assert "is deleted" in said(headgate, "branch", "delete", "shop", "add-coupons", "--force")


def test_programs_get_json_from_every_command(headgate: Headgate) -> None:
    assert data(headgate, "database", "list")[0]["name"] == "shop"
    assert data(headgate, "database", "show", "shop")[0]["default_branch"] == "main"
    assert data(headgate, "database", "garbage", "shop") == []
    branch = data(headgate, "branch", "create", "shop", "json")
    assert branch["command"].startswith("mysql -h ")
    run_on(headgate, branch["password"], "CREATE TABLE json_table (id INT PRIMARY KEY)")
    assert {one["name"] for one in data(headgate, "branch", "list", "shop")} >= {"main", "json"}
    assert data(headgate, "branch", "show", "shop", "json")[0]["name"] == "json"
    assert [one["name"] for one in data(headgate, "branch", "diff", "shop", "json")] == ["json_table"]
    assert [one["name"] for one in data(headgate, "branch", "schema", "shop", "json")] == ["json_table"]
    created = data(headgate, "deploy-request", "create", "shop", "json", "--disable-auto-apply")
    number = str(created["number"])
    assert str(data(headgate, "deploy-request", "list", "shop")[0]["number"]) == number
    assert str(data(headgate, "deploy-request", "show", "shop", number)["number"]) == number
    assert data(headgate, "deploy-request", "diff", "shop", number)[0]["name"] == "json_table"
    waiting = data(headgate, "deploy-request", "deploy", "shop", number, "--wait")
    assert waiting["deployment_state"] == "pending_cutover"
    applied = data(headgate, "deploy-request", "apply", "shop", number, "--wait")
    assert applied["deployment_state"] == "complete_pending_revert"
    assert data(headgate, "deploy-request", "history", "shop", number)[0]["after"] == "pending"
    assert data(headgate, "deploy-request", "skip-revert", "shop", number)["number"] == created["number"]
    password = data(headgate, "password", "create", "shop", "json", "ci")
    assert password["plain_text"].startswith("hg_pw_")
    listed = data(headgate, "password", "list", "shop", "json")
    assert {one["name"] for one in listed} == {"ci", "created with branch"}
    assert all(one["plain_text"] is None for one in listed)
    deleted = data(headgate, "password", "delete", "shop", "json", password["id"])
    assert deleted == {"id": password["id"], "deleted": True}
    assert data(headgate, "branch", "delete", "shop", "json", "--force") == {"name": "json", "deleted": True}
    assert isinstance(data(headgate, "check-config"), list)


def test_copying_can_be_limited_and_paused(headgate: Headgate) -> None:
    assert "No ratio is set." in said(headgate, "database", "throttle", "shop")
    changed = said(headgate, "database", "throttle", "shop", "--ratio", "80", "--for", "60")
    assert re.search(r"The ratio is 80 until [-0-9 ]*\d\d:\d\d:\d\d UTC", changed)
    assert data(headgate, "database", "throttle", "shop", "--pause")["paused"] is True
    assert data(headgate, "database", "throttle", "shop", "--resume")["ratio"] == 80
    assert data(headgate, "database", "throttle", "shop", "--clear")["own"] is False
    branch = data(headgate, "branch", "create", "shop", "limited")
    run_on(headgate, branch["password"], "CREATE TABLE limited (id INT PRIMARY KEY)")
    number = str(data(headgate, "deploy-request", "create", "shop", "limited")["number"])
    assert "copying takes 50 % at most" in said(
        headgate, "deploy-request", "throttle", "shop", number, "--ratio", "50"
    )
    assert "Copying is paused." in said(headgate, "deploy-request", "throttle", "shop", number, "--pause")
    assert "no deploy request 999" in refused(headgate, "deploy-request", "throttle", "shop", "999")


def test_a_deploy_can_be_cancelled_and_a_request_closed(headgate: Headgate) -> None:
    branch = data(headgate, "branch", "create", "shop", "cancelled")
    run_on(headgate, branch["password"], "CREATE TABLE never (id INT PRIMARY KEY)")
    created = data(headgate, "deploy-request", "create", "shop", "cancelled", "--disable-auto-apply")
    number = str(created["number"])
    said(headgate, "deploy-request", "deploy", "shop", number, "--wait")
    cancelled = data(headgate, "deploy-request", "cancel", "shop", number, "--wait")
    assert cancelled["deployment_state"] == "complete_cancel"
    assert "is closed" in said(headgate, "deploy-request", "close", "shop", number)
    assert "is closed" in refused(headgate, "deploy-request", "deploy", "shop", number)


def test_passwords_are_shown_once_and_let_in_until_deleted(headgate: Headgate) -> None:
    made = data(headgate, "password", "create", "shop", "main", "--username", "reader", "--all-branches")
    with headgate.connect("reader", made["plain_text"]) as client:
        assert rows(client, "SELECT 1") == [(1,)]
    listed = said(headgate, "password", "list", "shop", "main")
    assert "reader" in listed
    assert made["plain_text"] not in listed
    assert "is deleted" in said(headgate, "password", "delete", "shop", "main", made["id"])
    with pytest.raises(Exception, match="1045"):
        headgate.connect("reader", made["plain_text"])


def test_what_is_refused_ends_with_1_and_a_sentence(headgate: Headgate) -> None:
    assert "no branch 'mian'" in refused(headgate, "branch", "show", "shop", "mian")
    assert "no database 'blog'" in refused(headgate, "branch", "list", "blog")
    assert "no deploy request 99" in refused(headgate, "deploy-request", "show", "shop", "99")
    assert "cannot be the name" in refused(headgate, "branch", "create", "shop", "a/b")
    for verb in (["show"], ["diff"], ["schema"], ["delete", "--force"]):
        assert "cannot be the name" in refused(headgate, "branch", *verb, "shop", "a/b")
    assert "already has a branch" in refused(headgate, "branch", "create", "shop", "main")
    assert "cannot be deleted" in refused(headgate, "branch", "delete", "shop", "main", "--force")
    assert "into itself" in refused(headgate, "deploy-request", "create", "shop", "main")
    assert "has no password" in refused(headgate, "password", "delete", "shop", "main", "none")
    assert "service token" in refused(headgate, "branch", "list", "shop", HEADGATE_TOKEN="wrong")


def test_deleting_a_branch_is_asked_about_first(headgate: Headgate) -> None:
    data(headgate, "branch", "create", "shop", "precious")
    asked = headgate.run_here("branch", "delete", "shop", "precious")
    assert asked.returncode == 1
    assert "Delete branch precious of shop" in asked.stdout + asked.stderr
    assert "precious" in said(headgate, "branch", "list", "shop")


def test_without_a_headgate_the_way_to_start_one_is_told(headgate: Headgate) -> None:
    message = refused(headgate, "branch", "list", "shop", status=2, HEADGATE_URL="http://127.0.0.1:1")
    assert "headgate serve" in message
    assert "HEADGATE_URL" in message


def test_what_answers_but_is_no_headgate_is_told(headgate: Headgate) -> None:
    url = f"http://127.0.0.1:{headgate.proxy_port}"
    done = headgate.run_here("branch", "list", "shop", HEADGATE_URL=url)
    assert done.returncode in (1, 2)
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr


def test_mistakes_in_the_settings_end_any_command_with_2(headgate: Headgate) -> None:
    assert "HEADGATE_PROXY_WORKERS: 'x'" in refused(
        headgate, "branch", "list", "shop", status=2, HEADGATE_PROXY_WORKERS="x"
    )
    assert "no configuration file" in refused(headgate, "--config", "/nowhere.toml", "check-config", status=2)


def test_the_settings_are_checked_and_those_that_differ_shown_without_secrets(headgate: Headgate) -> None:
    done = headgate.run_here("check-config", HEADGATE_PRODUCTION_PROXY_PASSWORD="s3cret")
    assert done.returncode == 0
    assert "The configuration is good." in done.stdout
    assert "proxy.port" in done.stdout
    assert "s3cret" not in done.stdout


def test_every_command_explains_itself(headgate: Headgate) -> None:
    top = said(headgate, "--help")
    for group in ("database", "branch", "deploy-request", "password"):
        assert group in top
        assert said(headgate, group, "--help")
    assert headgate.run("nonsense").returncode == 2


def test_a_list_is_shown_whole_on_however_many_pages_it_comes(
    headgate: Headgate, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [data(headgate, "service-token", "create", name, "--ttl", "1h") for name in ("ann", "bea", "cem")]
    for size in (1, 2, 3, 100):
        monkeypatch.setattr(client, "PAGE", size)
        listed = data(headgate, "service-token", "list")
        assert [each["id"] for each in listed] == [each["id"] for each in made]
    assert data(headgate, "password", "list", "shop", "main") == []
    for each in made:
        said(headgate, "service-token", "delete", each["id"])


def test_people_get_tokens_of_their_own_and_what_they_do_is_in_the_audit_log(headgate: Headgate) -> None:
    made = data(headgate, "service-token", "create", "ada", "--ttl", "1h")
    assert made["token"].startswith("hg_tk_")
    ada = f"{made['id']}:{made['token']}"
    assert "only administrators" in refused(headgate, "audit-log", "list", HEADGATE_TOKEN=ada)
    assert "only administrators" in refused(headgate, "service-token", "create", "bo", HEADGATE_TOKEN=ada)
    assert headgate.run_here("branch", "create", "shop", "of-ada", HEADGATE_TOKEN=ada).returncode == 0
    listed = said(headgate, "service-token", "list")
    assert "ada" in listed
    assert made["token"] not in listed
    entries = data(headgate, "audit-log", "list", "--action", "branch.created", "--limit", "1")
    assert entries[0]["actor_display_name"] == "ada"
    assert entries[0]["auditable_display_name"] == "shop/of-ada"
    assert "of-ada" in said(headgate, "audit-log", "list")
    assert data(headgate, "audit-log", "list", "--action", "service_token.created")
    assert "is deleted" in said(headgate, "service-token", "delete", made["id"])
    assert "service token" in refused(headgate, "branch", "list", "shop", HEADGATE_TOKEN=ada)
    assert made["token"] not in headgate.logs()
    shown = said(headgate, "service-token", "create", "ci", "--access", "admin")
    found = re.search(r"export HEADGATE_TOKEN=([a-z0-9]{12}):hg_tk_\w{36}", shown)
    assert found
    # Where there is another administrator, nobody approves what he has made himself.
    said(headgate, "service-token", "delete", found[1])


def test_what_holds_for_deploy_requests_is_decided_by_settings(headgate: Headgate) -> None:
    assert "require_approval" in said(headgate, "database", "settings", "shop")
    changed = said(headgate, "database", "set", "shop", "require_approval=yes", "revert_window_s=90")
    assert "require_approval is true, revert_window_s is 90" in changed
    assert data(headgate, "database", "settings", "shop")["require_approval"] is True
    assert data(headgate, "database", "set", "shop", "require_approval=no")["require_approval"] is False
    assert "is true or false" in refused(headgate, "database", "set", "shop", "require_approval=perhaps")
    assert "there is no setting 'sleep'" in refused(headgate, "database", "set", "shop", "sleep=1")
    assert "append, strict" in refused(headgate, "database", "set", "shop", "column_order=any")
    assert "disabled for shop" in said(headgate, "database", "aggressive-cutover", "shop")
    assert "enabled for shop" in said(headgate, "database", "aggressive-cutover", "shop", "--enable")
    assert data(headgate, "database", "aggressive-cutover", "shop", "--disable") == {"enabled": False}


def test_a_request_is_reviewed_confirmed_edited_and_found_by_its_branch(headgate: Headgate) -> None:
    branch = data(headgate, "branch", "create", "shop", "reviewed")
    run_on(headgate, branch["password"], "CREATE TABLE reviewed (id INT PRIMARY KEY)")
    created = said(headgate, "deploy-request", "create", "shop", "reviewed", "--notes", "for review")
    assert "headgate deploy-request deploy shop" in created
    assert "+CREATE TABLE `reviewed`" in created
    number = str(data(headgate, "deploy-request", "show", "shop", "reviewed")["number"])
    assert "has your comment" in said(
        headgate, "deploy-request", "review", "shop", "reviewed", "--comment", "why?"
    )
    assert "is approved" in said(headgate, "deploy-request", "review", "shop", number, "--approve")
    assert "why?" in said(headgate, "deploy-request", "reviews", "shop", number)
    assert [one["state"] for one in data(headgate, "deploy-request", "reviews", "shop", number)] == [
        "commented",
        "approved",
    ]
    assert "Nothing of deploy request" in said(headgate, "deploy-request", "confirm", "shop", number)
    edited = said(headgate, "deploy-request", "edit", "shop", number, "--disable-auto-apply", "--keep-branch")
    assert "auto-apply is off, auto-delete-branch is off" in edited
    listed = data(headgate, "deploy-request", "list", "shop", "--state", "open", "--branch", "reviewed")
    assert [str(one["number"]) for one in listed] == [number]
    assert data(headgate, "deploy-request", "list", "shop", "--deployed", "2001-01-01") == []
    assert "is no time" in refused(headgate, "deploy-request", "list", "shop", "--running", "then")
    assert "has no deploy request" in refused(headgate, "deploy-request", "show", "shop", "no-such-branch")
    for verb in ("retry", "unblock", "apply", "redo", "skip-revert"):
        assert "deploy request" in refused(headgate, "deploy-request", verb, "shop", number)
    waiting = data(headgate, "deploy-request", "deploy", "shop", "reviewed", "--wait")
    assert waiting["deployment_state"] == "pending_cutover"
    assert number in said(headgate, "deploy-request", "queue", "shop")
    said(headgate, "deploy-request", "cancel", "shop", number, "--wait")
