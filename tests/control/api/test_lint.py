"""Lint through the API: what is found in branches and requests, and what is lived with."""

from __future__ import annotations

from typing import Any

from tests.support.service import Running


async def found(running: Running, branch: str) -> dict[str, Any]:
    entries = (await running.call("GET", f"/branches/{branch}/schema/lint"))["data"]
    return {entry["key"]: entry for entry in entries}


async def request_of(running: Running, branch: str) -> Any:
    return await running.call("POST", "/deploy-requests", {"branch": branch}, expect=201)


async def test_findings_of_a_branch_can_be_lived_with_for_a_reason(running: Running) -> None:
    call = running.call
    await call("POST", "/branches", {"name": "prices"}, expect=201)
    await running.on_branch(
        "prices",
        "CREATE TABLE prices (id INT PRIMARY KEY, price DOUBLE)",
        "CREATE TABLE loose (a INT)",
    )
    entries = await found(running, "prices")
    money = entries["FLOAT_MONEY:prices:column price"]
    assert (money["level"], money["column_name"], money["suppressed"]) == ("warning", "price", None)
    assert money["docs_url"] == "docs/lint.md#float_money"
    assert entries["NO_UNIQUE_KEY:loose:"]["blocks"] is True

    made = await call(
        "POST",
        "/lint-suppressions",
        {"lint_error": "FLOAT_MONEY", "table_name": "prices", "reason": "an estimate"},
        expect=201,
    )
    assert (made["table_name"], made["deploy_request"], made["author"]) == ("prices", None, "local")
    assert (await call("GET", "/lint-suppressions"))["data"] == [made]
    lived_with = (await found(running, "prices"))["FLOAT_MONEY:prices:column price"]
    assert lived_with["suppressed"] == "an estimate (local)"
    refused = await call(
        "POST", "/lint-suppressions", {"lint_error": "NO_UNIQUE_KEY", "reason": "no"}, expect=422
    )
    assert "cannot be suppressed" in refused["message"]

    request = await request_of(running, "prices")
    said = {entry["key"]: entry for entry in request["deployment"]["findings"]}
    assert said["FLOAT_MONEY:prices:column price"]["suppressed"] == "an estimate (local)"
    assert request["deployment_state"] == "error"
    assert {entry["lint_error"] for entry in request["deployment"]["lint_errors"]} == {"NO_UNIQUE_KEY"}
    await call("PATCH", f"/deploy-requests/{request['number']}", {"state": "closed"})

    await call("DELETE", f"/lint-suppressions/{made['id']}", expect=204)
    assert (await found(running, "prices"))["FLOAT_MONEY:prices:column price"]["suppressed"] is None
    await call("DELETE", f"/lint-suppressions/{made['id']}", expect=422)
    await call("DELETE", "/branches/prices", expect=204)


async def test_a_suppression_for_one_request_lets_it_go_on(running: Running) -> None:
    call = running.call
    await call("POST", "/branches", {"name": "odd"}, expect=201)
    await running.on_branch("odd", "CREATE TABLE odd (id INT PRIMARY KEY, a VARCHAR(9) CHARACTER SET cp1250)")
    request = await request_of(running, "odd")
    number = request["number"]
    assert request["deployment_state"] == "error"
    body = {"lint_error": "INVALID_CHARSET", "deploy_request": number, "reason": "only here"}
    made = await call("POST", "/lint-suppressions", body, expect=201)
    checked = await call("GET", f"/deploy-requests/{number}")
    assert checked["deployment_state"] == "ready"
    log = (await running.http.get("/v1/organizations/local/audit-log")).json()["data"]
    assert "lint_suppression.created" in {entry["audit_action"] for entry in log}
    await call("PATCH", f"/deploy-requests/{number}", {"state": "closed"})
    await call("DELETE", f"/lint-suppressions/{made['id']}", expect=204)
    await call("DELETE", "/branches/odd", expect=204)


async def test_a_row_of_production_is_what_stands_in_the_way(running: Running) -> None:
    call = running.call
    await running.on_production(
        "CREATE TABLE lint_rows (id INT PRIMARY KEY, a INT)", "INSERT INTO lint_rows VALUES (5, NULL)"
    )
    await call("POST", "/branches", {"name": "strict"}, expect=201)
    await running.on_branch("strict", "ALTER TABLE lint_rows MODIFY a INT NOT NULL")
    request = await request_of(running, "strict")
    assert request["deployment_state"] == "error"
    [error] = request["deployment"]["lint_errors"]
    assert error["lint_error"] == "SET_NOT_NULL"
    assert "(5)" in error["error_description"] or "5" in error["rows"]["sample"]
    await call("PATCH", f"/deploy-requests/{request['number']}", {"state": "closed"})
    await call("DELETE", "/branches/strict", expect=204)
    await running.on_production("DROP TABLE lint_rows")
