"""I play the demo's whole story without a person and measure every part of it.

`python -m control.demo.check` prints what it does on standard error and ends with one JSON object on standard
output; its exit status is 0 only when everything held.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from conf.load import ENVIRONMENT_PREFIX, load
from conf.logs import set_up
from conf.settings import Settings
from control.client import ApiRefused, Unreachable
from control.demo import shop
from control.demo.application import Application, login
from control.demo.stage import APPLICATION, Stage, staged
from router.accounts import prove_no_ddl
from router.database import Connection

# Which server to use, and how far its clients may feel the copy.
FROM_OUTSIDE = (f"{ENVIRONMENT_PREFIX}SERVERS_", f"{ENVIRONMENT_PREFIX}THROTTLE_")
SLEEP_AFTER_S = 5
POLL_S = 0.02
PATIENCE_S = 300.0
"""Longer than anything takes on a machine that does much else: whoever waits so long waits for ever."""
FIRST_QUERY_MS_MAX = 3000
STALL_MS_MAX = 1000

CHANGE = (
    "ALTER TABLE customers ADD COLUMN phone VARCHAR(32), MODIFY name VARCHAR(200) NOT NULL",
    "ALTER TABLE orders ADD COLUMN channel VARCHAR(20) NOT NULL DEFAULT 'web', ADD KEY channel (channel)",
    "CREATE TABLE coupons (code VARCHAR(20) PRIMARY KEY, percent TINYINT UNSIGNED NOT NULL)",
)


@dataclass
class Story:
    """The running demo, and what has been measured so far."""

    stage: Stage
    config: Path
    orders: int
    facts: dict[str, Any] = field(default_factory=dict)

    async def headgate(self, *words: str) -> Any:
        """Run the command line as a person would and return what it printed as JSON."""
        process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-c", "from control.cli import main; main()"],
            *["--config", str(self.config), "--format", "json", *words],
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        if process.returncode:
            raise CommandFailed(f"headgate {' '.join(words)}: {err.decode().strip()}")
        return json.loads(out)

    async def of(self, path: str) -> Any:
        """Return something of the database from the API, waiting while control restarts."""
        return await asyncio.to_thread(self.stage.client.get, f"databases/{self.stage.database}/{path}")

    async def request(self, number: int) -> Any:
        """Return a deploy request from the API, waiting while control restarts."""
        return await self.of(f"deploy-requests/{number}")

    async def until(self, number: int, wanted: Callable[[Any], bool]) -> Any:
        """Wait until a deploy request is as wanted and return it."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    request = await self.request(number)
                    if wanted(request):
                        return request
                except (Unreachable, ApiRefused):
                    pass  # control has just been killed; whoever answers next is asked again
                await asyncio.sleep(POLL_S)


class CommandFailed(Exception):
    """A command of the story ended with an error."""


async def play(config: Path, settings: Settings, orders: int) -> dict[str, Any]:
    """Play the story and return its facts."""
    async with staged(settings, str(config), _say, orders) as stage:
        story = Story(stage, config, orders)
        story.facts["server"] = stage.programs.version
        for chapter in (
            refuse_on_production,
            make_a_branch,
            deploy_through_a_kill,
            revert,
            deploy_again_and_keep,
            drop_and_give_back,
            account_for_writes,
            kill_a_worker,
        ):
            _say((chapter.__doc__ or "").strip())
            before = stage.load.longest_stall_ms
            await chapter(story)
            if stage.load.longest_stall_ms > before:
                story.facts["longest_stall_in"] = chapter.__name__
        facts = story.facts
        facts["left_behind"] = await _leftovers(story)
        pids = [pid for name in ("control", "worker 1", "worker 2") if (pid := stage.supervisor.pid(name))]
        pids += _server_pids(settings)
    facts["stopped_everything"] = bool(pids) and not any(_runs(pid) for pid in pids)
    return facts


async def refuse_on_production(story: Story) -> None:
    """Production refuses direct DDL, at the proxy and at the server."""
    stage = story.stage
    async with await _open(story, APPLICATION) as application:
        error = await application.error_of("ALTER TABLE customers ADD COLUMN phone VARCHAR(32)")
    story.facts["ddl_on_main_refused"] = error[0] == 1105 and "headgate branch create shop" in error[1]
    story.facts["backend_account_refused_ddl"] = "denied" in await prove_no_ddl(stage.traffic, stage.schema)


async def make_a_branch(story: Story) -> None:
    """A branch is made, sleeps when idle, wakes at a login, and takes any DDL."""
    began = time.monotonic()
    made = await story.headgate("branch", "create", "shop", "add-phone")
    story.facts["branch_created_ms"] = _ms_since(began)
    story.facts["branch_command_printed"] = made["command"].startswith("mysql -h ")
    async with asyncio.timeout(PATIENCE_S):
        while (await story.of("branches/add-phone"))["state"] != "sleeping":
            await asyncio.sleep(POLL_S)
    password = made["password"]
    began = time.monotonic()
    async with await _open(story, password["username"], password["plain_text"]) as developer:
        tables = await developer.rows("SHOW TABLES")
        story.facts["branch_first_query_ms"] = _ms_since(began)
        story.facts["branch_has_schema"] = {"customers", "orders", "customer_orders"} <= {
            name for (name,) in tables
        }
        story.facts["branch_has_no_rows"] = await developer.rows("SELECT COUNT(*) FROM orders") == [(0,)]
        for statement in CHANGE:
            await developer.run(statement)
    async with await _open(story, f"{APPLICATION}.add-phone") as developer:
        columns = await developer.rows("SHOW COLUMNS FROM customers LIKE 'phone'")
        story.facts["branch_by_user_name"] = len(columns) == 1


async def deploy_through_a_kill(story: Story) -> None:
    """The branch is deployed under load; control is killed in the middle of the copy and goes on."""
    created = await story.headgate("deploy-request", "create", "shop", "add-phone")
    number = created["number"]
    operations = created["deployment"]["deploy_operations"]
    story.facts["operations"] = sorted(f"{one['operation_name']} {one['table_name']}" for one in operations)
    deploying = asyncio.ensure_future(
        story.headgate("deploy-request", "deploy", "shop", str(number), "--wait")
    )
    seen = await story.until(number, lambda request: _copied(request) > story.orders // 10)
    before = _copied(seen)
    control = story.stage.supervisor.pid("control")
    assert control is not None
    os.kill(control, signal.SIGKILL)
    _say(f"killed control (process {control}) after {before:,} rows of orders")
    resumed = await story.until(number, lambda request: _copied(request) > 0)
    deployed = await deploying
    orders = _operation(deployed, "orders")
    states = [
        step["after"] for step in await story.headgate("deploy-request", "history", "shop", str(number))
    ]
    story.facts.update(
        resumed_after_kill=_copied(resumed) >= before and states.count("in_progress") == 1,
        control_restarts=story.stage.supervisor.restarts.get("control", 0),
        deployed=deployed["deployment_state"] == "complete_pending_revert",
        rows=orders["rows_total"],
        lock_ms=deployed["deployment"]["longest_lock_ms"],
    )
    async with await _open(story, APPLICATION) as application:
        story.facts["new_column_on_main"] = (
            len(await application.rows("SHOW COLUMNS FROM orders LIKE 'channel'")) == 1
        )


async def revert(story: Story) -> None:
    """Rows are written to the new tables, then the deployment is reverted and they are still there."""
    load = story.stage.load
    before = load.acknowledged
    async with asyncio.timeout(PATIENCE_S):
        while load.acknowledged < before + 50:
            await asyncio.sleep(POLL_S)
    written = load.acknowledged
    began = time.monotonic()
    await asyncio.to_thread(
        story.stage.client.post, f"databases/{story.stage.database}/deploy-requests/1/revert"
    )
    request = await story.until(1, lambda request: request["deployment_state"] == "complete_revert")
    story.facts["revert_ms"] = _ms_since(began)
    story.facts["revert_lock_ms"] = request["deployment"]["longest_lock_ms"]
    async with await _open(story, APPLICATION) as application:
        gone = await application.rows("SHOW COLUMNS FROM orders LIKE 'channel'")
        story.facts["reverted"] = gone == []
    story.facts["writes_between_deploy_and_revert"] = written - before
    await _pause_and_verify(story, "writes_kept_after_revert")


async def deploy_again_and_keep(story: Story) -> None:
    """The same branch is deployed again, undisturbed, and its revert window skipped."""
    created = await story.headgate("deploy-request", "create", "shop", "add-phone")
    number = str(created["number"])
    speeds: list[int] = []

    async def watch() -> None:
        while True:
            orders = _operation(await story.request(int(number)), "orders")
            if orders["activity"].startswith("copying") and orders["rows_per_second"]:
                speeds.append(orders["rows_per_second"])
            await asyncio.sleep(POLL_S)

    watching = asyncio.ensure_future(watch())
    try:
        deployed = await story.headgate("deploy-request", "deploy", "shop", number, "--wait")
    finally:
        watching.cancel()
    steps = await story.headgate("deploy-request", "history", "shop", number)
    at = {step["after"]: datetime.fromisoformat(step["at"]) for step in steps}
    copied_s = max((at["in_progress_cutover"] - at["in_progress"]).total_seconds(), 0.001)
    # On a busy machine a copy may be over before anybody has seen it.
    on_average = round(_operation(deployed, "orders")["rows_total"] / copied_s)
    story.facts["copy_rows_per_s"] = max([on_average, *speeds])
    await story.headgate("deploy-request", "skip-revert", "shop", number)
    await story.until(int(number), lambda request: request["deployment_state"] == "complete")
    await _pause_and_verify(story, "writes_kept_after_deploy")


async def drop_and_give_back(story: Story) -> None:
    """A table is dropped by a deploy request, and comes back with its rows by a revert."""
    async with await _open(story, APPLICATION) as application:
        await application.run("INSERT INTO coupons VALUES ('spring', 10)")
    await story.headgate("branch", "create", "shop", "no-coupons")
    async with await _open(story, f"{APPLICATION}.no-coupons") as developer:
        await developer.run("DROP TABLE coupons")
    created = await story.headgate("deploy-request", "create", "shop", "no-coupons")
    number = str(created["number"])
    # The application has just used it: without a word to that it would not be dropped.
    why = "the story brings it back"
    for rule in ("DROP_TABLE", "QUERY_BREAKS"):
        told = "--table", "coupons", "--request", number, "--reason", why
        await story.headgate("lint", "suppress", "shop", rule, *told)
    await story.headgate("deploy-request", "confirm", "shop", number, "--force")
    await story.headgate("deploy-request", "deploy", "shop", number, "--wait")
    async with await _open(story, APPLICATION) as application:
        dropped = await application.error_of("SELECT * FROM coupons")
    await story.headgate("deploy-request", "revert", "shop", number)
    async with await _open(story, APPLICATION) as application:
        back = await application.rows("SELECT code FROM coupons")
    story.facts["dropped_table_given_back"] = dropped[0] == 1146 and back == [("spring",)]


async def account_for_writes(story: Story) -> None:
    """Every write that was acknowledged is looked for."""
    load = story.stage.load
    await load.stop()
    async with await Connection.open(story.stage.admin) as connection:
        story.facts["acknowledged_writes_lost"] = await load.verify(connection)
    seen = load.counters
    story.facts.update(
        acknowledged_writes=seen.acknowledged,
        traffic_queries=seen.queries,
        traffic_errors=seen.errors,
        traffic_last_error=seen.last_error,
        longest_stall_ms=round(seen.longest_stall_ms, 1),
    )


async def kill_a_worker(story: Story) -> None:
    """A worker is killed: its own clients are cut off, the others' are not, and it comes back."""
    supervisor = story.stage.supervisor
    victim = supervisor.pid("worker 1")
    assert victim is not None
    applications = [await _open(story, APPLICATION) for _ in range(16)]
    mine = {application.local_port for application in applications}
    theirs = _ports_of(victim) & mine
    os.kill(victim, signal.SIGKILL)
    alive = {application.local_port: await application.answers() for application in applications}
    for application in applications:
        application.abort()
    survivors = {port for port, answered in alive.items() if answered}
    async with asyncio.timeout(PATIENCE_S):
        while supervisor.pid("worker 1") in (None, victim):
            await asyncio.sleep(POLL_S)
    story.facts["worker_kill_cost_only_its_clients"] = survivors == mine - theirs and 0 < len(theirs) < 16
    story.facts["worker_came_back"] = True


async def _pause_and_verify(story: Story, fact: str) -> None:
    load = story.stage.load
    await load.stop()
    async with await Connection.open(story.stage.admin) as connection:
        story.facts[fact] = load.acknowledged > 0 and await load.verify(connection) == 0
    await load.start()


async def _open(story: Story, user: str, password: str = "") -> Application:
    stage = story.stage
    return await login(stage.settings.proxy.host, stage.settings.proxy.port, user, password or stage.password)


async def _leftovers(story: Story) -> list[str]:
    """Return the tables that nobody knows of: neither the shop's nor on the list of what will be dropped."""
    async with await Connection.open(story.stage.admin) as connection:
        rows = await connection.fetch_all(
            "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s "
            "AND TABLE_NAME NOT IN (SELECT table_name FROM _headgate.garbage WHERE table_schema = %s)",
            *(story.stage.schema, story.stage.schema),
        )
    known = {"customers", "products", "orders", "order_items", "ledger", "customer_orders", "coupons"}
    return sorted(str(name) for (name,) in rows if name not in known)


def _operation(request: Any, table: str) -> Any:
    for operation in request["deployment"]["deploy_operations"]:
        if operation["table_name"] == table:
            return operation
    raise CommandFailed(f"deploy request {request['number']} has no operation on {table}")


def _copied(request: Any) -> int:
    return int(_operation(request, "orders")["rows_copied"])


def _ports_of(pid: int) -> set[int]:
    """Return the remote ports of a process's TCP connections, from /proc."""
    inodes = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        target = str(entry.readlink())
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    ports = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[9] in inodes:
            ports.add(int(fields[2].rpartition(":")[2], 16))
    return ports


def _server_pids(settings: Settings) -> list[int]:
    folder = str(settings.state_dir / "servers")
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if f"--datadir={folder}".encode() in command:
                found.append(int(entry.name))
    return found


def _runs(pid: int) -> bool:
    """Whether a process runs; one that has ended, but that nobody has waited for, does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _ms_since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def held(facts: dict[str, Any]) -> list[str]:
    """Return the names of the facts that are not as promised."""
    wrong = [name for name, value in facts.items() if value is False]
    limits = {"branch_first_query_ms": FIRST_QUERY_MS_MAX, "longest_stall_ms": STALL_MS_MAX}
    wrong += [name for name, most in limits.items() if facts[name] > most]
    wrong += [name for name in ("acknowledged_writes_lost", "traffic_errors", "left_behind") if facts[name]]
    wrong += [name for name in ("rows", "traffic_queries", "copy_rows_per_s") if not facts[name]]
    return wrong


def main() -> int:
    """Play the story in a folder of its own, which is removed at the end."""
    set_up("error", "demo")
    parser = argparse.ArgumentParser(description="Play the demo's story and measure it.")
    parser.add_argument("--orders", type=int, default=shop.ORDERS, help="orders in the sample shop")
    orders: int = parser.parse_args().orders
    began = time.monotonic()
    # The story has a state folder and ports of its own; the rest is nothing that may be said from outside.
    for variable in [name for name in os.environ if name.startswith(ENVIRONMENT_PREFIX)]:
        if not variable.startswith(FROM_OUTSIDE):
            del os.environ[variable]
    with tempfile.TemporaryDirectory(prefix="headgate-check-") as folder:
        config = Path(folder) / "headgate.toml"
        config.write_text(
            f'state = "{folder}/state"\n'
            f"[proxy]\nport = {_free_port()}\nworkers = 2\n"
            f"[control]\nport = {_free_port()}\n"
            f"[servers]\nsleep_after_s = {SLEEP_AFTER_S}\n"
        )
        facts = asyncio.run(play(config, load(config), orders))
    facts["seconds"] = round(time.monotonic() - began, 1)
    wrong = held(facts)
    if wrong:
        _say(f"not as promised: {', '.join(wrong)}")
    sys.stdout.write(json.dumps(facts) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
