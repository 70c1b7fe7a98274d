"""I keep what people have decided about a database: its settings, in the state database."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from migrator.deploy.settings import GIVEN_UP, DatabaseSettings, SettingRefused, changed
from router.clock import now
from router.state import Moment

log = structlog.get_logger()

USUAL: Final = DatabaseSettings()

metadata: Final = sa.MetaData()

# One row a setting that somebody has changed, so that a new setting needs no new column.
database_settings: Final = sa.Table(
    "database_settings",
    metadata,
    sa.Column("database", sa.String(63), primary_key=True),
    sa.Column("name", sa.String(63), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Decided:
    """The settings as they hold, and when one of them was last changed."""

    settings: DatabaseSettings
    updated_at: datetime | None = None


class Databases:
    """The settings of one database; what nobody has changed is as in `usual`."""

    def __init__(self, database: str, engine: AsyncEngine, usual: DatabaseSettings = USUAL) -> None:
        self._database = database
        self._engine = engine
        self._usual = usual
        self._decided = Decided(usual)
        # Held from looking at the settings to changing them: what others decide meanwhile holds, too.
        self._changing = asyncio.Lock()

    @property
    def decided(self) -> Decided:
        """The settings, and since when they hold."""
        return self._decided

    def settings(self) -> DatabaseSettings:
        """Return the settings that hold now."""
        return self._decided.settings

    async def prepare(self) -> None:
        """Create the table if it is missing, and read what it holds."""
        async with self._engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
            query = sa.select(database_settings).where(database_settings.c.database == self._database)
            rows = (await connection.execute(query)).mappings().all()
        try:
            kept = {row["name"]: msgspec.json.decode(row["value"]) for row in rows}
            settings = changed(
                self._usual, {name: value for name, value in kept.items() if name not in GIVEN_UP}
            )
        except SettingRefused as error:
            raise OSError(
                f"the state database holds settings that this Headgate does not know: {error}. Run the "
                "Headgate it was made with, or choose another state folder with HEADGATE_STATE"
            ) from error
        self._decided = Decided(settings, max((row["updated_at"] for row in rows), default=None))

    async def change(self, changes: Mapping[str, Any]) -> Decided:
        """Change some of the settings, all or none. Raises SettingRefused with every mistake."""
        async with self._changing:
            settings, moment = changed(self.settings(), changes), now()
            async with self._engine.begin() as connection:
                for name in changes:
                    await connection.execute(
                        database_settings.delete().where(
                            database_settings.c.database == self._database, database_settings.c.name == name
                        )
                    )
                    value = msgspec.json.encode(getattr(settings, name)).decode()
                    await connection.execute(
                        database_settings.insert().values(
                            database=self._database, name=name, value=value, updated_at=moment
                        )
                    )
            self._decided = Decided(settings, moment)
        log.info("settings.changed", database=self._database, changes=sorted(changes))
        return self._decided
