"""I say before a copy whether a change would be refused, how it is made, and what undoing it would lack."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from migrator.engine.checks.dependents import find_dependents
from migrator.engine.checks.inspection import SAMPLED, Finding, judge, sample
from migrator.engine.checks.preflight import check_table
from migrator.engine.direct.choose import Choice, Method, Strategy, choose, shortcuts
from migrator.engine.direct.direct import read_facts, try_shortcuts
from migrator.engine.outlook import Remark, revert_outlook
from migrator.engine.table import statements
from migrator.engine.table.pair import check_new_columns, match
from migrator.engine.table.shape import read_shape
from migrator.errors import Refused
from migrator.schema.alter import NO_RENAMES
from migrator.schema.errors import NotCanonical
from migrator.schema.introspect import open_reader, read_table
from migrator.schema.lossy import data_checks
from migrator.schema.model import Table
from migrator.schema.render import render_create
from router.database import Connection, quote_name
from router.model import Server

POINTED_TO = (
    "SELECT DISTINCT REFERENCED_COLUMN_NAME FROM information_schema.KEY_COLUMN_USAGE "
    "WHERE REFERENCED_TABLE_SCHEMA = %s AND REFERENCED_TABLE_NAME = %s "
    "AND NOT (TABLE_SCHEMA = %s AND TABLE_NAME = %s)"
)


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is known before: by strategy, how the change is made and what a revert would lack.

    A choice of a copy for strategy instant means that it cannot be had. `warnings` are sentences about
    what names the table elsewhere.
    """

    choices: dict[str, Choice] = field(default_factory=dict)
    outlook: dict[str, tuple[Remark, ...]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


async def forecast(
    production: Server,
    scratch: Server,
    schema: str,
    table: str,
    target_sql: str,
    renames: Mapping[str, str] = NO_RENAMES,
) -> Forecast:
    """Raise what the engine would raise at the start of this change: a MigratorError with its hint.

    `renames` maps former names of columns to new ones.

    Nothing is written on production; the new definition and the ways to it are tried in a database of their
    own on `scratch`.
    """
    setup = statements.session(production.flavor)
    async with await Connection.open(production, setup=setup) as live:
        source = await read_shape(live, schema, table)
        if source is None:
            return Forecast()
        await check_table(live, source, target_sql)
        facts = await read_facts(live, schema, table)
        if pointed_to := await _pointed_to(live, schema, table, renames):
            facts = replace(facts, pointed_to=True)
    before = await _read(production, schema, table)
    place = f"_headgate_forecast_{secrets.token_hex(6)}"
    tried = None
    async with await Connection.open(scratch, setup=setup) as link:
        try:
            await link.execute(f"CREATE DATABASE {quote_name(place)}")
            await link.execute(f"USE {quote_name(place)}")
            await link.execute(target_sql)
            target = await read_shape(link, place, table)
            after = await _read(scratch, place, table)
            if before is not None and after is not None:
                await link.execute(f"DROP TABLE {quote_name(table)}")
                create = render_create(replace(before, foreign_keys=()))
                tried = await try_shortcuts(link, create, shortcuts(before, after, renames))
        finally:
            await link.execute(f"DROP DATABASE IF EXISTS {quote_name(place)}")
    assert target is not None
    check_new_columns(match(source, target, renames=renames))
    async with await Connection.open(production, setup=setup) as live:
        names = [[column.name for column in shape.columns] for shape in (source, target)]
        dependents = await find_dependents(live, schema, table, *names)
    if before is None or after is None or tried is None:
        return Forecast(warnings=tuple(dependents))
    choices: dict[str, Choice] = {}
    for strategy in Strategy:
        try:
            choices[strategy] = choose(strategy, tried, facts)
        except Refused as error:
            choices[strategy] = Choice(Method.SHADOW, str(error), revertible=True)
    if pointed_to and choices[Strategy.REVERTIBLE].method is Method.SHADOW:
        raise Refused(
            f"foreign keys of other tables point to column {pointed_to!r} of table {table!r}, which is "
            "renamed and changed in other ways too: a copy cannot take them along",
            hint="rename the column in a deploy request of its own, and change the rest in another one",
        )
    outlook = {
        strategy: revert_outlook(before, after, choice, renames) for strategy, choice in choices.items()
    }
    if choices[Strategy.INSTANT].method is Method.SHADOW:
        # What the server would change silently is asked about elsewhere, and may be allowed.
        judge(table, await _look(production, schema, before, after, renames), allow_lossy=True)
    return Forecast(choices, outlook, tuple(dependents))


async def _pointed_to(link: Connection, schema: str, table: str, renames: Mapping[str, str]) -> str | None:
    """Return a renamed column that foreign keys of other tables point to."""
    known = {old.lower() for old in renames}
    for (column,) in await link.fetch_all(POINTED_TO, schema, table, schema, table) if known else ():
        if str(column).lower() in known:
            return str(column)
    return None


async def _read(server: Server, schema: str, table: str) -> Table | None:
    async with await open_reader(server, database=schema) as reader:
        try:
            return await read_table(reader, schema, table)
        except NotCanonical:
            return None


async def _look(
    server: Server, schema: str, before: Table, after: Table, renames: Mapping[str, str]
) -> list[Finding]:
    """Look at the first rows: a mistake that many rows show is told at once."""
    checks = data_checks(before, after, schema, SAMPLED, renames)
    if not checks:
        return []
    setup = [*statements.session(server.flavor), "SET SESSION time_zone = @@GLOBAL.time_zone"]
    async with await Connection.open(server, setup=setup) as live:
        return await sample(live, schema, before, checks)
