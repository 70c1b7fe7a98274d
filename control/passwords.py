"""I make, list, renew and delete the passwords of the database's branches."""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

import structlog

from control.errors import ControlError, NotFound
from router.clock import now
from router.errors import RouteError
from router.model import Role, User
from router.records import PasswordRecord
from router.secrets import new_id, new_password, slow_hash, verifier
from router.store import BranchStore

log = structlog.get_logger()

USERNAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
CHOSEN_MIN: Final = 12
"""Characters of a password that somebody chose, at least."""
TTL_MAX_S: Final = 366 * 24 * 3600
NETWORKS_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class PasswordWish:
    """What somebody wants of a new password.

    `branch` None lets it reach every branch. A `secret` is one that was chosen, otherwise it is generated;
    `native` lets its user log in by mysql_native_password too. `ttl_s` is how long it lives unless renewed,
    `networks` are the CIDR blocks it may be used from.
    """

    branch: str | None
    name: str = ""
    username: str = ""
    role: Role = Role.ADMIN
    ttl_s: int | None = None
    networks: Sequence[str] = ()
    replica: bool = False
    native: bool = False
    secret: str = field(default="", repr=False)


class Passwords:
    """The passwords of one database.

    `roles` are those that production has an account for. `changed` is awaited whenever the routing table is
    no longer what the workers have; it returns when they have the new one.
    """

    def __init__(
        self,
        database: str,
        store: BranchStore,
        *,
        roles: Callable[[], frozenset[Role]],
        changed: Callable[[], Awaitable[None]],
    ) -> None:
        self._database = database
        self._store = store
        self._roles = roles
        self._changed = changed
        # Held from reading a password to writing it: what is deleted meanwhile must not come back.
        self._writing = asyncio.Lock()

    async def create(
        self, wish: PasswordWish, check: Callable[[PasswordRecord], None] = lambda _: None
    ) -> tuple[PasswordRecord, str]:
        """Make a password and return it with its secret, once. Raises ControlError or RouteError.

        It takes the place of one with the same user name, unless `check` raises for that.
        """
        record, secret = await self._make(wish)
        async with self._writing:
            for earlier in await self.all():
                if earlier.username == record.username:
                    check(earlier)
            await self._store.put_password(record)
        log.info("password.created", user=record.username, branch=record.branch, role=str(record.role))
        await self._changed()
        return record, secret

    async def all(self, branch: str | None = None) -> Sequence[PasswordRecord]:
        """Return the passwords that reach one branch, or all."""
        known = await self._store.passwords(self._database)
        return [record for record in known if branch is None or record.branch in (None, branch)]

    async def get(self, branch: str, password_id: str) -> PasswordRecord:
        """Return one of the passwords that reach a branch, or raise NotFound."""
        await self._store.branch(self._database, branch)
        for record in await self.all(branch):
            if record.id == password_id:
                return record
        raise NotFound(f"branch {branch!r} has no password {password_id!r}")

    async def change(
        self, branch: str, password_id: str, *, name: str | None, networks: Sequence[str] | None
    ) -> PasswordRecord:
        """Rename a password, or change where it may be used from."""
        async with self._writing:
            record = await self.get(branch, password_id)
            if name is not None:
                record = replace(record, name=name or record.name)
            if networks is not None:
                record = replace(record, networks=_networks(networks))
            await self._store.put_password(record)
        await self._changed()
        return record

    async def renew(self, branch: str, password_id: str) -> PasswordRecord:
        """Let a password live for its whole time again. Raises ControlError when it does not expire."""
        async with self._writing:
            record = await self.get(branch, password_id)
            if record.ttl_s is None:
                raise ControlError(f"password {password_id!r} does not expire: there is nothing to renew")
            if record.expired(now()):
                raise ControlError(f"password {password_id!r} has expired: create a new one")
            record = replace(record, expires_at=now() + timedelta(seconds=record.ttl_s))
            await self._store.put_password(record)
        await self._changed()
        return record

    async def delete(self, branch: str, password_id: str) -> None:
        """Delete one of the passwords that reach a branch, or raise NotFound; its connections end at once."""
        async with self._writing:
            record = await self.get(branch, password_id)
            await self._store.delete_password(self._database, record.id)
        log.info("password.deleted", user=record.username, branch=record.branch)
        await self._changed()

    async def discard(self, record: PasswordRecord) -> None:
        """Delete a password whatever its branch is called now; connections made with it end at once."""
        async with self._writing:
            await self._store.delete_password(self._database, record.id)
        await self._changed()

    async def users(self) -> list[User]:
        """Return whom the passwords let in."""
        moment = now()
        return [record.user for record in await self.all() if not record.expired(moment)]

    async def _make(self, wish: PasswordWish) -> tuple[PasswordRecord, str]:
        bound = await self._store.branch(self._database, wish.branch) if wish.branch else None
        if wish.username and not USERNAME.fullmatch(wish.username):
            raise RouteError(
                f"{wish.username!r} cannot be a user name: use letters, digits, hyphens and underscores; "
                "dots separate the user from the branch"
            )
        if wish.role not in self._roles():
            raise ControlError(
                f"production has no account for the role {str(wish.role)!r}: make one, and name it by "
                f"production.{wish.role}_user and production.{wish.role}_password"
            )
        if wish.ttl_s is not None and not 0 < wish.ttl_s <= TTL_MAX_S:
            raise ControlError(f"a password lives for 1 to {TTL_MAX_S} seconds, not {wish.ttl_s}")
        moment = now()
        record = PasswordRecord(
            id=new_id(),
            database=self._database,
            branch_id=bound.id if bound else None,
            branch=bound.name if bound else None,
            name=wish.name or wish.username or "unnamed",
            username=wish.username or new_id(),
            verifier=b"",
            created_at=moment,
            role=wish.role,
            networks=_networks(wish.networks),
            ttl_s=wish.ttl_s,
            expires_at=moment + timedelta(seconds=wish.ttl_s) if wish.ttl_s else None,
            replica=wish.replica,
        )
        if wish.secret:
            return await _with_chosen(record, wish), wish.secret
        secret = new_password()
        native = hashlib.sha1(hashlib.sha1(secret.encode()).digest()).digest()  # noqa: S324 - the plugin's
        return replace(
            record, verifier=verifier(secret), native_verifier=native if wish.native else b""
        ), secret


async def _with_chosen(record: PasswordRecord, wish: PasswordWish) -> PasswordRecord:
    """Keep a password that people can guess so that guessing takes long."""
    if len(wish.secret) < CHOSEN_MIN:
        raise ControlError(
            f"a chosen password has at least {CHOSEN_MIN} characters: leave it out to have one generated"
        )
    if wish.native:
        raise ControlError(
            "mysql_native_password would keep a chosen password too weakly: have one generated for it"
        )
    return replace(record, slow_hash=await asyncio.to_thread(slow_hash, wish.secret))


def _networks(texts: Sequence[str]) -> tuple[str, ...]:
    if len(texts) > NETWORKS_MAX:
        raise ControlError(f"a password may have {NETWORKS_MAX} networks at most")
    try:
        return tuple(str(ipaddress.ip_network(text.strip())) for text in texts)
    except ValueError as error:
        raise ControlError(f"{error}: write networks as 10.0.0.0/8 or 192.0.2.7/32") from error
