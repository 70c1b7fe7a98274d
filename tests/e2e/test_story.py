"""The product's stories, whole: nothing in them is simulated."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from control.demo.check import held
from router.model import Flavor
from tests.support.headgate import Headgate, data, run_on, running_in
from tests.support.servers import ASKS_S, remove_servers, wait_until

PATIENCE_S = 900.0
ORDERS = "20000"
# What clients feel here is mostly the tests beside this one, to which a copy would yield for minutes.
YIELDS_LITTLE = {"HEADGATE_THROTTLE_LATENCY_RISE": "20"}

# Limits on time are held by the demo's own check, on a machine that does nothing else.
TIMED = {"longest_stall_ms", "branch_first_query_ms"}


def played(folder: Path, flavor: Flavor) -> dict[str, Any]:
    """Play the demo's story in a process of its own and return its facts."""
    folder.mkdir()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HEADGATE_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "control.demo.check", "--orders", ORDERS],
        env={**environment, **YIELDS_LITTLE, "HEADGATE_SERVERS_FLAVOR": str(flavor), "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    try:
        out, told = process.communicate(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(30)
        process.kill()
        raise
    finally:
        remove_servers(folder)
    assert process.returncode in (0, 1), told
    assert out, told
    facts: dict[str, Any] = json.loads(out.splitlines()[-1])
    return facts


@pytest.mark.parametrize("flavor", list(Flavor), ids=str)
def test_a_schema_change_travels_from_a_branch_to_production_and_back_under_live_traffic(
    server_folder: Path, flavor: Flavor
) -> None:
    facts = played(server_folder / f"story-{flavor}", flavor)
    assert set(held(facts)) - TIMED == set(), facts
    promised = {
        "server",
        "ddl_on_main_refused",
        "backend_account_refused_ddl",
        "branch_first_query_ms",
        "rows",
        "traffic_queries",
        "traffic_errors",
        "copy_rows_per_s",
        "longest_stall_ms",
        "acknowledged_writes_lost",
        "resumed_after_kill",
        "reverted",
        "revert_ms",
        "writes_kept_after_revert",
    }
    assert promised <= set(facts)


@pytest.fixture(params=list(Flavor), ids=str)
def headgate(server_folder: Path, request: pytest.FixtureRequest) -> Iterator[Headgate]:
    with running_in(server_folder / f"e2e-{request.param}", request.param) as headgate:
        yield headgate


def branch(headgate: Headgate, name: str, *changes: str) -> None:
    """Make a branch and change it."""
    password = data(headgate, "branch", "create", "shop", name)["password"]
    run_on(headgate, password, *changes)


def request(headgate: Headgate, *words: str) -> str:
    return str(data(headgate, "deploy-request", "create", "shop", *words)["number"])


def shown(headgate: Headgate, number: str) -> Any:
    return data(headgate, "deploy-request", "show", "shop", number)


def test_deployments_wait_for_each_other_and_what_no_longer_fits_is_refused(headgate: Headgate) -> None:
    branch(
        headgate,
        "seed",
        "CREATE TABLE customers (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(50) NOT NULL)",
        "CREATE TABLE notes (id INT PRIMARY KEY, body TEXT)",
    )
    seed = request(headgate, "seed")
    deployed = data(headgate, "deploy-request", "deploy", "shop", seed, "--wait")
    assert deployed["deployment_state"] == "complete_pending_revert"
    data(headgate, "deploy-request", "skip-revert", "shop", seed)

    branch(headgate, "first", "ALTER TABLE customers MODIFY name VARCHAR(60) NOT NULL")
    branch(headgate, "second", "ALTER TABLE customers MODIFY name VARCHAR(70) NOT NULL")
    branch(headgate, "other", "ALTER TABLE notes ADD COLUMN written_on DATE")
    branch(headgate, "keyless", "CREATE TABLE loose (body TEXT)")
    refused = headgate.run_here("deploy-request", "deploy", "shop", request(headgate, "keyless"))
    assert refused.returncode == 1
    assert "table 'loose' has no unique key" in refused.stderr

    first, second = request(headgate, "first", "--disable-auto-apply"), request(headgate, "second")
    waiting = data(headgate, "deploy-request", "deploy", "shop", first, "--wait")
    assert waiting["deployment_state"] == "pending_cutover"
    # What conflicts with the queue is told so at once, and never after waiting.
    refused = headgate.run_here("deploy-request", "deploy", "shop", second)
    assert refused.returncode == 1
    assert f"deploy request {first} changed it" in refused.stderr
    other = request(headgate, "other", "--enable-auto-apply")
    queued = headgate.run_here("deploy-request", "deploy", "shop", other)
    assert queued.returncode == 0
    assert "queued" in queued.stdout
    preceding = shown(headgate, other)["deployment"]["preceding_deployments"]
    assert [str(one["deploy_request_number"]) for one in preceding] == [first]
    again = headgate.run_here("deploy-request", "deploy", "shop", other)
    assert again.returncode == 1
    assert "already under way" in again.stderr

    data(headgate, "deploy-request", "apply", "shop", first, "--wait")
    data(headgate, "deploy-request", "skip-revert", "shop", first)
    wait_until(
        lambda: shown(headgate, other)["deployment_state"] == "complete_pending_revert",
        timeout_s=PATIENCE_S,
        every_s=ASKS_S,
    )
    again = headgate.run_here("deploy-request", "deploy", "shop", second, "--wait")
    assert again.returncode == 1
    assert "customers" in again.stderr
    assert "production" in again.stderr
    assert len(again.stderr.strip().splitlines()) == 1
