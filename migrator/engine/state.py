"""I make the schema in which migrations keep their state: on the production server, to move with it."""

from __future__ import annotations

from pathlib import Path

from migrator.engine.statements import QUIET
from router.database import Connection
from router.model import Server


async def prepare_state(server: Server) -> None:
    """Create or upgrade schema `_headgate` on the production server."""
    text = Path(__file__).with_name("schema.sql").read_text()
    async with await Connection.open(server, setup=[QUIET]) as connection:
        for statement in text.split(";\n"):
            if statement.strip():
                await connection.execute(statement)
