"""I am `headgate service-token`."""

from __future__ import annotations

from typing import Annotated

import typer

from control.cli.context import context
from control.cli.times import seconds
from router.model import Access

app = typer.Typer(help="Make, list and delete the tokens of people and programs.", no_args_is_help=True)

COLUMNS = {
    "id": "id",
    "name": "name",
    "access": "access",
    "created": "created_at",
    "last used": "last_used_at",
    "expires": "expires_at",
}


@app.command("list")
def list_tokens(ctx: typer.Context) -> None:
    """List the service tokens; secrets are not shown."""
    here = context(ctx)
    here.output.table(here.client.every("service-tokens"), COLUMNS)


@app.command()
def create(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Who or what uses it, for example ada or ci.")],
    access: Annotated[Access, typer.Option(help="What it may do.")] = Access.MEMBER,
    ttl: Annotated[
        str, typer.Option(help="How long it works: 90s, 30m, 8h, 7d; otherwise until it is deleted.")
    ] = "",
) -> None:
    """Make a service token, and print how to use it; the secret is shown only now."""
    here = context(ctx)
    body = {"name": name, "access": str(access), "ttl": seconds(ttl) if ttl else None}
    made = here.client.post("service-tokens", body)
    here.output.say(
        f"Service token [bold]{made['id']}[/bold] is made, for {name} as {access}. "
        f"Use it so (the secret is shown only now):\n\n  export HEADGATE_TOKEN={made['id']}:{made['token']}",
        made,
    )


@app.command()
def delete(
    ctx: typer.Context, token_id: Annotated[str, typer.Argument(help="The id of the token, from the list.")]
) -> None:
    """Delete a service token; it lets nobody in from now on."""
    here = context(ctx)
    here.client.delete(f"service-tokens/{token_id}")
    here.output.say(f"Service token {token_id} is deleted.", {"id": token_id, "deleted": True})
