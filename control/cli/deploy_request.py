"""I am `headgate deploy-request`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer
from rich.text import Text

from control.cli.context import Context, Database, Number, context
from control.cli.output import people
from control.cli.progress import WAITING, act, path, progress_text
from control.cli.throttle import Clear, For, Paused, Ratio, draw
from control.cli.throttle import throttle as show_throttle

app = typer.Typer(help="Propose, check, deploy and revert schema changes.", no_args_is_help=True)

Wait = Annotated[bool, typer.Option("--wait", help="Show progress until it has ended.")]

Asked = Annotated[
    Literal["auto", "instant", "revertible"] | None,
    typer.Option(
        help="Change tables at once where that can be undone, at once or not at all, or always by a copy."
    ),
]
Lossy = Annotated[
    bool | None,
    typer.Option(
        "--allow-lossy/--no-allow-lossy", help="Let the server round and cut off what would be altered."
    ),
]

COLUMNS = {
    "number": "number",
    "branch": "branch",
    "into": "into_branch",
    "state": "state",
    "deployment": "deployment_state",
    "created": "created_at",
    "deployed": "deployed_at",
}


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
    strategy: Asked = None,
    allow_lossy: Lossy = None,
) -> None:
    """Check a branch's changes and open a deploy request for them."""
    here = context(ctx)
    client = here.client
    request = client.post(
        f"databases/{database}/deploy-requests",
        {"branch": branch, "into_branch": into, "notes": notes, "auto_cutover": auto_apply}
        | {"ddl_strategy": strategy, "allow_lossy": bool(allow_lossy)},
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
        if operation["ddl_method_reason"]:
            people.print(f"  {operation['ddl_method_reason']}", markup=False)
    if request["deployment_state"] in WAITING:
        draw(here, database)
    _print_warnings(request)
    if deployment["problem"]:
        people.print()
        people.print(Text(deployment["problem"], style="red"))
    window = deployment["deployment_revert_request"]
    if request["deployment_state"] == "complete_pending_revert":
        people.print(f"\nCan be reverted until {window['waiting_period_end_at']}.")
        if deployment["revert_blocked"]:
            people.print(Text(f"Not now: {deployment['revert_blocked']}", style="yellow"))
    if deployment["redo_until"]:
        people.print(f"\nThe revert can be taken back until {deployment['redo_until']}.")
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
def deploy(
    ctx: typer.Context,
    database: Database,
    number: Number,
    wait: Wait = False,
    instant: Annotated[bool, typer.Option("--instant", help="Short for --strategy instant.")] = False,
    strategy: Asked = None,
    allow_lossy: Lossy = None,
) -> None:
    """Put a deploy request into the queue; it copies, catches up, verifies and cuts over by itself."""
    how = {"instant_ddl": instant, "ddl_strategy": strategy, "allow_lossy": allow_lossy}
    act(context(ctx), database, number, "deploy", wait, f"Deploy request {number} is queued.", how)


@app.command()
def apply(
    ctx: typer.Context,
    database: Database,
    number: Number,
    wait: Wait = False,
    force: Annotated[
        bool, typer.Option("--force", help="Kill the connections that hold the tables for long.")
    ] = False,
) -> None:
    """Cut over a deployment that waits for it; with --force also one that waits for its tables."""
    if force:
        _force(context(ctx), database, number, wait)
        return
    act(context(ctx), database, number, "apply-deploy", wait, f"Deploy request {number} cuts over.")


@app.command()
def cancel(ctx: typer.Context, database: Database, number: Number, wait: Wait = False) -> None:
    """Stop a deployment that is not complete; production stays, or becomes again, as it was."""
    act(context(ctx), database, number, "cancel", wait, f"Deploy request {number} is being cancelled.")


@app.command()
def revert(
    ctx: typer.Context,
    database: Database,
    number: Number,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it is done.")] = True,
    lose: Annotated[
        bool, typer.Option("--lose", help="List the rows that do not fit, and lose exactly these.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Do not ask.")] = False,
) -> None:
    """Swap the old tables back, with everything written since the deployment."""
    here = context(ctx)
    body = None
    if lose:
        rows = here.client.get(f"{path(database, number)}/misfits")["data"]
        if rows and not here.output.is_json:
            here.output.table(rows, {"table": "table_name", "row": "row"})
        if rows and not force:
            typer.confirm(f"Lose what was written to these {len(rows)} rows since?", abort=True)
        body = {"force": True, "misfits": rows}
    act(here, database, number, "revert", wait, f"Deploy request {number} is being reverted.", body)


@app.command()
def redo(
    ctx: typer.Context,
    database: Database,
    number: Number,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it is done.")] = True,
) -> None:
    """Take a revert back: the new tables come again, with everything written since."""
    request = act(context(ctx), database, number, "redo", wait, f"Deploy request {number} is being redone.")
    if wait and request["deployment_state"] == "complete_revert":
        raise typer.Exit(1)


@app.command("skip-revert")
def skip_revert(ctx: typer.Context, database: Database, number: Number) -> None:
    """End the window: what a revert, or taking one back, would need is dropped."""
    here = context(ctx)
    request = here.client.post(f"{path(database, number)}/skip-revert")
    here.output.say(f"The revert window of deploy request {number} is over.", request)


@app.command()
def throttle(
    ctx: typer.Context,
    database: Database,
    number: Number,
    ratio: Ratio = None,
    paused: Paused = None,
    for_s: For = None,
    clear: Clear = False,
) -> None:
    """Show or limit how much a deploy request may copy, also while it does; it may be paused."""
    show_throttle(context(ctx), path(database, number), ratio=ratio, paused=paused, for_s=for_s, clear=clear)


@app.command()
def close(ctx: typer.Context, database: Database, number: Number) -> None:
    """Close a deploy request without deploying it."""
    here = context(ctx)
    request = here.client.patch(path(database, number), {"state": "closed"})
    here.output.say(f"Deploy request {number} is closed.", request)


def _force(here: Context, database: str, number: int, wait: bool) -> None:
    where = path(database, number)
    if here.client.get(where)["deployment_state"] == "pending_cutover":
        here.client.post(f"{where}/apply-deploy")
    done = f"Deploy request {number} cuts over; connections that hold its tables for long are killed."
    act(here, database, number, "force-cutover", wait, done)


def _print_warnings(request: Any) -> None:
    deployment = request["deployment"]
    for operation in deployment["deploy_operations"]:
        for loss in operation["losses"]:
            text = f"{operation['table_name']}: {loss} is gone when the revert window ends"
            people.print(Text(text, style="yellow"))
        for remark in operation["revert_forecast"]:
            people.print(Text(f"{operation['table_name']}: {remark['sentence']}", style="yellow"))
    for warning in deployment["warnings"]:
        people.print(Text(warning, style="yellow"))
