"""I keep in the state database which findings people live with, why, and on whose word."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from migrator.deploy.errors import DeployError
from migrator.schema.lint.lint import rules
from migrator.schema.lint.suppression import Suppression
from router.clock import now
from router.secrets import new_id
from router.state import Moment

metadata = sa.MetaData()

suppressions = sa.Table(
    "lint_suppressions",
    metadata,
    sa.Column("id", sa.String(12), primary_key=True),
    sa.Column("database", sa.String(63), nullable=False, index=True),
    sa.Column("code", sa.String(64), nullable=False),
    sa.Column("subject", sa.String(255), nullable=False),
    sa.Column("element", sa.Text, nullable=False),
    sa.Column("number", sa.Integer),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("author", sa.String(255), nullable=False),
    sa.Column("created_at", Moment, nullable=False),
)


class SuppressionStore:
    """The suppressions of every database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def prepare(self) -> None:
        """Create the table if it is missing."""
        async with self._engine.begin() as connection:
            await connection.run_sync(metadata.create_all)

    async def all(self, database: str) -> Sequence[Suppression]:
        """Return the suppressions of a database, oldest first."""
        query = (
            sa.select(suppressions)
            .where(suppressions.c.database == database)
            .order_by(suppressions.c.created_at, suppressions.c.id)
        )
        async with self._engine.connect() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [
            Suppression(**{name: value for name, value in row.items() if name != "database"}) for row in rows
        ]

    async def add(
        self,
        database: str,
        code: str,
        reason: str,
        author: str,
        *,
        subject: str = "",
        element: str = "",
        number: int | None = None,
    ) -> Suppression:
        """Store a suppression; raises DeployError for a rule that is not known or cannot be suppressed."""
        rule = next((rule for rule in rules() if rule.code == code.upper()), None)
        if rule is None:
            raise DeployError(f"there is no lint rule {code!r}: headgate lint rules lists them")
        if rule.hard:
            raise DeployError(
                f"{rule.code} cannot be suppressed: such a change cannot be carried out. {rule.advice}"
            )
        if not reason.strip():
            raise DeployError(
                "a suppression needs a reason, for those who find it later: give it with --reason"
            )
        if element and not subject:
            raise DeployError("an element belongs to a table: name it with --table")
        word = Suppression(new_id(), rule.code, reason.strip(), author, now(), subject, element, number)
        values = {name: getattr(word, name) for name in Suppression.__dataclass_fields__}
        async with self._engine.begin() as connection:
            await connection.execute(suppressions.insert().values(database=database, **values))
        return word

    async def remove(self, database: str, identity: str) -> Suppression:
        """Take a suppression back; raises DeployError when there is none of this id."""
        found = next((word for word in await self.all(database) if word.id == identity), None)
        if found is None:
            raise DeployError(
                f"there is no lint suppression {identity!r}: headgate lint list {database} shows them"
            )
        async with self._engine.begin() as connection:
            await connection.execute(suppressions.delete().where(suppressions.c.id == identity))
        return found
