"""I decide where one goes who has proved who it is, and whether it may."""

from __future__ import annotations

from typing import Final

from proxy.branches import Branches
from proxy.errors import (
    InsecureTransport,
    NoSuchBranch,
    ProxyError,
    TooManyConnections,
    TooManyUserConnections,
)
from proxy.listener import share
from router.errors import RouteError
from router.model import Branch, Role, Route, Server, User
from router.table import REPLICA_DATABASE, REPLICA_SUFFIX

_OWN_ACCOUNT: Final = frozenset({Role.READER, Role.WRITER, Role.REPLICATION})
"""Roles that must not use another one's server account on production."""


def destination(branches: Branches, user: User, login: str, database: str, *, tls: bool) -> Route:
    """Return where a user goes that logged in by this name, asking for this database.

    Raises ProxyError when there is no such branch, it wants TLS, has no account for the user's role, is
    not to be read by it, or when there is no room: only administrators get the last connections.
    """
    try:
        route = branches.table.route(login, database)
    except RouteError as error:
        raise NoSuchBranch(str(error)) from error
    branch, limits = route.branch, branches.limits
    if not tls and (branch.require_tls or limits.tls_client_ca):
        raise InsecureTransport(
            "Connections using insecure transport are prohibited on branch "
            f"{branch.name!r}: connect with TLS (for the mysql shell: --ssl-mode=REQUIRED)"
        )
    if branch.production and user.role in _OWN_ACCOUNT and user.role not in branch.accounts:
        raise ProxyError(
            f"branch {branch.name!r} has no server account for the role {user.role}: name one with the "
            f"settings production.{user.role}_user and production.{user.role}_password"
        )
    if route.replica and user.role is Role.WRITER:
        raise ProxyError(
            f"user {user.name!r} has the role writer, which does not read, and a replica is only read from: "
            f"log in without {REPLICA_SUFFIX} or {REPLICA_DATABASE}, or with a password of another role",
            errno=1142,
            sqlstate="42000",
        )
    everyone = branches.clients
    if everyone >= share(limits.max_connections, limits.workers) and user.role is not Role.ADMIN:
        raise TooManyConnections("Too many connections")
    own = share(limits.max_user_connections, limits.workers)
    if everyone >= own and _connections(branches, user) >= own:
        raise TooManyUserConnections(
            f"User {user.name} already has more than 'max_user_connections' active connections"
        )
    return route


def replica(branch: Branch, primary: Server, number: int) -> Server:
    """Return where somebody reads who asked for a replica; the next `number` takes the next replica.

    Raises ProxyError when none is close enough behind and the primary must not stand in for it.
    """
    if branch.replicas:
        return branch.replicas[number % len(branch.replicas)]
    if branch.replica_fallback:
        return primary
    raise ProxyError(
        f"no replica of branch {branch.name!r} is close enough behind to be read from: try again later, or "
        "set production.replica_fallback to read from the primary meanwhile"
    )


def _connections(branches: Branches, user: User) -> int:
    return sum(client.user.name == user.name for served in branches for client in served.clients)
