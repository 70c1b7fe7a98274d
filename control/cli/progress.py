"""I follow a deployment in the terminal until nothing is under way, and say how it ended."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any, Final

import typer
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.text import Text

from control.cli.context import Context
from control.cli.output import errors, people
from control.cli.times import until
from control.cli.which import path
from control.client import ApiRefused, Unreachable
from migrator.deploy.lifecycle import State

POLL_S: Final = 0.25
SILENCE_S: Final = 60.0
WAITING: Final = frozenset(
    {
        State.PENDING,
        State.QUEUED,
        State.SUBMITTING,
        State.IN_PROGRESS,
        State.IN_PROGRESS_CUTOVER,
        State.IN_PROGRESS_CANCEL,
        State.IN_PROGRESS_REVERT,
        State.IN_PROGRESS_REDO,
    }
)
GOOD_ENDS: Final = frozenset(
    {
        State.COMPLETE,
        State.COMPLETE_PENDING_REVERT,
        State.PENDING_CUTOVER,
        State.COMPLETE_REVERT,
        State.COMPLETE_CANCEL,
    }
)


def act(here: Context, database: str, number: int, verb: str, wait: bool, done: str, body: Any = None) -> Any:
    """Ask for something that takes its time, and follow it to its end with `wait`; return the request."""
    request = here.client.post(f"{path(database, number)}/{verb}", body)
    if not wait:
        here.output.say(done, request)
        return request
    return finish(here, database, number)


def finish(here: Context, database: str, number: int) -> Any:
    """Follow a deploy request to its end and say how it was; a bad one ends the command with status 1."""
    request = watch(here, database, number)
    state, problem = request["deployment_state"], request["deployment"]["problem"]
    if here.output.is_json:
        here.output.json(request)
    else:
        people.print(outcome(request, database), markup=False)
    if state not in GOOD_ENDS:
        reason = f": {problem}" if problem else ""
        errors.print(Text(f"Deploy request {number} ended as {state}{reason}", style="red"))
        raise typer.Exit(1)
    return request


def watch(here: Context, database: str, number: int) -> Any:
    """Show progress bars until nothing is under way, and return the deploy request as it is then."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[detail]}", markup=False),
    )
    bars: dict[str, TaskID] = {}
    heard_at = time.monotonic()
    with Progress(*columns, console=people, disable=here.output.is_json) as progress:
        while True:
            try:
                request = here.client.get(path(database, number))
                heard_at = time.monotonic()
            except (Unreachable, ApiRefused):
                # Control may be restarting; the deployment goes on after that.
                if time.monotonic() - heard_at > SILENCE_S:
                    raise
                time.sleep(POLL_S)
                continue
            _draw(progress, bars, request)
            if request["deployment_state"] not in WAITING:
                return request
            time.sleep(POLL_S)


def _draw(progress: Progress, bars: dict[str, TaskID], request: Any) -> None:
    for operation in request["deployment"]["deploy_operations"]:
        title = f"{operation['operation_name']} {operation['table_name']}"
        if title not in bars:
            bars[title] = progress.add_task(title, total=100, detail="")
        done = operation["progress_percentage"]
        progress.update(bars[title], completed=done, detail=progress_text(operation))


def progress_text(operation: Any) -> str:
    """Say in a line what an operation is doing and how far it is."""
    parts = [operation["activity"] or operation["state"].replace("in_progress", "waits for its turn")]
    if operation["rows_total"]:
        parts.append(f"{operation['rows_copied']:,} of {operation['rows_total']:,} rows")
    if operation["rows_verified"] and operation["activity"] == "verifying":
        parts.append(f"{operation['rows_verified']:,} compared")
    if operation["bytes_total"]:
        parts.append(f"{operation['bytes_total'] / 1e6:,.0f} MB in all")
    if operation["rows_per_second"]:
        parts.append(f"{operation['rows_per_second']:,} rows/s")
    if operation["eta_seconds"]:
        low, high = operation["eta_low_seconds"], operation["eta_high_seconds"]
        parts.append(f"{operation['eta_seconds']} s left ({low} to {high})")
    if operation["stalled"]:
        parts.append(operation["stalled"])
    elif operation["throttled_reason"]:
        parts.append(f"held back: {operation['throttled_reason']}")
    return ", ".join(parts)


def outcome(request: Any, database: str) -> str:
    """Say how a deployment ended, and what may be done then."""
    number, state = request["number"], request["deployment_state"]
    lock = request["deployment"]["longest_lock_ms"]
    locked = f" Its table was locked for {lock:.0f} ms." if lock else ""
    if state == State.COMPLETE_PENDING_REVERT:
        end = request["deployment"]["deployment_revert_request"]["waiting_period_end_at"]
        return (
            f"Deploy request {number} is deployed.{locked}\n"
            f"Until {until(end, datetime.now(UTC))} it can be undone, keeping what is written since: "
            f"headgate deploy-request revert {database} {number}"
        )
    if state == State.COMPLETE_REVERT:
        return _reverted(request, database, locked)
    if state == State.PENDING_CUTOVER:
        return f"Everything is copied. Cut over with: headgate deploy-request apply {database} {number}"
    return f"Deploy request {number}: {state}"


def _reverted(request: Any, database: str, locked: str) -> str:
    number = request["number"]
    if problem := request["deployment"]["problem"]:
        return f"Deploy request {number} stays reverted: {problem}"
    said = f"Deploy request {number} is reverted; rows written since the deployment are kept.{locked}"
    if end := request["deployment"]["redo_until"]:
        said += (
            f"\nUntil {until(end, datetime.now(UTC))}, or until another one is deployed, "
            f"that can be taken back: headgate deploy-request redo {database} {number}"
        )
    return said
