"""Who may call what of the API, and what the audit log keeps of it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from control.api.app import make_app
from control.api.recorder import ACTIONS, LOOKING, key
from router.errors import ServerFailed
from tests.support.service import Running

O = "/v1/organizations/local"  # noqa: E741 - as the API's description calls it


@contextlib.asynccontextmanager
async def calling(running: Running, access: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client with a token of its own."""
    made = (await running.http.post(f"{O}/service-tokens", json={"name": access, "access": access})).json()
    transport = httpx.ASGITransport(make_app(running.service), client=("192.0.2.7", 4711))
    headers = {"Authorization": f"{made['id']}:{made['token']}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://headgate", headers=headers) as client:
        yield client
    assert (await running.http.delete(f"{O}/service-tokens/{made['id']}")).status_code == 204


async def newest(running: Running, **query: Any) -> Any:
    return (await running.http.get(f"{O}/audit-log", params=query)).json()["data"][0]


async def test_a_token_is_made_listed_without_its_secret_used_and_deleted(running: Running) -> None:
    made = await running.http.post(f"{O}/service-tokens", json={"name": "ci", "ttl": 600})
    assert made.status_code == 200
    token = made.json()
    assert token["access"] == "member"
    assert token["expires_at"] is not None
    listed = (await running.http.get(f"{O}/service-tokens")).json()["data"]
    assert [(one["id"], one["name"], one["token"]) for one in listed] == [(token["id"], "ci", None)]
    headers = {"Authorization": f"{token['id']}:{token['token']}"}
    assert (await running.http.get("/v1/organizations", headers=headers)).status_code == 200
    shown = (await running.http.get(f"{O}/service-tokens/{token['id']}")).json()
    assert shown["last_used_at"] is not None
    assert (await running.http.delete(f"{O}/service-tokens/{token['id']}")).status_code == 204
    assert (await running.http.delete(f"{O}/service-tokens/{token['id']}")).status_code == 404
    assert (await running.http.get("/v1/organizations", headers=headers)).status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/service-tokens", None),
        ("POST", "/service-tokens", {"name": "more", "access": "admin"}),
        ("DELETE", "/service-tokens/none", None),
        ("GET", "/audit-log", None),
        ("POST", "/reload", {}),
        ("PATCH", "/databases/shop", {"require_approval_for_deploy": True}),
        ("POST", "/databases/shop/aggressive-cutover", {}),
        ("DELETE", "/databases/shop/aggressive-cutover", None),
        ("PATCH", "/databases/shop/throttler", {"ratio": 50}),
        ("POST", "/databases/shop/lint-suppressions", {"lint_error": "NO_UNIQUE_KEY", "reason": "why not"}),
        ("POST", "/databases/shop/drift/adopt", {}),
        ("POST", "/databases/shop/branches/main/demote", {}),
        ("DELETE", "/databases/shop/branches/main/safe-migrations", None),
        ("POST", "/databases/shop/branches/main/passwords", {"name": "mine"}),
    ],
)
async def test_a_member_may_not_do_what_administrators_may(
    running: Running, method: str, path: str, body: Any
) -> None:
    async with calling(running, "member") as member:
        answer = await member.request(method, O + path, json=body)
        assert answer.status_code == 403, answer.text
        assert answer.json()["code"] == "unauthorized"
        assert "only administrators" in answer.json()["message"]


async def test_a_member_takes_no_user_name_from_who_reaches_production(running: Running) -> None:
    shop = f"{O}/databases/shop"
    wish = {"username": "web"}
    for body in (wish, {**wish, "all_branches": True}):
        made = (await running.http.post(f"{shop}/branches/main/passwords", json=body)).json()
        await running.http.post(f"{shop}/branches", json={"name": "of-member"})
        async with calling(running, "member") as member:
            answer = await member.post(f"{shop}/branches/of-member/passwords", json=wish)
            assert answer.status_code == 403, answer.text
            assert "replace 'web', which reaches production" in answer.json()["message"]
            other = (await member.post(f"{shop}/branches/of-member/passwords", json={"username": "x"})).json()
            again = (await member.post(f"{shop}/branches/of-member/passwords", json={"username": "x"})).json()
        listed = (await running.http.get(f"{shop}/passwords")).json()["data"]
        assert {made["id"], again["id"]} <= {one["id"] for one in listed}
        assert other["id"] not in {one["id"] for one in listed}
        await running.http.delete(f"{shop}/branches/main/passwords/{made['id']}")
        await running.http.delete(f"{shop}/branches/of-member")


async def test_a_member_looks_at_everything_else(running: Running) -> None:
    async with calling(running, "member") as member:
        for path in (
            "/databases",
            "/databases/shop",
            "/databases/shop/branches",
            "/databases/shop/throttler",
        ):
            assert (await member.get(O + path)).status_code == 200
        assert (await member.get(f"{O}/databases/shop/deploy-requests")).status_code == 200


async def test_a_reader_looks_and_changes_nothing(running: Running) -> None:
    async with calling(running, "reader") as reader:
        for path in ("", "/branches", "/deploy-requests", "/branches/main/schema", "/drift"):
            assert (await reader.get(f"{O}/databases/shop{path}")).status_code == 200, path
        for action in ACTIONS:
            method, _, path = action.partition(" ")
            path = re.sub(r"\{\w+\}", "1", path.replace("{db}", "shop").replace("{name}", "main"))
            answer = await reader.request(method, O + path, json={})
            assert answer.status_code == 403, action
            assert "may only look" in answer.json()["message"], action
        assert (await reader.get(f"{O}/audit-log")).status_code == 403


async def test_settings_are_changed_by_both_kinds_of_names_and_shown(running: Running) -> None:
    path = f"{O}/databases/shop"
    changes = {"require_approval_for_deploy": True, "column_order": "strict", "unknown_name": 1}
    changed = (await running.http.patch(path, json=changes)).json()
    assert changed["require_approval_for_deploy"] is True
    assert changed["settings"]["column_order"] == "strict"
    entry = await newest(running)
    assert entry["audit_action"] == "database.updated_settings"
    assert entry["metadata"] == {"require_approval": True, "column_order": "strict"}
    refused = await running.http.patch(path, json={"require_approval": True, "column_order": "any"})
    assert refused.status_code == 422
    assert "append, strict" in refused.json()["message"]
    assert (await running.http.patch(path, json={"new_name": "blog"})).status_code == 422
    back = {"require_approval": False, "column_order": "append", "migration_framework": None}
    assert (await running.http.patch(path, json=back)).json()["migration_framework"] is None
    for method, enabled in (("POST", True), ("DELETE", False)):
        answer = (await running.http.request(method, f"{path}/aggressive-cutover")).json()
        assert answer == {"enabled": enabled}
        assert (await running.http.get(f"{path}/aggressive-cutover")).json() == {"enabled": enabled}


async def test_the_audit_log_says_who_did_what_to_what_and_from_where(running: Running) -> None:
    async with calling(running, "admin") as admin:
        made = (await admin.post(f"{O}/databases/shop/branches/main/passwords", json={"name": "web"})).json()
        entry = await newest(running)
        assert entry["actor_display_name"] == "admin"
        assert entry["actor_type"] == "ServiceToken"
        assert (entry["audit_action"], entry["action"]) == ("branch_password.created", "created")
        assert (entry["auditable_type"], entry["auditable_id"]) == ("Password", made["id"])
        assert entry["auditable_display_name"] == "web"
        assert entry["remote_ip"] == "192.0.2.7"
        assert made["plain_text"] not in str(entry)
        await admin.delete(f"{O}/databases/shop/branches/main/passwords/{made['id']}")
    found = await newest(running, **{"filters[]": "audit_action:branch_password.deleted"})
    assert found["auditable_id"] == made["id"]
    none = (await running.http.get(f"{O}/audit-log", params={"filters[]": "audit_action:"})).json()
    assert (none["data"], none["cursor_start"], none["has_next"]) == ([], None, False)


async def test_what_was_done_is_answered_so_even_if_it_could_not_be_recorded(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(running.service.journal, "record", full)
    answer = await running.http.post(f"{O}/databases/shop/aggressive-cutover")
    assert (answer.status_code, answer.json()) == (200, {"enabled": True})
    await running.http.delete(f"{O}/databases/shop/aggressive-cutover")


async def test_what_is_refused_or_only_looked_at_is_not_in_the_audit_log(running: Running) -> None:
    before = await newest(running)
    await running.http.get(f"{O}/databases/shop")
    await running.http.post(f"{O}/databases/shop/deploy-requests/99/deploy")
    await running.http.post(f"{O}/service-tokens", headers={"Authorization": "no:thing"})
    assert (await newest(running))["id"] == before["id"]


async def test_every_way_of_changing_something_has_a_name_in_the_audit_log(running: Running) -> None:
    paths = make_app(running.service).openapi()["paths"]
    changing = {key(method.upper(), path) for path, methods in paths.items() for method in methods}
    assert {each for each in changing if each.split()[0] not in LOOKING} == set(ACTIONS)


async def test_who_asks_and_who_else_there_is_can_be_asked(running: Running) -> None:
    assert (await running.http.get("/v1/user")).json()["display_name"] == "local"
    async with calling(running, "member") as member:
        asked = (await member.get("/v1/user")).json()
        assert (asked["name"], asked["default_organization"]) == ("member", "local")
        found = (await member.get(f"{O}/members", params={"q": "memb"})).json()["data"]
        assert [(one["role"], one["user"]["id"]) for one in found] == [("member", asked["id"])]
        everybody = (await member.get(f"{O}/members")).json()["data"]
        assert everybody[0]["user"]["name"] == "local"
        assert everybody[0]["role"] == "admin"


async def test_what_only_a_host_could_offer_is_answered_as_its_clients_expect(running: Running) -> None:
    assert (await running.http.get(f"{O}/cluster-size-skus?rates=true")).json() == []
    assert (await running.http.get(f"{O}/databases/shop/read-only-regions")).json()["data"] == []
    assert (await running.http.get(f"{O}/databases/shop/passwords")).json()["type"] == "list"
    for method, path in (("POST", "/databases"), ("DELETE", "/databases/shop")):
        refused = await running.http.request(method, O + path, json={"name": "blog"})
        assert (refused.status_code, refused.json()["code"]) == (422, "unprocessable")
        assert "production.database" in refused.json()["message"]


async def test_what_was_changed_before_the_rest_failed_is_recorded(running: Running) -> None:
    body = {"require_approval": True, "default_branch": "nowhere"}
    answer = await running.http.patch(f"{O}/databases/shop", json=body)
    assert answer.status_code == 404
    entry = await newest(running)
    assert entry["audit_action"] == "database.updated_settings"
    assert entry["metadata"] == {"require_approval": True, "failed_with": 404}
    await running.http.patch(f"{O}/databases/shop", json={"require_approval": False})
    body = {"deletion_protected": True, "new_name": "Not A Name"}
    answer = await running.http.patch(f"{O}/databases/shop/branches/main", json=body)
    assert answer.status_code == 422
    entry = await newest(running)
    assert entry["audit_action"] == "branch.changed"
    assert entry["metadata"] == {"deletion_protected": True, "failed_with": 422}
    await running.http.patch(f"{O}/databases/shop/branches/main", json={"deletion_protected": False})


async def test_descendants_that_are_gone_are_recorded_when_their_parent_cannot_be_deleted(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    await running.call("POST", "/branches", {"name": "above"}, expect=201)
    await running.call("POST", "/branches", {"name": "beneath", "parent_branch": "above"}, expect=201)
    branches = running.service.branches
    delete = branches.delete

    async def failing(name: str) -> None:
        if name == "above":
            raise ServerFailed("its server does not stop")
        await delete(name)

    monkeypatch.setattr(branches, "delete", failing)
    path = f"{O}/databases/shop/branches/above?delete_descendants=true"
    assert (await running.http.delete(path)).status_code >= 400
    entry = await newest(running)
    assert entry["audit_action"] == "branch.deleted"
    assert entry["metadata"]["branches"] == ["beneath"]
    assert entry["metadata"]["failed_with"] >= 400
    monkeypatch.undo()
    await running.call("DELETE", "/branches/above", expect=204)
    assert (await newest(running))["metadata"] == {"branches": ["above"]}


async def test_half_a_character_is_refused_before_anything_is_done(running: Running) -> None:
    path, headers = f"{O}/databases/shop", {"Content-Type": "application/json"}
    for half in (b"\\ud800", b"\\udc00", b"\\ud800\\u0041"):
        body = b'{"migration_framework": "other", "migration_table": "' + half + b'"}'
        answer = await running.http.patch(path, content=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    whole = b'{"name": "\\ud83d\\ude00"}'
    made = await running.http.post(f"{path}/branches/main/passwords", content=whole, headers=headers)
    assert made.status_code == 201
    assert made.json()["name"] == "\U0001f600"
    await running.http.delete(f"{path}/branches/main/passwords/{made.json()['id']}")
