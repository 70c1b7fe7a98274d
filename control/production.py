"""I bring the production server up, or find the one that the configuration names, and prove its accounts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import structlog

from conf.settings import ProductionSettings
from control.errors import StartRefused
from migrator.engine.checks.preflight import check_server
from router.accounts import (
    make_definer,
    make_migrator_account,
    make_role_accounts,
    make_traffic_account,
    prove_no_ddl,
    warn_of_migrator,
)
from router.database import Connection, quote_name
from router.hosts import PRODUCTION, LocalHost
from router.model import Account, Address, Flavor, PoolMode, Role, Server, ServerTls, TlsMode
from router.routines import warn_of_programs
from router.secrets import SecretsFile

log = structlog.get_logger()

ROLE_USERS = {
    Role.READER: "headgate_reader",
    Role.WRITER: "headgate_writer",
    Role.REPLICATION: "headgate_replication",
}
"""Accounts of the embedded production server for roles that need one of their own."""


@dataclass(frozen=True, slots=True)
class Production:
    """The production server, as the proxy and as the migrator reach it."""

    database: str
    schema: str
    traffic: Server
    migrator: Server
    embedded: bool = False
    accounts: Mapping[Role, Account] = field(default_factory=dict)
    pool_mode: PoolMode = PoolMode.TRANSACTION
    require_tls: bool = False
    local_infile: bool = False
    replicas: tuple[Server, ...] = ()
    replica_fallback: bool = True

    @property
    def roles(self) -> frozenset[Role]:
        """The roles that users may have here."""
        return frozenset({Role.READWRITER, Role.ADMIN, *self.accounts})


async def open_production(settings: ProductionSettings, host: LocalHost, secrets: SecretsFile) -> Production:
    """Return the production server: the one that the settings name, else the embedded one, started.

    Raises ServerFailed, DatabaseError, or StartRefused when it is none we can work with.
    """
    schema = settings.schema or settings.database
    if settings.host or settings.socket:
        return await _external(settings, schema, host)
    embedded = await host.wake(PRODUCTION)
    traffic = Account(settings.proxy_user, secrets.get(settings.proxy_user))
    migrator = Account(settings.migrator_user, secrets.get(settings.migrator_user))
    async with await Connection.open(embedded) as admin:
        await admin.execute(f"CREATE DATABASE IF NOT EXISTS {quote_name(schema)}")
        await make_traffic_account(admin, traffic, schema)
        await make_migrator_account(admin, migrator, schema)
        await make_definer(admin, settings.definer_user, schema)
        accounts = {role: Account(user, secrets.get(user)) for role, user in ROLE_USERS.items()}
        await make_role_accounts(admin, accounts, schema)
    production = Production(
        settings.database,
        schema,
        replace(embedded, account=traffic),
        replace(embedded, account=migrator),
        embedded=True,
        accounts=accounts,
    )
    return with_settings(production, settings)


async def prove(production: Production) -> None:
    """See that no account which clients work with can change the schema."""
    for role, account in {Role.READWRITER: production.traffic.account, **production.accounts}.items():
        server = replace(production.traffic, account=account)
        refusal = await prove_no_ddl(server, production.schema, role)
        log.info("account.proved", account=account.user, refusal=refusal)


async def warnings_of(production: Production) -> list[str]:
    """Return what the operator of production should know before anything goes wrong."""
    proved = [production.traffic.account.user, *(account.user for account in production.accounts.values())]
    return [
        *await check_server(production.migrator),
        *await warn_of_migrator(production.migrator),
        *await warn_of_programs(production.migrator, production.schema, proved),
    ]


async def _external(settings: ProductionSettings, schema: str, host: LocalHost) -> Production:
    """Return the production server that the configuration names; it must be one we can work with."""
    address = Address(settings.host, settings.port, settings.socket or None)
    traffic = Account(settings.proxy_user, settings.proxy_password)
    migrator = Account(settings.migrator_user, settings.migrator_password)
    tls = ServerTls(TlsMode(settings.tls), settings.tls_ca, settings.tls_certificate, settings.tls_key)
    server = await _describe(Server(Flavor.MYSQL, "", address, migrator, tls, settings.public_key))
    if server.flavor is not host.programs.flavor:
        raise StartRefused(
            f"production is {server.flavor} {server.version}, but local servers are "
            f"{host.programs.flavor}: set servers.flavor to {str(server.flavor)!r}"
        )
    if _release(host.programs.version) != _release(server.version):
        log.warning(
            "production.differs",
            reason=f"production is {server.version}, branch and scratch servers are "
            f"{host.programs.version}: what only one of them knows cannot be tried or proved",
        )
    production = Production(settings.database, schema, replace(server, account=traffic), server)
    return with_settings(production, settings)


def with_settings(production: Production, settings: ProductionSettings) -> Production:
    """Return production as its clients are to find it: what may change while Headgate runs."""
    named = {
        Role.READER: Account(settings.reader_user, settings.reader_password),
        Role.WRITER: Account(settings.writer_user, settings.writer_password),
        Role.REPLICATION: Account(settings.replication_user, settings.replication_password),
    }
    accounts = production.accounts if production.embedded else {}
    return replace(
        production,
        accounts={**accounts, **{role: account for role, account in named.items() if account.user}},
        pool_mode=PoolMode(settings.pool_mode),
        require_tls=settings.require_secure_transport,
        local_infile=settings.local_infile,
        replica_fallback=settings.replica_fallback,
    )


def _release(version: str) -> list[str]:
    """Return the numbers that tell releases apart: 9.7.4-2 is release 9.7."""
    return version.split("-")[0].split(".")[:2]


async def _describe(server: Server) -> Server:
    """Return the server with the flavour and version it says it has."""
    async with await Connection.open(server) as connection:
        version = str(await connection.fetch_value("SELECT VERSION()"))
    flavor = Flavor.MARIADB if "mariadb" in version.lower() else Flavor.MYSQL
    return replace(server, flavor=flavor, version=version)


def greeting(server: Server) -> str:
    """Return the version told to clients: production's numbers, which drivers look at, and our name.

    MariaDB before 11 puts 5.5.5 in front, as its replicas expect; Connector/J asks for the variables that
    such a server has, and cannot log in when it is told 10.
    """
    numbers = server.version.split("-")[0]
    if server.flavor is Flavor.MYSQL:
        return f"{numbers}-headgate"
    prefix = "5.5.5-" if int(numbers.split(".")[0]) < 11 else ""
    return f"{prefix}{numbers}-MariaDB-headgate"
