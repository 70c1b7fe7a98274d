"""I bring the demo up: servers, control and workers, the sample shop, and an application that uses it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace

from conf.settings import Settings
from control.assembly import ADMIN_USER
from control.client import ApiRefused, Client, Unreachable
from control.demo import shop
from control.demo.load import Load
from control.errors import StartRefused
from control.supervisor import Supervisor, check_port, listen
from router.accounts import prove_no_ddl
from router.database import Connection
from router.hosts import PRODUCTION, LocalHost
from router.model import Account, Address, Flavor, Server
from router.secrets import SecretsFile
from router.servers.programs import Programs, default_cache, find_server

CLIENTS = 8
OPERATIONS_PER_S = 120.0
READY_POLL_S = 0.1
START_TIMEOUT_S = 120.0
APPLICATION = "app"


@dataclass(frozen=True, slots=True)
class Stage:
    """The running demo.

    `admin` may do everything on production, which only the demo's own checks use; `traffic` is what the proxy
    may do there.
    """

    settings: Settings
    supervisor: Supervisor
    client: Client
    programs: Programs
    admin: Server
    traffic: Server
    password: str
    load: Load

    @property
    def database(self) -> str:
        """The logical name of the database."""
        return self.settings.production.database

    @property
    def schema(self) -> str:
        """The name of the database on the server."""
        return self.settings.production.schema or self.settings.production.database


@contextlib.asynccontextmanager
async def staged(
    settings: Settings, config: str, say: Callable[[str], None], orders: int = shop.ORDERS
) -> AsyncIterator[Stage]:
    """Run the demo while the body runs, then stop everything that was started.

    `say` is told what happens meanwhile. Raises StartRefused, ServerNotFound and ServerFailed.
    """
    _check_startable(settings)
    flavor = Flavor(settings.servers.flavor)
    say(f"finding a {flavor} server (a missing one is fetched, which takes a moment)")
    programs = await find_server(flavor, configured=settings.servers.program, fetch=settings.servers.fetch)
    supervisor = Supervisor(settings, config, log_to=settings.state_dir / "logs")
    running = asyncio.ensure_future(supervisor.run())
    try:
        say(f"starting {flavor} {programs.version}, control and {settings.proxy.workers} workers")
        await _until_ready(Client(settings), running)
        stage = await _set(settings, supervisor, programs, say, orders)
        await stage.load.start()
        try:
            yield stage
        finally:
            await stage.load.stop()
    finally:
        say("stopping")
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def _check_startable(settings: Settings) -> None:
    """Raise StartRefused where production is not ours, or a port is taken."""
    if settings.production.host or settings.production.socket:
        raise StartRefused(
            "the demo fills its production server with sample rows, so it only runs on the embedded one: "
            "leave production.host and production.socket empty"
        )
    check_port(settings.control)
    for sock in listen(settings.proxy):
        sock.close()


async def _set(
    settings: Settings, supervisor: Supervisor, programs: Programs, say: Callable[[str], None], orders: int
) -> Stage:
    """Fill the shop of a Headgate that runs, and make ready the application that is to use it."""
    # The token is made by the first start, so only now it can be read.
    client = Client(settings)
    secrets = SecretsFile(settings.state_dir / "secrets.json")
    admin = _production(settings, programs, secrets, ADMIN_USER)
    traffic = _production(settings, programs, secrets, settings.production.proxy_user)
    refusal = await prove_no_ddl(traffic, settings.production.schema or settings.production.database)
    say(f"the proxy's own account could not change the schema either; the server says: {refusal}")
    say(f"filling the sample shop with {orders:,} orders, if it is not there yet")
    async with await Connection.open(admin) as connection:
        await shop.fill(connection, settings.production.database, orders)
    password = await asyncio.to_thread(_application_password, client, settings)
    load = Load(
        Address(settings.proxy.host, settings.proxy.port),
        APPLICATION,
        password,
        settings.production.database,
        clients=CLIENTS,
        rate_per_s=OPERATIONS_PER_S,
    )
    return Stage(settings, supervisor, client, programs, admin, traffic, password, load)


async def _until_ready(client: Client, running: asyncio.Future[None]) -> None:
    async with asyncio.timeout(START_TIMEOUT_S):
        while True:
            if running.done():
                running.result()
            try:
                if await asyncio.to_thread(client.ready):
                    return
            except (Unreachable, ApiRefused):
                pass
            await asyncio.sleep(READY_POLL_S)


def _production(settings: Settings, programs: Programs, secrets: SecretsFile, user: str) -> Server:
    account = Account(user, secrets.get(user))
    host = LocalHost(programs, settings.state_dir / "servers", default_cache(), account)
    server = host.server(PRODUCTION)
    assert server is not None, "control made it before it was ready"
    return replace(server, account=account)


def _application_password(client: Client, settings: Settings) -> str:
    made = client.post(
        f"databases/{settings.production.database}/branches/main/passwords",
        {
            "name": "the demo's application",
            "username": APPLICATION,
            "all_branches": True,
            "role": "readwriter",
        },
    )
    return str(made["plain_text"])
