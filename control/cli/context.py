"""I am what every command needs: the settings, the API's client, the output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from conf.load import load
from conf.settings import Settings
from control.cli.output import Format, Output
from control.client import Client
from router.model import check_name


def checked(name: str) -> str:
    """Return a name that goes into a path. Raises RouteError when nothing can have it."""
    return check_name("database or branch", name)


Database = Annotated[str, typer.Argument(help="The database, for example shop.", callback=checked)]
Number = Annotated[int, typer.Argument(help="The number of the deploy request.")]


@dataclass
class Context:
    """What the options before the command said."""

    config: str
    output: Output
    _settings: Settings | None = None
    _client: Client | None = None

    @property
    def settings(self) -> Settings:
        """The settings; a ConfError ends the command with all mistakes."""
        if self._settings is None:
            self._settings = load(self.config or None)
        return self._settings

    @property
    def client(self) -> Client:
        """A client of the API."""
        if self._client is None:
            self._client = Client(self.settings, for_people=not self.output.is_json)
        return self._client

    def close(self) -> None:
        """Close the client's connections."""
        if self._client is not None:
            self._client.close()


def context(ctx: typer.Context) -> Context:
    """Return the context that `main` made."""
    found = ctx.obj
    assert isinstance(found, Context)
    return found


def make_context(config: str, chosen: Format) -> Context:
    """Return a context for the options before the command."""
    return Context(config, Output(chosen))
