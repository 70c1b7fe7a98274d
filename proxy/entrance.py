"""I give a client that has proved who it is what it needs to be served."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from proxy.backend import Backend, open_backend
from proxy.branches import ServedBranch
from proxy.client import Client, Doors
from proxy.courtesies import schema_of
from proxy.errors import ProxyError
from proxy.pooled import PooledClient
from proxy.session import Session
from proxy.wire.charsets import charset_names
from proxy.wire.constants import Capability
from router.model import Flavor, PoolMode, Role, Server, User
from router.policy import is_guarded

_NOT_MIRRORED: Final = Capability.SSL | Capability.MULTI_STATEMENTS | Capability.COMPRESS | Capability.ZSTD
_LOCAL_FILES: Final = int(Capability.LOCAL_FILES)
ATTRIBUTES_BYTES_MAX: Final = 60_000
"""How much of a client's attributes is passed on: servers take 64 KiB of them (performance-schema-connection-
attribute-tables.html)."""
_LENGTHS_BYTES_MAX: Final = 6
_VERSION: Final = re.compile(r"(\d{1,4})\.(\d{1,4})\.(\d{1,4})", re.ASCII)
_ALWAYS: Final = Capability.LONG_PASSWORD | Capability.CONNECT_WITH_DB | Capability.CONNECT_ATTRS


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who has logged in, from where, and what it asked for.

    `capabilities` are those both sides have, `replica` says that it asked to read from a replica.
    """

    user: User
    peer: str
    connection_id: int
    capabilities: Capability
    charset: int
    database: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    replica: bool = False

    @property
    def role(self) -> Role:
        """What it may do: who asked to read from a replica must not write, whatever the server there says.

        That takes rights away and gives none, so a role that may not read stays what it is.
        """
        reads = self.user.role in (Role.READWRITER, Role.ADMIN)
        return Role.READER if self.replica and reads else self.user.role


async def enter(
    served: ServedBranch, visitor: Visitor, server: Server, doors: Doors, *, timeout_s: float
) -> Client:
    """Make the client, with a backend where it needs one from the start.

    The caller gives it the transport by `adopt`. Raises ProxyError with what the client may know.
    """
    branch = served.branch
    account = branch.account(visitor.role)
    if account is not None and account is not server.account:
        server = replace(server, account=account)
    if not branch.local_infile and int(visitor.capabilities) & _LOCAL_FILES:
        visitor = replace(visitor, capabilities=visitor.capabilities & ~Capability.LOCAL_FILES)
    if branch.pool_mode is PoolMode.TRANSACTION and visitor.role is not Role.REPLICATION:
        client: Client = await _share(served, visitor, server, doors)
    else:
        client = await _open(served, visitor, server, doors, timeout_s)
    client.takes_farewell = _takes_farewell(visitor.attributes)
    return client


async def _open(
    served: ServedBranch, visitor: Visitor, server: Server, doors: Doors, timeout_s: float
) -> Client:
    """Make a client with a backend of its own."""
    branch = served.branch
    capabilities = (visitor.capabilities & ~_NOT_MIRRORED) | _ALWAYS
    if not is_guarded(branch, visitor.role):
        capabilities |= visitor.capabilities & Capability.MULTI_STATEMENTS
    backend: Backend = await open_backend(
        server,
        database=schema_of(branch, visitor.database),
        capabilities=capabilities,
        charset=visitor.charset,
        attributes={
            **_short(visitor.attributes),
            "_proxy": "headgate",
            "_proxy_user": visitor.user.name,
            "_branch": branch.name,
            "_client_ip": visitor.peer,
        },
        timeout_s=timeout_s,
    )
    if backend.capabilities & Capability.MULTI_STATEMENTS and is_guarded(served.branch, visitor.role):
        # The branch has changed meanwhile: nobody would look through what comes behind a semicolon.
        backend.abort()
        raise ProxyError(f"branch {branch.name!r} was changed during the login: connect again")
    client = Client(
        served,
        user=visitor.user,
        peer=visitor.peer,
        connection_id=visitor.connection_id,
        capabilities=visitor.capabilities,
        doors=doors,
        backend=backend,
    )
    client.act_as(visitor.role)
    if client.passes_options:
        client.splits, client.unsplit = False, True
    return client


async def _share(served: ServedBranch, visitor: Visitor, server: Server, doors: Doors) -> PooledClient:
    """Make a client that shares backends.

    A server that has answered lately is not asked again for the branch's own schema.
    """
    pool, branch = served.pool, served.branch
    wanted = pool.class_for(server, visitor.capabilities)
    if wanted.canonical is None or not pool.reached:
        await pool.visit(wanted)
    canonical = wanted.canonical
    assert canonical is not None
    schema = schema_of(branch, visitor.database)
    charset = charset_names(visitor.charset, mariadb=server.flavor is Flavor.MARIADB)
    session = Session(canonical, schema, charset)
    if schema != branch.schema:
        await pool.visit(wanted, session)
    client = PooledClient(
        served,
        user=visitor.user,
        peer=visitor.peer,
        connection_id=visitor.connection_id,
        capabilities=visitor.capabilities,
        doors=doors,
        backend_class=wanted,
        session=session,
    )
    client.act_as(visitor.role)
    return client


def _short(attributes: Mapping[str, str]) -> dict[str, str]:
    """Return as many of a client's attributes as the server takes for sure, together with ours.

    It answers a login that has more with an error, and counts that against the host all clients come from.
    """
    short: dict[str, str] = {}
    left = ATTRIBUTES_BYTES_MAX
    for key, value in attributes.items():
        left -= len(key.encode()) + len(value.encode()) + _LENGTHS_BYTES_MAX
        if left < 0:
            break
        short[key] = value
    return short


def _takes_farewell(attributes: Mapping[str, str]) -> bool:
    """Say whether a client expects an error though it asked nothing: MySQL's own library, since 8.0.24."""
    version = _VERSION.match(attributes.get("_client_version", ""))
    if version is None or attributes.get("_client_name") != "libmysql":
        return False
    return tuple(map(int, version.groups())) >= (8, 0, 24)
