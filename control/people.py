"""I know who may call the API: the service tokens, and the one in the state folder of this machine."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from control.errors import ControlError, NotFound
from router.clock import now
from router.model import LOCAL, Access, Actor, ActorKind
from router.secrets import TOKEN_PREFIX, new_id, new_password
from router.state import Moment

log = structlog.get_logger()

TTL_MAX_S: Final = 10 * 366 * 24 * 3600
NAME_MAX: Final = 100
USED_AGAIN: Final = timedelta(minutes=1)
"""A token's last use is written down at most this often."""

metadata: Final = sa.MetaData()

service_tokens: Final = sa.Table(
    "service_tokens",
    metadata,
    sa.Column("id", sa.String(12), primary_key=True),
    sa.Column("name", sa.String(NAME_MAX), nullable=False),
    sa.Column("access", sa.String(20), nullable=False),
    sa.Column("digest", sa.LargeBinary(32), nullable=False),
    sa.Column("made_by", sa.String(12), nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("last_used_at", Moment),
    sa.Column("expires_at", Moment),
)


@dataclass(frozen=True, slots=True)
class ServiceToken:
    """A token as stored. `digest` is SHA256 of its secret, which is too long and random to be guessed."""

    id: str
    name: str
    access: Access
    digest: bytes = field(repr=False)
    made_by: str
    created_at: datetime
    last_used_at: datetime | None = None
    expires_at: datetime | None = None

    @property
    def actor(self) -> Actor:
        """Who acts by this token."""
        return Actor(self.id, self.name, ActorKind.SERVICE_TOKEN, self.access, self.made_by)

    def expired(self, moment: datetime) -> bool:
        """Whether the token lets nobody in any more."""
        return self.expires_at is not None and self.expires_at <= moment


class People:
    """The tokens that let people and programs in; `secret` is that of the state folder's own."""

    def __init__(self, engine: AsyncEngine, secret: str) -> None:
        self._engine = engine
        self._local = _digest(secret)
        self._tokens: dict[str, ServiceToken] = {}

    async def prepare(self) -> None:
        """Create the table if it is missing, and read what it holds."""
        async with self._engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
            query = sa.select(service_tokens).order_by(service_tokens.c.created_at)
            rows = (await connection.execute(query)).mappings().all()
        tokens = (ServiceToken(**{**row, "access": Access(row["access"])}) for row in rows)
        self._tokens = {token.id: token for token in tokens}

    async def authenticate(self, credential: str) -> Actor | None:
        """Return whom `ID:SECRET` lets in, None when nobody; how long it takes does not tell why.

        Programs that know only bearer tokens may put `Bearer` in front of it.
        """
        given, _, secret = credential.removeprefix("Bearer ").partition(":")
        digest = _digest(secret)
        if given == LOCAL.id:
            return LOCAL if hmac.compare_digest(digest, self._local) else None
        token = self._tokens.get(given)
        right = hmac.compare_digest(digest, token.digest if token else self._local)
        moment = now()
        if token is None or not right or token.expired(moment):
            return None
        await self._note_use(token, moment)
        return token.actor

    async def present(self, token_id: str) -> Actor | None:
        """Return who acts by a token that has let somebody in before; None when it does so no more."""
        if token_id == LOCAL.id:
            return LOCAL
        token, moment = self._tokens.get(token_id), now()
        if token is None or token.expired(moment):
            return None
        await self._note_use(token, moment)
        return token.actor

    def administrators(self) -> int:
        """Return how many actors administrate now, the one of the state folder among them."""
        moment = now()
        tokens = (token for token in self._tokens.values() if not token.expired(moment))
        return 1 + sum(token.access is Access.ADMIN for token in tokens)

    def all(self) -> Sequence[ServiceToken]:
        """Return the tokens, oldest first, without that of the state folder."""
        return list(self._tokens.values())

    def get(self, token_id: str) -> ServiceToken:
        """Return one token, or raise NotFound."""
        token = self._tokens.get(token_id)
        if token is None:
            raise NotFound(f"there is no service token {token_id!r}: see headgate service-token list")
        return token

    async def create(
        self, name: str, access: Access, maker: Actor, ttl_s: int | None = None
    ) -> tuple[ServiceToken, str]:
        """Make a token and return it with its secret, this once. Raises ControlError."""
        name = name.strip()
        if not name or len(name) > NAME_MAX:
            raise ControlError(
                f"a service token needs a name of 1 to {NAME_MAX} characters that says who or what uses it"
            )
        if ttl_s is not None and not 0 < ttl_s <= TTL_MAX_S:
            raise ControlError(f"a service token lives for 1 to {TTL_MAX_S} seconds, not {ttl_s}")
        secret, moment = new_password(TOKEN_PREFIX), now()
        token = ServiceToken(
            id=new_id(),
            name=name,
            access=access,
            digest=_digest(secret),
            # Who makes a token by a token of his has made it himself.
            made_by=maker.id if maker.made_by in ("", LOCAL.id) else maker.made_by,
            created_at=moment,
            expires_at=moment + timedelta(seconds=ttl_s) if ttl_s else None,
        )
        async with self._engine.begin() as connection:
            values = {key: getattr(token, key) for key in ServiceToken.__dataclass_fields__}
            await connection.execute(service_tokens.insert().values(**values))
        self._tokens[token.id] = token
        log.info("service_token.created", token=token.id, access=str(access), actor=maker.id)
        return token, secret

    async def delete(self, token_id: str) -> None:
        """Delete a token, which lets nobody in from now on, or raise NotFound."""
        token = self.get(token_id)
        async with self._engine.begin() as connection:
            await connection.execute(service_tokens.delete().where(service_tokens.c.id == token.id))
        self._tokens.pop(token.id, None)
        log.info("service_token.deleted", token=token.id)

    async def _note_use(self, token: ServiceToken, moment: datetime) -> None:
        if token.last_used_at is not None and moment - token.last_used_at < USED_AGAIN:
            return
        self._tokens[token.id] = replace(token, last_used_at=moment)
        async with self._engine.begin() as connection:
            await connection.execute(
                service_tokens.update().where(service_tokens.c.id == token.id).values(last_used_at=moment)
            )


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()
