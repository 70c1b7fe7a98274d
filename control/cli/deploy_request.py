"""I am `headgate deploy-request`: to propose changes and look at them; `deploy` and `review` add to me."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer
from rich.text import Text

from control.cli import deploy, review
from control.cli.chosen import ChosenBranch, ChosenDatabase, branch_of, database_of
from control.cli.context import Context, Database, context
from control.cli.costs import BEFORE, costs
from control.cli.options import Aggressive, Asked, AutoApply, AutoDelete, Lossy
from control.cli.output import lay_out, people
from control.cli.progress import WAITING
from control.cli.show_request import findings, picture
from control.cli.throttle import Clear, For, Paused, Ratio, draw
from control.cli.throttle import throttle as show_throttle
from control.cli.which import ChosenRequest, Which, number_of, path, request_of

app = typer.Typer(help="Propose, check, review, deploy and revert schema changes.", no_args_is_help=True)

COLUMNS = {
    "number": "number",
    "branch": "branch",
    "into": "into_branch",
    "state": "state",
    "deployment": "deployment_state",
    "approved": "approved",
    "by": "by",
    "created": "created_at",
    "deployed": "deployed_at",
}


@app.command("list")
def list_requests(
    ctx: typer.Context,
    database: ChosenDatabase = None,
    state: Annotated[Literal["open", "closed", "deployed"] | None, typer.Option(help="Only these.")] = None,
    branch: Annotated[str, typer.Option(help="Only those of this branch.")] = "",
    into: Annotated[str, typer.Option(help="Only those into this branch.")] = "",
    deployed: Annotated[
        str, typer.Option(help="Only those deployed then: 2026-08-20, a time, or FROM..TO.", metavar="WHEN")
    ] = "",
    running: Annotated[
        str, typer.Option(help="Only those that ran then, in the same form.", metavar="WHEN")
    ] = "",
) -> None:
    """List deploy requests, newest first."""
    here = context(ctx)
    database = database_of(here, database)
    query = {"state": state, "branch": branch, "into_branch": into}
    query |= {"deployed_at": deployed, "running_at": running}
    chosen = {name: value for name, value in query.items() if value}
    found = here.client.every(f"databases/{database}/deploy-requests", **chosen)
    if not here.output.is_json:
        found = [{**one, "by": one["actor"]["display_name"]} for one in found]
    here.output.table(found, COLUMNS)


@app.command()
def create(
    ctx: typer.Context,
    database: ChosenDatabase = None,
    branch: ChosenBranch = None,
    into: Annotated[str, typer.Option(help="The branch to deploy into; otherwise its parent.")] = "",
    notes: Annotated[str, typer.Option(help="What the change is for.")] = "",
    auto_apply: AutoApply = None,
    auto_delete: AutoDelete = None,
    aggressive: Aggressive = None,
    strategy: Asked = None,
    allow_lossy: Lossy = None,
) -> None:
    """Check a branch's changes and open a deploy request for them."""
    here = context(ctx)
    database, branch = branch_of(here, database, branch)
    body: dict[str, Any] = {"branch": branch, "into_branch": into, "notes": notes}
    body |= {"ddl_strategy": strategy, "allow_lossy": bool(allow_lossy)}
    wishes = {
        "auto_cutover": auto_apply,
        "auto_delete_branch": auto_delete,
        "aggressive_cutover": aggressive,
    }
    body |= {name: wish for name, wish in wishes.items() if wish is not None}
    request = here.client.post(f"databases/{database}/deploy-requests", body)
    if here.output.is_json:
        here.output.json(request)
        return
    _show(here, database, request)


@app.command()
def show(ctx: typer.Context, database: ChosenDatabase = None, which: ChosenRequest = None) -> None:
    """Show a deploy request: what was found, what it changes, how far it is, what may be done next."""
    here = context(ctx)
    database, number = request_of(here, database, which)
    request = here.client.get(path(database, number))
    if here.output.is_json:
        here.output.json(request)
        return
    _show(here, database, request)
    if request["deployment_state"] in WAITING:
        draw(here, database)


@app.command()
def diff(ctx: typer.Context, database: ChosenDatabase = None, which: ChosenRequest = None) -> None:
    """Check a deploy request again, and show what it changes."""
    here = context(ctx)
    database, number = request_of(here, database, which)
    where = path(database, number)
    here.output.diff(here.client.get(f"{where}/diff")["data"])
    if here.output.is_json:
        return
    found = here.client.get(where)["deployment"]
    for line in findings(found["findings"]):
        lay_out(line)
    if found["problem"] and not found["lint_errors"]:
        people.print(Text(found["problem"], style="red"))


@app.command()
def history(ctx: typer.Context, database: ChosenDatabase = None, which: ChosenRequest = None) -> None:
    """Show every step of a deploy request with its time."""
    here = context(ctx)
    database, number = request_of(here, database, which)
    here.output.table(
        here.client.get(f"{path(database, number)}/history")["data"],
        {"at": "at", "from": "before", "to": "after", "by": "actor", "reason": "reason"},
    )


@app.command()
def queue(ctx: typer.Context, database: ChosenDatabase = None) -> None:
    """List the deployments that are under way or queued, in the order in which they are carried."""
    here = context(ctx)
    database = database_of(here, database)
    found = here.client.every(f"databases/{database}/deploy-queue")
    here.output.table(
        found,
        {
            "place": "queue_position",
            "number": "deploy_request_number",
            "into": "into_branch",
            "state": "state",
            "lane": "strategy",
            "queued": "queued_at",
            "waits for": "waits_for",
        },
    )


@app.command()
def edit(
    ctx: typer.Context,
    database: Database,
    which: Which,
    auto_apply: AutoApply = None,
    auto_delete: AutoDelete = None,
    aggressive: Aggressive = None,
) -> None:
    """Change how a deploy request is carried out, also while it is."""
    here = context(ctx)
    number = number_of(here, database, which)
    wishes = {
        "auto-apply": auto_apply,
        "auto-delete-branch": auto_delete,
        "aggressive-cutover": aggressive,
    }
    wanted = {name: wish for name, wish in wishes.items() if wish is not None}
    if not wanted:
        raise typer.BadParameter("say what to change, for example --disable-auto-apply", param_hint="OPTIONS")
    request: Any = None
    for name, wish in wanted.items():
        request = here.client.put(f"{path(database, number)}/{name}", {"enable": wish})
    said = ", ".join(f"{name} is {'on' if wish else 'off'}" for name, wish in wanted.items())
    here.output.say(f"Deploy request {number}: {said}.", request)


@app.command()
def throttle(
    ctx: typer.Context,
    database: Database,
    which: Which,
    ratio: Ratio = None,
    paused: Paused = None,
    for_s: For = None,
    clear: Clear = False,
) -> None:
    """Show or limit how much a deploy request may copy, also while it does; it may be paused."""
    here = context(ctx)
    where = path(database, number_of(here, database, which))
    show_throttle(here, where, ratio=ratio, paused=paused, for_s=for_s, clear=clear)


@app.command()
def close(ctx: typer.Context, database: Database, which: Which) -> None:
    """Close a deploy request without deploying it."""
    here = context(ctx)
    number = number_of(here, database, which)
    request = here.client.patch(path(database, number), {"state": "closed"})
    here.output.say(f"Deploy request {number} is closed.", request)


def _show(here: Context, database: str, request: Any) -> None:
    changes = here.client.get(f"{path(database, request['number'])}/diff", recheck="false")["data"]
    takes = None
    if request["deployment_state"] in BEFORE:
        check = here.client.get(f"{path(database, request['number'])}/storage-check")
        takes = costs(check) if check["storage_bytes_needed"] else None
    lay_out(picture(request, changes, database, takes))


app.command()(review.review)
app.command()(review.reviews)
app.command()(review.confirm)
app.command()(deploy.deploy)
app.command()(deploy.apply)
app.command()(deploy.cancel)
app.command()(deploy.revert)
app.command()(deploy.redo)
app.command("skip-revert")(deploy.skip_revert)
app.command()(deploy.retry)
app.command()(deploy.unblock)
