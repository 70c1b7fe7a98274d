"""I am the `headgate` command: what stands before the sub-command, and how errors end it.

Exit status: 0 done; 1 refused, the sentence says what to do; 2 Headgate cannot be reached or started.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from conf.errors import ConfError
from control.cli import (
    audit_log,
    branch,
    database,
    deploy_request,
    lint,
    password,
    recommendation,
    run,
    service_token,
)
from control.cli.context import make_context
from control.cli.output import Format, errors
from control.cli.project import ProjectError
from control.client import ApiRefused, Unreachable
from control.errors import StartRefused
from migrator.deploy.errors import DeployError
from router.errors import RouteError, ServerFailed, ServerNotFound

app = typer.Typer(
    help="Branches, deploy requests and revertible schema changes for MySQL and MariaDB.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(database.app, name="database")
app.add_typer(branch.app, name="branch")
app.add_typer(deploy_request.app, name="deploy-request")
app.add_typer(password.app, name="password")
app.add_typer(lint.app, name="lint")
app.add_typer(recommendation.app, name="recommendation")
app.add_typer(service_token.app, name="service-token")
app.add_typer(audit_log.app, name="audit-log")
app.command()(run.serve)
app.command()(run.demo)
app.command("check-config")(run.check_config)
app.command()(run.reload)


@app.callback()
def options(
    ctx: typer.Context,
    config: Annotated[
        str, typer.Option(help="TOML file with settings.", envvar="HEADGATE_CONFIG", show_default=False)
    ] = "",
    output: Annotated[
        Format, typer.Option("--format", "-f", help="For people, or for programs.")
    ] = Format.HUMAN,
) -> None:
    """Take the options that stand before the sub-command."""
    made = ctx.obj = make_context(config, output)
    ctx.call_on_close(made.close)


def main() -> None:
    """Run the command line."""
    try:
        app()
    except ConfError as error:
        for mistake in error.mistakes:
            errors.print(mistake, style="red", markup=False)
        sys.exit(2)
    except (Unreachable, StartRefused, ServerNotFound, ServerFailed, ProjectError) as error:
        errors.print(str(error), style="red", markup=False)
        sys.exit(2)
    except (ApiRefused, RouteError, DeployError) as error:
        errors.print(str(error), style="red", markup=False)
        sys.exit(1)
