"""I give a client that has proved who it is what it needs to be served."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from proxy.backend import Backend, open_backend
from proxy.branches import ServedBranch
from proxy.client import Client, Doors
from proxy.courtesies import schema_of
from proxy.wire.constants import Capability
from router.model import Server, User

_NOT_MIRRORED: Final = Capability.SSL | Capability.MULTI_STATEMENTS | Capability.COMPRESS | Capability.ZSTD
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


async def enter(
    served: ServedBranch, visitor: Visitor, server: Server, doors: Doors, *, timeout_s: float
) -> Client:
    """Make the client, with a backend where it needs one from the start.

    The caller gives it the transport by `adopt`. Raises ProxyError with what the client may know.
    """
    branch = served.branch
    account = branch.account(visitor.user.role)
    if account is not None:
        server = replace(server, account=account)
    capabilities = (visitor.capabilities & ~_NOT_MIRRORED) | _ALWAYS
    if not branch.safe_migrations:
        capabilities |= visitor.capabilities & Capability.MULTI_STATEMENTS
    backend: Backend = await open_backend(
        server,
        database=schema_of(branch, visitor.database),
        capabilities=capabilities,
        charset=visitor.charset,
        attributes={
            **visitor.attributes,
            "_proxy": "headgate",
            "_proxy_user": visitor.user.name,
            "_branch": branch.name,
            "_client_ip": visitor.peer,
        },
        timeout_s=timeout_s,
    )
    return Client(
        served,
        user=visitor.user,
        peer=visitor.peer,
        connection_id=visitor.connection_id,
        capabilities=visitor.capabilities,
        doors=doors,
        backend=backend,
    )
