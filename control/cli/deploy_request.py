"""I am `headgate deploy-request`."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.text import Text

from control.cli.context import Context, Database, Number, context
from control.cli.output import errors, people
from control.client import ApiRefused, Unreachable

app = typer.Typer(help="Propose, check, deploy and revert schema changes.", no_args_is_help=True)

POLL_S = 0.25
SILENCE_S = 60.0
WAITING = {
    "queued",
    "submitting",
    "in_progress",
    "in_progress_cutover",
    "in_progress_cancel",
    "in_progress_revert",
}
GOOD_ENDS = {"complete", "complete_pending_revert", "pending_cutover", "complete_revert", "complete_cancel"}

Wait = Annotated[bool, typer.Option("--wait", help="Show progress until it has ended.")]

COLUMNS = {
    "number": "number",
    "branch": "branch",
    "into": "into_branch",
    "state": "state",
    "deployment": "deployment_state",
    "created": "created_at",
    "deployed": "deployed_at",
}


def path(database: str, number: int) -> str:
    """Return the path of a deploy request."""
    return f"databases/{database}/deploy-requests/{number}"


@app.command("list")
def list_requests(ctx: typer.Context, database: Database) -> None:
    """List deploy requests, newest first."""
    here = context(ctx)
    here.output.table(here.client.get(f"databases/{database}/deploy-requests")["data"], COLUMNS)


@app.command()
def create(
    ctx: typer.Context,
    database: Database,
    branch: Annotated[str, typer.Argument(help="The branch with the changes.")],
    into: Annotated[str, typer.Option(help="The branch to deploy into; otherwise its parent.")] = "",
    notes: Annotated[str, typer.Option(help="What the change is for.")] = "",
    auto_apply: Annotated[
        bool,
        typer.Option(
            "--enable-auto-apply/--disable-auto-apply",
            help="Cut over as soon as everything is copied, or wait for `apply`.",
        ),
    ] = True,
) -> None:
    """Check a branch's changes and open a deploy request for them."""
    here = context(ctx)
    client = here.client
    request = client.post(
        f"databases/{database}/deploy-requests",
        {"branch": branch, "into_branch": into, "notes": notes, "auto_cutover": auto_apply},
    )
    number = request["number"]
    if here.output.is_json:
        here.output.json(request)
        return
    here.output.diff(client.get(f"{path(database, number)}/diff")["data"])
    _print_warnings(request)
    people.print(
        f"Deploy request [bold]{number}[/bold] is open: the change was proved on a scratch server, forth and "
        f"back.\nDeploy it with: headgate deploy-request deploy {database} {number} --wait"
    )


@app.command()
def show(ctx: typer.Context, database: Database, number: Number) -> None:
    """Show a deploy request and how far its operations are."""
    here = context(ctx)
    request = here.client.get(path(database, number))
    if here.output.is_json:
        here.output.json(request)
        return
    here.output.table([request], COLUMNS)
    deployment = request["deployment"]
    for other in deployment["preceding_deployments"]:
        people.print(f"waits for deploy request {other['deploy_request_number']} ({other['state']})")
    for operation in deployment["deploy_operations"]:
        people.print()
        people.print(Text(f"{operation['operation_name']} {operation['table_name']}", style="bold"))
        people.print(f"  {progress_text(operation)}\n  {operation['ddl_statement']}", markup=False)
    _print_warnings(request)
    if deployment["problem"]:
        people.print()
        people.print(Text(deployment["problem"], style="red"))
    window = deployment["deployment_revert_request"]
    if request["deployment_state"] == "complete_pending_revert":
        people.print(f"\nCan be reverted until {window['waiting_period_end_at']}.")
        if deployment["revert_blocked"]:
            people.print(Text(f"Not now: {deployment['revert_blocked']}", style="yellow"))


@app.command()
def diff(ctx: typer.Context, database: Database, number: Number) -> None:
    """Show what a deploy request changes."""
    here = context(ctx)
    here.output.diff(here.client.get(f"{path(database, number)}/diff")["data"])


@app.command()
def history(ctx: typer.Context, database: Database, number: Number) -> None:
    """Show every step of a deploy request with its time."""
    here = context(ctx)
    here.output.table(
        here.client.get(f"{path(database, number)}/history")["data"],
        {"at": "at", "from": "before", "to": "after", "by": "actor", "reason": "reason"},
    )


@app.command()
def deploy(ctx: typer.Context, database: Database, number: Number, wait: Wait = False) -> None:
    """Put a deploy request into the queue; it copies, catches up, verifies and cuts over by itself."""
    _act(context(ctx), database, number, "deploy", wait, f"Deploy request {number} is queued.")


@app.command()
def apply(ctx: typer.Context, database: Database, number: Number, wait: Wait = False) -> None:
    """Cut over a deployment that waits for it."""
    _act(context(ctx), database, number, "apply-deploy", wait, f"Deploy request {number} cuts over.")


@app.command()
def cancel(ctx: typer.Context, database: Database, number: Number, wait: Wait = False) -> None:
    """Stop a deployment that is not complete; production stays, or becomes again, as it was."""
    _act(context(ctx), database, number, "cancel", wait, f"Deploy request {number} is being cancelled.")


@app.command()
def revert(
    ctx: typer.Context,
    database: Database,
    number: Number,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it is done.")] = True,
) -> None:
    """Swap the old tables back, with everything written since the deployment."""
    _act(context(ctx), database, number, "revert", wait, f"Deploy request {number} is being reverted.")


@app.command("skip-revert")
def skip_revert(ctx: typer.Context, database: Database, number: Number) -> None:
    """End the revert window: the old tables are dropped."""
    here = context(ctx)
    request = here.client.post(f"{path(database, number)}/skip-revert")
    here.output.say(f"The revert window of deploy request {number} is over.", request)


@app.command()
def close(ctx: typer.Context, database: Database, number: Number) -> None:
    """Close a deploy request without deploying it."""
    here = context(ctx)
    request = here.client.patch(path(database, number), {"state": "closed"})
    here.output.say(f"Deploy request {number} is closed.", request)


def _act(here: Context, database: str, number: int, verb: str, wait: bool, done: str) -> None:
    request = here.client.post(f"{path(database, number)}/{verb}")
    if not wait:
        here.output.say(done, request)
        return
    request = _watch(here, database, number)
    state, problem = request["deployment_state"], request["deployment"]["problem"]
    if here.output.is_json:
        here.output.json(request)
    else:
        people.print(_outcome(request, database))
    if state not in GOOD_ENDS:
        reason = f": {problem}" if problem else ""
        errors.print(Text(f"Deploy request {number} ended as {state}{reason}", style="red"))
        raise typer.Exit(1)


def _print_warnings(request: Any) -> None:
    deployment = request["deployment"]
    for operation in deployment["deploy_operations"]:
        for loss in operation["losses"]:
            text = f"{operation['table_name']}: {loss} is gone when the revert window ends"
            people.print(Text(text, style="yellow"))
    for warning in deployment["warnings"]:
        people.print(Text(warning, style="yellow"))


def _watch(here: Context, database: str, number: int) -> Any:
    """Show progress bars until nothing is under way, and return the deploy request as it is then."""
    client = here.client
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[detail]}"))
    bars: dict[str, TaskID] = {}
    heard_at = time.monotonic()
    with Progress(*columns, console=people, disable=here.output.is_json) as progress:
        while True:
            try:
                request = client.get(path(database, number))
                heard_at = time.monotonic()
            except (Unreachable, ApiRefused):
                # Control may be restarting; the deployment goes on after that.
                if time.monotonic() - heard_at > SILENCE_S:
                    raise
                time.sleep(POLL_S)
                continue
            for operation in request["deployment"]["deploy_operations"]:
                title = f"{operation['operation_name']} {operation['table_name']}"
                bar = bars.get(title)
                if bar is None:
                    bar = bars[title] = progress.add_task(title, total=100, detail="")
                done = operation["progress_percentage"]
                progress.update(bar, completed=done, detail=progress_text(operation))
            if request["deployment_state"] not in WAITING:
                return request
            time.sleep(POLL_S)


def progress_text(operation: Any) -> str:
    """Say in a line what an operation is doing and how far it is."""
    parts = [operation["activity"] or operation["state"].replace("in_progress", "waits for its turn")]
    if operation["rows_total"]:
        parts.append(f"{operation['rows_copied']:,} of {operation['rows_total']:,} rows")
    if operation["rows_per_second"]:
        parts.append(f"{operation['rows_per_second']:,} rows/s")
    if operation["eta_seconds"]:
        parts.append(f"{operation['eta_seconds']} s left")
    if operation["throttled_reason"]:
        parts.append(f"held back: {operation['throttled_reason']}")
    return ", ".join(parts)


def _outcome(request: Any, database: str) -> str:
    number, state = request["number"], request["deployment_state"]
    lock = request["deployment"]["longest_lock_ms"]
    locked = f" Its table was locked for {lock:.0f} ms." if lock else ""
    if state == "complete_pending_revert":
        until = request["deployment"]["deployment_revert_request"]["waiting_period_end_at"]
        return (
            f"Deploy request {number} is deployed.{locked}\n"
            f"Until {until} it can be undone, keeping what is written since: "
            f"headgate deploy-request revert {database} {number}"
        )
    if state == "complete_revert":
        return f"Deploy request {number} is reverted; rows written since the deployment are kept.{locked}"
    if state == "pending_cutover":
        return f"Everything is copied. Cut over with: headgate deploy-request apply {database} {number}"
    return f"Deploy request {number}: {state}"
