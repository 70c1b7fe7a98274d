"""I am the nouns: flavours, addresses, accounts, users, actors, branches and routes, as frozen values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from router.errors import RouteError

NAME_PATTERN = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


class Flavor(StrEnum):
    """Which family a server belongs to."""

    MYSQL = "mysql"
    MARIADB = "mariadb"


class Role(StrEnum):
    """What a user may do on a branch; each has a server account of its own where rights are to differ."""

    READER = "reader"
    WRITER = "writer"
    READWRITER = "readwriter"
    ADMIN = "admin"
    """As readwriter; also may end others' statements, and gets in when all connections are used."""
    REPLICATION = "replication"
    """Reads the binary log, and nothing else."""


class PoolMode(StrEnum):
    """How long a client keeps a backend."""

    SESSION = "session"
    """From login to goodbye."""
    TRANSACTION = "transaction"
    """For a transaction, or for as long as its session has what cannot be carried to another backend."""


class TlsMode(StrEnum):
    """How a connection to a server is protected; as the modes of MySQL's own clients."""

    DISABLED = "disabled"
    REQUIRED = "required"
    """Encrypted; the server's certificate is not looked at."""
    VERIFY_CA = "verify_ca"
    VERIFY_IDENTITY = "verify_identity"


@dataclass(frozen=True, slots=True)
class ServerTls:
    """TLS towards a server: PEM files by path; `ca` empty means the system's authorities."""

    mode: TlsMode = TlsMode.DISABLED
    ca: str = ""
    certificate: str = ""
    key: str = ""


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

    `version` is what `SELECT VERSION()` says, for example `9.7.4` or `10.11.19-MariaDB`. `public_key` is the
    path of the server's RSA key (PEM), which a login without TLS over TCP needs when the server wants the
    password itself; it is never taken from the network.
    """

    flavor: Flavor
    version: str
    address: Address
    account: Account
    tls: ServerTls = ServerTls()
    public_key: str = ""


@dataclass(frozen=True, slots=True)
class User:
    """Who may log in to the proxy.

    `verifier` is SHA256(SHA256(secret)), 32 bytes: enough to check a caching_sha2_password fast login, not
    enough to make one; empty for a user with a `slow_hash` (of `router.secrets`), who chose the password.
    `native_verifier` is SHA1(SHA1(secret)), for users who may use mysql_native_password. A user bound to a
    `branch` reaches that branch only; one with None reaches every branch of `database` by a suffix to its
    name. `networks` are the CIDR blocks it may come from (none: from anywhere), `expires_at_s` a time.time().
    A `replica` user always reads from a replica.
    """

    name: str
    verifier: bytes = field(repr=False)
    database: str
    branch: str | None = None
    role: Role = Role.ADMIN
    slow_hash: str = field(default="", repr=False)
    native_verifier: bytes = field(default=b"", repr=False)
    networks: tuple[str, ...] = ()
    expires_at_s: float | None = None
    replica: bool = False


class Access(StrEnum):
    """What an actor may do, beyond looking."""

    READER = "reader"
    """Nothing."""
    MEMBER = "member"
    """Makes branches and deploy requests, comments, deploys what may be deployed."""
    ADMIN = "admin"
    """Also approves, changes settings, promotes, makes tokens, and what concerns production itself."""


class ActorKind(StrEnum):
    """What kind of being acts."""

    USER = "User"
    SERVICE_TOKEN = "ServiceToken"
    SYSTEM = "System"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks for something or has done it; what is stored keeps whole actors, which outlive their tokens.

    `made_by` is the id of the actor that made this one's token, empty when nobody did.
    """

    id: str
    name: str
    kind: ActorKind = ActorKind.SERVICE_TOKEN
    role: Access = Access.MEMBER
    made_by: str = ""

    @property
    def only_looks(self) -> bool:
        """Whether it may change nothing."""
        return self.role is Access.READER

    @property
    def administrates(self) -> bool:
        """Whether it may do what only administrators may."""
        return self.role is Access.ADMIN


SYSTEM = Actor("headgate", "headgate", ActorKind.SYSTEM, Access.ADMIN)
"""Headgate itself, when nobody has asked."""
LOCAL = Actor("localcontrol", "local", ActorKind.USER, Access.ADMIN)
"""Who can read the state folder of a Headgate, and so has the token in it."""


@dataclass(frozen=True, slots=True)
class Branch:
    """One branch of a database: where its statements run and what is allowed there.

    `schema` is the name of the database on the server, the same on every branch. `server` is None while the
    branch has none that is awake; `sleepable` says that control must be asked to wake it at each login.
    `accounts` has the roles whose rights on the server differ from those of the server's own account.
    `replicas` are those that are close enough behind to be read from; while there are none, who asks for one
    reads from the server itself if `replica_fallback` says so. Of several production branches, logins that
    name none reach the one that `is_default`.
    """

    database: str
    name: str
    schema: str
    production: bool
    safe_migrations: bool
    sleepable: bool
    server: Server | None = None
    pool_mode: PoolMode = PoolMode.SESSION
    require_tls: bool = False
    local_infile: bool = False
    accounts: Mapping[Role, Account] = field(default_factory=dict)
    replicas: tuple[Server, ...] = ()
    replica_fallback: bool = True
    is_default: bool = False

    def account(self, role: Role) -> Account | None:
        """Return the server account for a role; None while the branch has no server."""
        if role in self.accounts:
            return self.accounts[role]
        return self.server.account if self.server else None


@dataclass(frozen=True, slots=True)
class Route:
    """What a login resolves to; `replica` says that it asked to read from a replica."""

    user: User
    branch: Branch
    replica: bool = False


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
