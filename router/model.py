"""I am the nouns: flavours, addresses, accounts, users, branches and routes, as frozen values."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum

from router.errors import RouteError

NAME_PATTERN = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


class Flavor(StrEnum):
    """Which family a server belongs to."""

    MYSQL = "mysql"
    MARIADB = "mariadb"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens: a Unix socket when `socket` is set, else TCP host and port."""

    host: str = "127.0.0.1"
    port: int = 3306
    socket: str | None = None

    def __str__(self) -> str:
        return self.socket if self.socket else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Account:
    """A server account of ours: its name and secret (the secret is never printed)."""

    user: str
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Server:
    """A server we can open connections to, with the account to use there.

    `version` is what `SELECT VERSION()` says, for example `9.7.4` or `10.11.19-MariaDB`.
    """

    flavor: Flavor
    version: str
    address: Address
    account: Account


@dataclass(frozen=True, slots=True)
class User:
    """Who may log in to the proxy.

    `verifier` is SHA256(SHA256(secret)), 32 bytes: enough to check a caching_sha2_password fast login, not
    enough to make one. A user bound to a `branch` reaches that branch only; one with None reaches every
    branch of `database` by a suffix to its name.
    """

    name: str
    verifier: bytes = field(repr=False)
    database: str
    branch: str | None = None


@dataclass(frozen=True, slots=True)
class Branch:
    """One branch of a database: where its statements run and what is allowed there.

    `schema` is the name of the database on the server, the same on every branch. `server` is None while the
    branch has none that is awake; `sleepable` says that control must be asked to wake it at each login.
    """

    database: str
    name: str
    schema: str
    production: bool
    safe_migrations: bool
    sleepable: bool
    server: Server | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """What a login resolves to."""

    user: User
    branch: Branch


def check_name(kind: str, name: str) -> str:
    """Return `name` if it may name a database or branch, else raise RouteError saying what may.

    Names appear unescaped in URLs and between dots in user names, so only lower-case letters, digits and
    inner hyphens are allowed, at most 63 characters.
    """
    if not NAME_PATTERN.fullmatch(name):
        raise RouteError(
            f"{name!r} cannot be the name of a {kind}: use lower-case letters, digits and hyphens "
            "(not first or last), at most 63 characters, for example 'add-phone'"
        )
    return name
