"""I run control's service inside the test's own process, with its API and a real embedded server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from conf.settings import (
    ControlSettings,
    MigratorSettings,
    ProductionSettings,
    ProxySettings,
    ServersSettings,
    Settings,
    ThrottleSettings,
)
from control.api.app import make_app
from control.assembly import open_service
from control.service import Service
from control.token import authorization
from router.database import Connection
from router.hosts import PRODUCTION
from router.model import Account, Flavor, Server
from router.secrets import SecretsFile
from tests.support.servers import ASKS_S, free_port, remove_servers, until

PATIENCE_S = 180.0


@dataclass
class Running:
    """A service, and a client of its API that has the token."""

    settings: Settings
    service: Service
    http: httpx.AsyncClient

    @property
    def database(self) -> str:
        """Path of the database."""
        return f"/v1/organizations/{self.settings.control.organization}/databases/shop"

    @property
    def admin(self) -> Server:
        """The production server, with the account that may do everything."""
        secrets = SecretsFile(self.settings.state_dir / "secrets.json")
        account = Account("headgate_admin", secrets.get("headgate_admin"))
        return replace(self.service.branches.production.migrator, account=account)

    async def call(self, method: str, path: str, body: Any = None, *, expect: int = 200) -> Any:
        """Call what is below the database and return the answer, which must have the expected status."""
        answer = await self.http.request(method, self.database + path, json=body)
        assert answer.status_code == expect, answer.text
        return answer.json() if answer.content else None

    async def on_branch(self, name: str, *statements: str) -> None:
        """Run statements on a branch, as its clients would."""
        server = await self.service.branches.wake(name)
        async with await Connection.open(server, database="shop") as connection:
            for statement in statements:
                await connection.execute(statement)

    async def on_production(self, *statements: str) -> None:
        """Run statements on production with every right."""
        async with await Connection.open(self.admin, database="shop") as connection:
            for statement in statements:
                await connection.execute(statement)

    async def request_until(self, number: int, *states: str) -> Any:
        """Wait until a deploy request is in one of the states and return it."""
        found: Any = None

        async def there() -> bool:
            nonlocal found
            found = await self.call("GET", f"/deploy-requests/{number}")
            return found["deployment_state"] in states

        await until(there, timeout_s=PATIENCE_S, every_s=ASKS_S)
        return found


def settings_in(folder: Path, flavor: Flavor, **changes: Any) -> Settings:
    """Settings for a Headgate in a folder, with ports nobody uses."""
    return replace(
        Settings(
            state=str(folder),
            proxy=ProxySettings(port=free_port()),
            control=ControlSettings(port=free_port()),
            production=ProductionSettings(),
            servers=ServersSettings(flavor=str(flavor), spare=False),
            migrator=MigratorSettings(revert_window_s=600.0, garbage_hold_s=0),
            throttle=ThrottleSettings(enabled=False),
        ),
        **changes,
    )


@contextlib.asynccontextmanager
async def running_service(
    folder: Path, flavor: Flavor, adjust: Callable[[Settings], Settings] = lambda settings: settings
) -> AsyncIterator[Running]:
    """Run a service; at the end its servers must have stopped."""
    settings = adjust(settings_in(folder, flavor))
    try:
        async with open_service(settings) as service:
            work = asyncio.ensure_future(service.run())
            transport = httpx.ASGITransport(make_app(service), raise_app_exceptions=False)
            headers = {"Authorization": authorization(service.token)}
            try:
                async with httpx.AsyncClient(
                    transport=transport, base_url="http://headgate", headers=headers, timeout=PATIENCE_S
                ) as http:
                    yield Running(settings, service, http)
            finally:
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)
        assert not list(folder.glob(f"servers/{PRODUCTION}/*.sock"))
    finally:
        remove_servers(folder)
