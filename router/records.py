"""I am branches and passwords as they are stored."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from router.model import Actor, Role, User


class BranchState(StrEnum):
    """Where a branch is in its life."""

    PENDING = "pending"
    READY = "ready"


class Home(StrEnum):
    """On which kind of server a branch lives."""

    CONFIGURED = "configured"
    """The production server that the configuration names, or the embedded one."""
    LOCAL = "local"
    """A server of its own on this machine."""


@dataclass(frozen=True, slots=True)
class BranchRecord:
    """A branch as stored; `base` is its parent's schema at the time it was made, as text.

    `parent` is what the branch of `parent_id` is called now, None when it is gone. With a `ttl_s` the branch
    is deleted after `expires_at`, unless somebody still needs it. `schema_digest` tells schemas apart, and
    `schema_at` is when it was last seen to change. `seed` says which rows it began with, empty for none;
    `actor` made it.
    """

    id: str
    database: str
    name: str
    parent_id: str | None
    production: bool
    safe_migrations: bool
    state: BranchState
    base: str | None
    created_at: datetime
    updated_at: datetime
    home: Home = Home.LOCAL
    is_default: bool = False
    deletion_protected: bool = False
    ttl_s: int | None = None
    expires_at: datetime | None = None
    schema_digest: str = ""
    schema_at: datetime | None = None
    seed: str = ""
    actor: Actor | None = None
    parent: str | None = field(default=None, metadata={"stored": False})

    @property
    def local(self) -> bool:
        """Whether it lives on a server of its own on this machine."""
        return self.home is Home.LOCAL


@dataclass(frozen=True, slots=True)
class PasswordRecord:
    """A password as stored; `branch_id` None lets it reach every branch of the database.

    `branch` is what the branch of `branch_id` is called now. With a `ttl_s` it lets nobody in after
    `expires_at`, unless it is renewed; other fields as in User.
    """

    id: str
    database: str
    branch_id: str | None
    name: str
    username: str
    verifier: bytes = field(repr=False)
    created_at: datetime
    role: Role = Role.ADMIN
    slow_hash: str = field(default="", repr=False)
    native_verifier: bytes = field(default=b"", repr=False)
    networks: tuple[str, ...] = ()
    ttl_s: int | None = None
    expires_at: datetime | None = None
    replica: bool = False
    branch: str | None = field(default=None, metadata={"stored": False})

    @property
    def user(self) -> User:
        """The user that this password lets in."""
        return User(
            name=self.username,
            verifier=self.verifier,
            database=self.database,
            branch=self.branch,
            role=self.role,
            slow_hash=self.slow_hash,
            native_verifier=self.native_verifier,
            networks=self.networks,
            expires_at_s=self.expires_at.timestamp() if self.expires_at else None,
            replica=self.replica,
        )

    def expired(self, moment: datetime) -> bool:
        """Whether the password lets nobody in any more."""
        return self.expires_at is not None and self.expires_at <= moment
