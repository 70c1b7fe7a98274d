"""I keep branches and passwords in the state database."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from router.errors import RouteError, UnknownBranch
from router.model import Actor, Role, User

metadata = sa.MetaData()

FORMAT = 4
"""What the tables of the state database look like; counts up whenever one changes."""

UPGRADES: dict[int, tuple[str, ...]] = {
    1: (
        "ALTER TABLE passwords ADD COLUMN role VARCHAR(20) NOT NULL DEFAULT 'admin'",
        "ALTER TABLE passwords ADD COLUMN slow_hash VARCHAR(255) NOT NULL DEFAULT ''",
        "ALTER TABLE passwords ADD COLUMN native_verifier BLOB NOT NULL DEFAULT x''",
        "ALTER TABLE passwords ADD COLUMN networks TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE passwords ADD COLUMN ttl_s INTEGER",
        "ALTER TABLE passwords ADD COLUMN expires_at VARCHAR(40)",
        "ALTER TABLE passwords ADD COLUMN replica BOOLEAN NOT NULL DEFAULT 0",
    ),
    2: (
        "ALTER TABLE branches RENAME COLUMN parent TO parent_id",
        "UPDATE branches SET parent_id = (SELECT origin.id FROM branches AS origin "
        "WHERE origin.database = branches.database AND origin.name = branches.parent_id)",
        "ALTER TABLE passwords RENAME COLUMN branch TO branch_id",
        # One whose branch is gone must not become one that reaches them all.
        "DELETE FROM passwords WHERE branch_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM branches "
        "WHERE branches.database = passwords.database AND branches.name = passwords.branch_id)",
        "UPDATE passwords SET branch_id = (SELECT branches.id FROM branches "
        "WHERE branches.database = passwords.database AND branches.name = passwords.branch_id)",
        "ALTER TABLE branches ADD COLUMN home VARCHAR(20) NOT NULL DEFAULT 'local'",
        "UPDATE branches SET home = 'configured' WHERE production",
        "ALTER TABLE branches ADD COLUMN is_default BOOLEAN NOT NULL DEFAULT 0",
        "UPDATE branches SET is_default = 1 WHERE production",
        "ALTER TABLE branches ADD COLUMN deletion_protected BOOLEAN NOT NULL DEFAULT 0",
        "ALTER TABLE branches ADD COLUMN ttl_s INTEGER",
        "ALTER TABLE branches ADD COLUMN expires_at VARCHAR(40)",
        "ALTER TABLE branches ADD COLUMN schema_digest VARCHAR(64) NOT NULL DEFAULT ''",
        "ALTER TABLE branches ADD COLUMN schema_at VARCHAR(40)",
        "ALTER TABLE branches ADD COLUMN seed TEXT NOT NULL DEFAULT ''",
    ),
    3: ("ALTER TABLE branches ADD COLUMN actor TEXT",),
}
"""What turns the tables of one format into those of the next."""


class Moment(sa.types.TypeDecorator[datetime]):
    """A point in time, stored as RFC 3339 text in UTC, so that every database keeps its zone."""

    impl = sa.String(40)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> str | None:
        """Turn a time into text."""
        return value.astimezone(UTC).isoformat() if value else None

    def process_result_value(self, value: Any | None, dialect: sa.Dialect) -> datetime | None:
        """Turn text into a time."""
        return datetime.fromisoformat(value) if value else None


class Networks(sa.types.TypeDecorator[tuple[str, ...]]):
    """CIDR blocks, stored as text with commas between them."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: tuple[str, ...] | None, dialect: sa.Dialect) -> str:
        """Turn networks into text."""
        return ",".join(value or ())

    def process_result_value(self, value: Any | None, dialect: sa.Dialect) -> tuple[str, ...]:
        """Turn text into networks."""
        return tuple(value.split(",")) if value else ()


class Whole(sa.types.TypeDecorator[Actor]):
    """An actor, stored whole as JSON: it outlives its token."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Actor | None, dialect: sa.Dialect) -> str | None:
        """Turn an actor into text."""
        return msgspec.json.encode(value).decode() if value else None

    def process_result_value(self, value: Any | None, dialect: sa.Dialect) -> Actor | None:
        """Turn text into an actor."""
        return msgspec.json.decode(value, type=Actor) if value else None


branches = sa.Table(
    "branches",
    metadata,
    sa.Column("id", sa.String(12), primary_key=True),
    sa.Column("database", sa.String(63), nullable=False),
    sa.Column("name", sa.String(63), nullable=False),
    sa.Column("parent_id", sa.String(12)),
    sa.Column("production", sa.Boolean, nullable=False),
    sa.Column("safe_migrations", sa.Boolean, nullable=False),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("base", sa.Text),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
    sa.Column("home", sa.String(20), nullable=False),
    sa.Column("is_default", sa.Boolean, nullable=False),
    sa.Column("deletion_protected", sa.Boolean, nullable=False),
    sa.Column("ttl_s", sa.Integer),
    sa.Column("expires_at", Moment),
    sa.Column("schema_digest", sa.String(64), nullable=False),
    sa.Column("schema_at", Moment),
    sa.Column("seed", sa.Text, nullable=False),
    sa.Column("actor", Whole),
    sa.UniqueConstraint("database", "name"),
)

formats = sa.Table("state_format", metadata, sa.Column("format", sa.Integer, primary_key=True))

passwords = sa.Table(
    "passwords",
    metadata,
    sa.Column("id", sa.String(12), primary_key=True),
    sa.Column("database", sa.String(63), nullable=False),
    sa.Column("branch_id", sa.String(12)),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("username", sa.String(255), nullable=False, unique=True),
    sa.Column("verifier", sa.LargeBinary(32), nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("role", sa.String(20), nullable=False),
    sa.Column("slow_hash", sa.String(255), nullable=False),
    sa.Column("native_verifier", sa.LargeBinary(20), nullable=False),
    sa.Column("networks", Networks, nullable=False),
    sa.Column("ttl_s", sa.Integer),
    sa.Column("expires_at", Moment),
    sa.Column("replica", sa.Boolean, nullable=False),
)


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


def now() -> datetime:
    """Return the present moment in UTC."""
    return datetime.now(UTC)


def open_state(path: Path) -> AsyncEngine:
    """Return the engine of the SQLite state database at `path`, whose folder is made if missing."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}")

    @sa.event.listens_for(engine.sync_engine, "connect")
    def pragmas(connection: Any, _: object) -> None:
        cursor = connection.cursor()
        # A state change that was answered must survive a crash of the machine.
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "busy_timeout = 5000"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine


class BranchStore:
    """Branches and passwords in the state database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def prepare(self) -> None:
        """Create the tables that are missing, and bring those of an earlier format up to date.

        Raises OSError when the database cannot be used.
        """
        try:
            async with self._engine.begin() as connection:
                # SQLite's driver begins no transaction for definitions: half an upgrade must not stay.
                await connection.exec_driver_sql("BEGIN IMMEDIATE")
                new = not await connection.run_sync(lambda sync: sa.inspect(sync).has_table(branches.name))
                await connection.run_sync(metadata.create_all)
                if new:
                    await connection.execute(formats.insert().values(format=FORMAT))
                found = await connection.scalar(sa.select(formats.c.format))
                while found in UPGRADES:
                    for statement in UPGRADES[found]:
                        await connection.execute(sa.text(statement))
                    found += 1
                    await connection.execute(formats.update().values(format=found))
        except sa.exc.DatabaseError as error:
            raise OSError(
                f"the state database {self._engine.url.database} cannot be used ({error.orig}): restore it "
                "from a backup, or choose another state folder with HEADGATE_STATE"
            ) from error
        if found != FORMAT:
            raise OSError(
                f"the state database {self._engine.url.database} has format {found or 0}, and this Headgate "
                f"reads format {FORMAT}: run the Headgate it was made with, or choose another state folder "
                "with HEADGATE_STATE"
            )

    async def branches(self, database: str) -> Sequence[BranchRecord]:
        """Return the branches of a database, oldest first."""
        origin = branches.alias()
        query = (
            sa.select(branches, origin.c.name.label("parent"))
            .outerjoin(origin, origin.c.id == branches.c.parent_id)
            .where(branches.c.database == database)
            .order_by(branches.c.created_at)
        )
        async with self._engine.connect() as connection:
            return [_branch(row) for row in (await connection.execute(query)).mappings()]

    async def branch(self, database: str, name: str) -> BranchRecord:
        """Return one branch, or raise UnknownBranch naming those that exist."""
        known = await self.branches(database)
        for record in known:
            if record.name == name:
                return record
        names = ", ".join(record.name for record in known) or "none yet"
        raise UnknownBranch(f"database {database!r} has no branch {name!r} (there are: {names})")

    async def add_branch(self, record: BranchRecord) -> None:
        """Store a new branch, or raise RouteError when its name is taken."""
        async with self._naming(record) as connection:
            await connection.execute(branches.insert().values(**_values(record)))

    async def change_branch(self, record: BranchRecord, **changes: Any) -> BranchRecord:
        """Store changed fields of a branch, and only them; return it as stored.

        Raises RouteError when its new name is taken.
        """
        record = replace(record, updated_at=now(), **changes)
        values = {name: value for name, value in _values(record).items() if name in {*changes, "updated_at"}}
        async with self._naming(record) as connection:
            await connection.execute(branches.update().where(branches.c.id == record.id).values(**values))
        return record

    async def set_default(self, record: BranchRecord) -> None:
        """Let a branch be the default of its database, and no other."""
        async with self._engine.begin() as connection:
            await connection.execute(
                branches.update()
                .where(branches.c.database == record.database)
                .values(is_default=branches.c.id == record.id)
            )

    @contextlib.asynccontextmanager
    async def _naming(self, record: BranchRecord) -> AsyncIterator[AsyncConnection]:
        try:
            async with self._engine.begin() as connection:
                yield connection
        except sa.exc.IntegrityError:
            raise RouteError(
                f"database {record.database!r} already has a branch {record.name!r}: choose another name, "
                f"or delete it with: headgate branch delete {record.database} {record.name}"
            ) from None

    async def delete_branch(self, record: BranchRecord) -> None:
        """Forget a branch and the passwords bound to it."""
        async with self._engine.begin() as connection:
            await connection.execute(branches.delete().where(branches.c.id == record.id))
            await connection.execute(passwords.delete().where(passwords.c.branch_id == record.id))

    async def passwords(self, database: str) -> Sequence[PasswordRecord]:
        """Return the passwords of a database, oldest first."""
        query = (
            sa.select(passwords, branches.c.name.label("branch"))
            .outerjoin(branches, branches.c.id == passwords.c.branch_id)
            .where(
                passwords.c.database == database,
                # One whose branch is gone must not look like one that reaches them all.
                sa.or_(passwords.c.branch_id.is_(None), branches.c.id.is_not(None)),
            )
            .order_by(passwords.c.created_at)
        )
        async with self._engine.connect() as connection:
            return [_password(row) for row in (await connection.execute(query)).mappings()]

    async def put_password(self, record: PasswordRecord) -> None:
        """Store a password, in place of an earlier one with the same user name."""
        async with self._engine.begin() as connection:
            await connection.execute(passwords.delete().where(passwords.c.username == record.username))
            await connection.execute(passwords.insert().values(**_values(record)))

    async def delete_password(self, database: str, password_id: str) -> bool:
        """Forget a password; say whether there was one."""
        async with self._engine.begin() as connection:
            result = await connection.execute(
                passwords.delete().where(passwords.c.database == database, passwords.c.id == password_id)
            )
            return bool(result.rowcount)


def _branch(row: sa.RowMapping) -> BranchRecord:
    return BranchRecord(**{**row, "state": BranchState(row["state"]), "home": Home(row["home"])})


def _password(row: sa.RowMapping) -> PasswordRecord:
    return PasswordRecord(**{**row, "role": Role(row["role"])})


def _values(record: BranchRecord | PasswordRecord) -> dict[str, Any]:
    stored = (each.name for each in fields(record) if each.metadata.get("stored", True))
    return {name: getattr(record, name) for name in stored}
