"""I keep branches and passwords in the state database."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import fields, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from router.clock import now
from router.errors import RouteError, UnknownBranch
from router.model import Role
from router.records import BranchRecord, BranchState, Home, PasswordRecord
from router.state import Moment, Networks, WholeActor

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
    sa.Column("actor", WholeActor),
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
