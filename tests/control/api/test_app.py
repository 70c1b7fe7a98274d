"""The API's manners: who may call, what errors look like, what is where."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from control.api.app import BODY_BYTES_MAX, make_app
from router.errors import ServerFailed
from router.secrets import SecretsFile
from tests.support.service import Running


def is_problem(answer: httpx.Response, status: int, code: str) -> str:
    """Check an error's shape and return its sentence."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert set(body) == {"code", "message"}
    assert body["code"] == code
    assert body["message"]
    return str(body["message"])


@pytest.mark.parametrize("header", [None, "", "wrong", "localcontrol:wrong", ":", "Bearer x", "\xff:\xff"])
async def test_without_the_token_nothing_below_v1_is_told(running: Running, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header.encode("latin-1")}
    transport = httpx.ASGITransport(make_app(running.service))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://headgate", headers=headers
    ) as stranger:
        for path in ("/v1/organizations", running.database, f"{running.database}/branches"):
            message = is_problem(await stranger.get(path), 401, "unauthorized")
            assert "HEADGATE_TOKEN" in message
            assert running.service.token not in message
        for path in ("/healthz", "/readyz", "/openapi.json"):
            assert (await stranger.get(path)).status_code in (200, 503)


async def test_a_body_is_not_kept_when_it_is_longer_than_any_of_ours(running: Running) -> None:
    transport = httpx.ASGITransport(make_app(running.service))
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1 << 16
            yield b" " * (1 << 16)

    async with httpx.AsyncClient(transport=transport, base_url="http://headgate") as stranger:
        answer = await stranger.post(f"{running.database}/branches", content=endless())
    is_problem(answer, 413, "bad_request")
    assert sent <= BODY_BYTES_MAX + (2 << 16)


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("/v1/organizations/acme", "'acme'"),
        ("/v1/organizations/acme/databases", "'acme'"),
        ("/v1/organizations/acme/databases/shop/branches", "'acme'"),
        ("/v1/organizations/local/databases/blog", "'blog'"),
        ("/v1/organizations/local/databases/blog/branches/main", "'blog'"),
        ("/v1/organizations/local/databases/shop/branches/mian", "(there are: main)"),
        ("/v1/organizations/local/databases/shop/branches/mian/schema", "mian"),
        ("/v1/organizations/local/databases/shop/branches/mian/diff", "mian"),
        ("/v1/organizations/local/databases/shop/branches/mian/passwords", "mian"),
        ("/v1/organizations/local/databases/shop/deploy-requests/99", "no deploy request 99"),
        ("/v1/organizations/local/databases/shop/deploy-requests/99/deployment", "99"),
        ("/v1/organizations/local/databases/shop/deploy-requests/99/operations", "99"),
        ("/v1/organizations/local/databases/shop/deploy-requests/99/history", "99"),
        ("/v1/organizations/local/databases/shop/deploy-requests/99/diff", "99"),
        ("/v1/organizations/local/databases/shop/branches/add/phone", "/openapi.json"),
        ("/v1/nothing", "/openapi.json"),
        ("/nothing", "/openapi.json"),
    ],
)
async def test_what_does_not_exist_is_answered_404_in_our_shape(
    running: Running, path: str, named: str
) -> None:
    assert named in is_problem(await running.http.get(path), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/deploy-requests/99/deploy"),
        ("POST", "/deploy-requests/99/apply-deploy"),
        ("POST", "/deploy-requests/99/cancel"),
        ("POST", "/deploy-requests/99/revert"),
        ("POST", "/deploy-requests/99/skip-revert"),
        ("DELETE", "/branches/mian"),
        ("DELETE", "/branches/main/passwords/none"),
        ("DELETE", "/branches/mian/passwords/none"),
    ],
)
async def test_what_does_not_exist_cannot_be_acted_on(running: Running, method: str, path: str) -> None:
    is_problem(await running.http.request(method, running.database + path), 404, "not_found")


async def test_a_password_for_an_unknown_branch_is_refused_even_if_it_is_for_all(running: Running) -> None:
    for body in ({}, {"all_branches": True}):
        answer = await running.http.post(f"{running.database}/branches/mian/passwords", json=body)
        is_problem(answer, 404, "not_found")


@pytest.mark.parametrize("content", [b"{", b"", b"[]", b'"add-phone"', b"\xff\xfe", b'{"nam": "x"}'])
async def test_a_body_that_is_not_what_is_expected_is_400(running: Running, content: bytes) -> None:
    answer = await running.http.post(
        f"{running.database}/branches", content=content, headers={"Content-Type": "application/json"}
    )
    is_problem(answer, 400, "invalid_params")


@pytest.mark.parametrize("number", ["abc", "0", "-1", "1.5", str(10**30)])
async def test_a_number_that_is_none_is_400(running: Running, number: str) -> None:
    answer = await running.http.get(f"{running.database}/deploy-requests/{number}")
    assert "number" in is_problem(answer, 400, "invalid_params")


@pytest.mark.parametrize("query", ["page=0", "page=x", "per_page=0", "per_page=101", "per_page=-5"])
async def test_a_page_that_cannot_be_is_400(running: Running, query: str) -> None:
    answer = await running.http.get(f"{running.database}/branches?{query}")
    is_problem(answer, 400, "invalid_params")


@pytest.mark.parametrize(
    "name", ["a/b", "A", "", "-a", "a-", "a_b", "a.b", "a b", "x" * 64, "../..", "ä", "a\n", "a\0"]
)
async def test_a_name_that_cannot_be_is_422_and_says_what_can(running: Running, name: str) -> None:
    answer = await running.http.post(f"{running.database}/branches", json={"name": name})
    assert "for example 'add-phone'" in is_problem(answer, 422, "unprocessable")


async def test_a_taken_name_an_unknown_parent_and_production_itself_are_refused(running: Running) -> None:
    branches = f"{running.database}/branches"
    answer = await running.http.post(branches, json={"name": "main"})
    assert "already has a branch 'main'" in is_problem(answer, 422, "unprocessable")
    answer = await running.http.post(branches, json={"name": "new", "parent_branch": "mian"})
    is_problem(answer, 404, "not_found")
    assert "it cannot be deleted" in is_problem(
        await running.http.delete(f"{branches}/main"), 422, "unprocessable"
    )
    assert "no base to compare with" in is_problem(
        await running.http.get(f"{branches}/main/diff"), 422, "unprocessable"
    )


async def test_a_refused_deletion_of_production_cuts_nobody_off(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_off = []
    monkeypatch.setattr(running.service.workers, "cut_off", lambda *branch: cut_off.append(branch))
    is_problem(await running.http.delete(f"{running.database}/branches/main"), 422, "unprocessable")
    assert cut_off == []


async def test_a_deploy_request_needs_a_branch_that_differs_and_goes_into_production(
    running: Running,
) -> None:
    requests = f"{running.database}/deploy-requests"
    is_problem(await running.http.post(requests, json={"branch": "mian"}), 404, "not_found")
    is_problem(
        await running.http.post(requests, json={"branch": "main", "into_branch": "mian"}), 404, "not_found"
    )
    answer = await running.http.post(requests, json={"branch": "main"})
    assert "cannot be deployed into itself" in is_problem(answer, 422, "unprocessable")


@pytest.mark.parametrize("username", ["a.b", "a b", "-a", "ä", "x" * 64, "a'b"])
async def test_a_user_name_that_cannot_be_is_422(running: Running, username: str) -> None:
    answer = await running.http.post(
        f"{running.database}/branches/main/passwords", json={"username": username}
    )
    assert "cannot be a user name" in is_problem(answer, 422, "unprocessable")


async def test_a_wrong_method_is_405_in_our_shape(running: Running) -> None:
    answer = await running.http.put(f"{running.database}/branches")
    assert "PUT cannot be done" in is_problem(answer, 405, "bad_request")


async def test_a_fault_of_ours_is_500_and_tells_nothing_of_it(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(name: str) -> None:
        raise KeyError("an internal detail")

    monkeypatch.setattr(running.service.branches, "get", fail)
    message = is_problem(await running.http.get(f"{running.database}/branches/main"), 500, "internal")
    assert "internal detail" not in message


async def test_a_server_that_does_not_start_and_a_full_disk_are_503(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    for error in (ServerFailed("it ended"), OSError(28, "No space left on device")):

        async def fail(name: str, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(running.service.branches, "get", fail)
        answer = await running.http.get(f"{running.database}/branches/main")
        message = is_problem(answer, 503, "server_failed")
        assert "it ended" in message or "No space left on device" in message


async def test_no_answer_but_the_one_that_makes_a_password_holds_a_secret(running: Running) -> None:
    made = await running.call("POST", "/branches/main/passwords", {"name": "ci"}, expect=201)
    secrets = SecretsFile(running.settings.state_dir / "secrets.json")
    hidden = [made["plain_text"], *secrets._read().values()]
    for path in ("", "/branches", "/branches/main", "/branches/main/passwords", "/branches/mian", "/nothing"):
        text = (await running.http.get(running.database + path)).text
        assert not [secret for secret in hidden if secret in text]
    await running.call("DELETE", f"/branches/main/passwords/{made['id']}", expect=204)
    await running.call("DELETE", f"/branches/main/passwords/{made['id']}", expect=404)


async def test_a_password_says_whether_it_reaches_production_whatever_that_is_called(
    running: Running,
) -> None:
    made = await running.call("POST", "/branches/main/passwords", {"name": "ci"}, expect=201)
    branch = await running.call("PATCH", "/branches/main", {"new_name": "trunk"})
    [shown] = (await running.call("GET", "/branches/trunk/passwords"))["data"]
    assert shown["database_branch"] == {"id": branch["id"], "name": "trunk", "production": True}
    await running.call("PATCH", "/branches/trunk", {"new_name": "main"})
    await running.call("DELETE", f"/branches/main/passwords/{made['id']}", expect=204)


async def test_the_description_lists_the_paths_and_no_page_loads_foreign_scripts(running: Running) -> None:
    assert (await running.http.get("/docs")).status_code == 404
    paths = (await running.http.get("/openapi.json")).json()["paths"]
    assert "/v1/organizations/{org}/databases/{db}/deploy-requests/{number}/revert" in paths


async def test_alive_is_answered_always_and_ready_only_with_a_worker_and_production(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await running.http.get("/healthz")).json() == {"status": "alive"}
    answer = await running.http.get("/readyz")
    assert (answer.status_code, answer.json()["reason"]) == (503, "no proxy worker is connected yet")
    monkeypatch.setattr(type(running.service.workers), "connected", 1)
    assert (await running.http.get("/readyz")).json() == {"status": "ready"}
    production = running.service.branches.production
    gone = replace(production.traffic, address=replace(production.traffic.address, socket="/nowhere"))
    monkeypatch.setattr(running.service.branches, "production", replace(production, traffic=gone))
    answer = await running.http.get("/readyz")
    assert answer.status_code == 503
    assert "production does not answer" in answer.json()["reason"]
    assert gone.account.password not in answer.text


async def test_places_are_where_clients_look_for_them(running: Running) -> None:
    organizations = (await running.http.get("/v1/organizations")).json()
    assert [one["name"] for one in organizations["data"]] == ["local"]
    assert (await running.http.get("/v1/organizations/local")).json()["name"] == "local"
    for path in ("/v1/regions", "/v1/organizations/local/regions"):
        assert (await running.http.get(path)).json()["data"][0]["slug"] == "local"
    databases = (await running.http.get("/v1/organizations/local/databases")).json()
    assert [one["name"] for one in databases["data"]] == ["shop"]
    shop = await running.call("GET", "")
    assert shop["default_branch"] == "main"
    assert shop["branches_count"] == shop["production_branches_count"] + shop["development_branches_count"]


async def test_lists_come_in_pages(running: Running) -> None:
    names = [f"page-{number}" for number in range(3)]
    made = [
        await running.call("POST", "/branches/main/passwords", {"name": name}, expect=201) for name in names
    ]
    seen: list[Any] = []
    query: int | None = 1
    while query:
        page = await running.call("GET", f"/branches/main/passwords?per_page=2&page={query}")
        assert set(page) == {
            "type",
            "current_page",
            "per_page",
            "next_page",
            "next_page_url",
            "prev_page",
            "prev_page_url",
            "data",
        }
        assert (page["type"], page["current_page"], page["per_page"]) == ("list", query, 2)
        assert page["prev_page"] == (query - 1 or None)
        assert len(page["data"]) <= 2
        seen += page["data"]
        query = page["next_page"]
    assert [one["name"] for one in seen] == names
    for one in made:
        await running.call("DELETE", f"/branches/main/passwords/{one['id']}", expect=204)
    default = await running.call("GET", "/branches")
    assert (default["current_page"], default["per_page"], default["next_page"]) == (1, 25, None)


async def test_times_are_in_utc_and_counts_are_whole_numbers(running: Running) -> None:
    for answer in (await running.call("GET", ""), await running.call("GET", "/branches/main")):
        for key, value in answer.items():
            if key.endswith("_at") and value is not None:
                assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", value)
            if key.endswith("_count"):
                assert type(value) is int
