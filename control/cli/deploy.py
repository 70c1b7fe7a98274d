"""I am the commands of `headgate deploy-request` that have production changed, and changed back."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from control.cli.context import Context, Database, context
from control.cli.options import Asked, Lossy, Wait
from control.cli.progress import act
from control.cli.which import Which, number_of, path
from migrator.deploy.lifecycle import State

Waits = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it is done.")]
Force = Annotated[bool, typer.Option("--force", help="Do not ask.")]
Lane = Annotated[
    Literal["serial", "parallel"],
    typer.Option(help="In the queue, or beside it when it changes other tables than those in the queue."),
]


def deploy(
    ctx: typer.Context,
    database: Database,
    which: Which,
    wait: Wait = False,
    instant: Annotated[bool, typer.Option("--instant", help="Short for --strategy instant.")] = False,
    strategy: Asked = None,
    allow_lossy: Lossy = None,
    lane: Lane = "serial",
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Say yes to all that asks to be confirmed.")
    ] = False,
) -> None:
    """Put a deploy request into the queue; it copies, catches up, verifies and cuts over by itself."""
    here = context(ctx)
    number = number_of(here, database, which)
    how = {"instant_ddl": instant, "ddl_strategy": strategy, "allow_lossy": allow_lossy, "strategy": lane}
    if confirm:
        here.client.post(f"{path(database, number)}/confirm")
    act(here, database, number, "deploy", wait, f"Deploy request {number} is queued.", how)


def apply(
    ctx: typer.Context,
    database: Database,
    which: Which,
    wait: Wait = False,
    force: Annotated[
        bool, typer.Option("--force", help="Kill the connections that hold the tables for long.")
    ] = False,
) -> None:
    """Cut over a deployment that waits for it; with --force also one that waits for its tables."""
    here = context(ctx)
    number = number_of(here, database, which)
    if force:
        _force(here, database, number, wait)
        return
    act(here, database, number, "apply-deploy", wait, f"Deploy request {number} cuts over.")


def cancel(ctx: typer.Context, database: Database, which: Which, wait: Wait = False) -> None:
    """Stop a deployment that is not complete; production stays, or becomes again, as it was."""
    here = context(ctx)
    number = number_of(here, database, which)
    act(here, database, number, "cancel", wait, f"Deploy request {number} is being cancelled.")


def revert(
    ctx: typer.Context,
    database: Database,
    which: Which,
    wait: Waits = True,
    lose: Annotated[
        bool, typer.Option("--lose", help="List the rows that do not fit, and lose exactly these.")
    ] = False,
    force: Force = False,
) -> None:
    """Swap the old tables back, with everything written since the deployment."""
    here = context(ctx)
    number = number_of(here, database, which)
    body = None
    if lose:
        rows = here.client.get(f"{path(database, number)}/misfits")["data"]
        if rows and not here.output.is_json:
            here.output.table(rows, {"table": "table_name", "row": "row"})
        if rows and not force:
            typer.confirm(f"Lose what was written to these {len(rows)} rows since?", abort=True)
        body = {"force": True, "misfits": rows}
    act(here, database, number, "revert", wait, f"Deploy request {number} is being reverted.", body)


def redo(ctx: typer.Context, database: Database, which: Which, wait: Waits = True) -> None:
    """Take a revert back: the new tables come again, with everything written since."""
    here = context(ctx)
    number = number_of(here, database, which)
    request = act(here, database, number, "redo", wait, f"Deploy request {number} is being redone.")
    if wait and request["deployment_state"] == State.COMPLETE_REVERT:
        raise typer.Exit(1)


def skip_revert(ctx: typer.Context, database: Database, which: Which) -> None:
    """End the window: what a revert, or taking one back, would need is dropped."""
    here = context(ctx)
    number = number_of(here, database, which)
    request = here.client.post(f"{path(database, number)}/skip-revert")
    here.output.say(f"The revert window of deploy request {number} is over.", request)


def retry(ctx: typer.Context, database: Database, which: Which, wait: Wait = False) -> None:
    """Try the operations again that have failed; those that are done stay."""
    here = context(ctx)
    number = number_of(here, database, which)
    act(here, database, number, "retry", wait, f"Deploy request {number} is tried again.")


def unblock(ctx: typer.Context, database: Database, which: Which) -> None:
    """Take note of a failed deployment or revert: it is cleared away, and the queue goes on."""
    here = context(ctx)
    number = number_of(here, database, which)
    request = here.client.post(f"{path(database, number)}/complete-deploy")
    here.output.say(f"Deploy request {number} is no longer in the way of others.", request)


def _force(here: Context, database: str, number: int, wait: bool) -> None:
    where = path(database, number)
    if here.client.get(where)["deployment_state"] == State.PENDING_CUTOVER:
        here.client.post(f"{where}/apply-deploy")
    done = f"Deploy request {number} cuts over; connections that hold its tables for long are killed."
    act(here, database, number, "force-cutover", wait, done)
