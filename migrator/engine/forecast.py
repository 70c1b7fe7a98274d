"""I say before anything is copied whether a table's change would be refused."""

from __future__ import annotations

import secrets

from migrator.engine import statements
from migrator.engine.pair import check_new_columns, match
from migrator.engine.preflight import check_table
from migrator.engine.shape import read_shape
from router.database import Connection, quote_name
from router.model import Server


async def forecast(production: Server, scratch: Server, schema: str, table: str, target_sql: str) -> None:
    """Raise what the engine would raise at the start of this change: a MigratorError with its hint.

    Nothing is written on production; the new definition is tried in a database of its own on `scratch`.
    """
    setup = statements.session(production.flavor)
    async with await Connection.open(production, setup=setup) as live:
        source = await read_shape(live, schema, table)
        if source is None:
            return
        await check_table(live, source, target_sql)
    place = f"_headgate_forecast_{secrets.token_hex(6)}"
    async with await Connection.open(scratch, setup=setup) as link:
        try:
            await link.execute(f"CREATE DATABASE {quote_name(place)}")
            await link.execute(f"USE {quote_name(place)}")
            await link.execute(target_sql)
            target = await read_shape(link, place, table)
        finally:
            await link.execute(f"DROP DATABASE IF EXISTS {quote_name(place)}")
    assert target is not None
    check_new_columns(match(source, target))
