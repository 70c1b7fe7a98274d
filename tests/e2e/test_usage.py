"""What applications really do decides what deploy requests say: nothing in it is simulated."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from router.model import Flavor
from tests.support.headgate import Headgate, data, rows, run_on, running_in
from tests.support.servers import wait_until

SEED = (
    "CREATE TABLE customers (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(50) NOT NULL, nick VARCHAR(20))",
)


@pytest.fixture(params=list(Flavor), ids=str)
def headgate(server_folder: Path, request: pytest.FixtureRequest) -> Iterator[Headgate]:
    with running_in(server_folder / f"usage-{request.param}", request.param) as headgate:
        yield headgate


def asked(headgate: Headgate, name: str, *changes: str) -> Any:
    """Make a branch, change it through the proxy, and return its deploy request as it is shown."""
    password = data(headgate, "branch", "create", "shop", name)["password"]
    run_on(headgate, password, *changes)
    number = str(data(headgate, "deploy-request", "create", "shop", name)["number"])
    return data(headgate, "deploy-request", "show", "shop", number)


def test_real_traffic_says_what_breaks_and_what_was_renamed(headgate: Headgate) -> None:
    seed = asked(headgate, "seed", *SEED)
    data(headgate, "deploy-request", "deploy", "shop", str(seed["number"]), "--wait")
    data(headgate, "deploy-request", "skip-revert", "shop", str(seed["number"]))
    login = data(headgate, "password", "create", "shop", "main", "web", "--role", "readwriter")
    with headgate.connect(login["username"], login["plain_text"]) as web:
        rows(web, "INSERT INTO customers (name, nick) VALUES ('Ada', 'secret')")
        for number in range(20):
            rows(web, f"SELECT nick FROM customers WHERE id = {number}")

    renamed = asked(headgate, "renamed", "ALTER TABLE customers RENAME COLUMN name TO full_name")
    [operation] = renamed["deployment"]["deploy_operations"]
    assert "full_name" in operation["ddl_statement"]
    assert "DROP COLUMN" not in operation["ddl_statement"]
    assert renamed["deployment"]["deploy_order"]["order"] == "neither"

    def breaks() -> bool:
        nonlocal dropped
        dropped = data(headgate, "deploy-request", "show", "shop", number)
        data(headgate, "deploy-request", "diff", "shop", number)
        evidence = dropped["deployment"]["deploy_order"]["evidence"]
        return sum(each["count"] for each in evidence) == 21

    dropped = asked(headgate, "dropped", "ALTER TABLE customers DROP COLUMN nick")
    number = str(dropped["number"])
    # Workers report once a second.
    wait_until(breaks)
    order = dropped["deployment"]["deploy_order"]
    assert order["order"] == "code_first"
    assert {each["query"] for each in order["evidence"]} == {
        "SELECT nick FROM customers WHERE id = ?",
        "INSERT INTO customers (name, nick) VALUES (?, ?)",
    }
    assert dropped["deployment_state"] == "error"
    assert "secret" not in json.dumps(dropped)
