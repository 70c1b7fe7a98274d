"""I make the server of a new branch like its parent's: accounts, tables, and behind the rows the triggers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import structlog

from migrator.schema.clone import clone_schema, load_code
from migrator.schema.introspect import open_reader
from migrator.schema.model import CodeKind, Schema
from migrator.schema.seed import Plan
from router.accounts import make_branch_account
from router.database import Connection, quote_name
from router.model import Account, Server
from router.records import BranchRecord

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Begun:
    """A branch that is being made: from which, with which schema, on which server, and the rows it gets."""

    record: BranchRecord
    origin: BranchRecord
    schema: Schema
    server: Server
    plan: Plan | None = None


async def furnish_server(server: Server, account: Account, database: str, schema: Schema) -> None:
    """Make the account of a branch's clients on its server, and all of a schema but the triggers.

    What the server has so far is dropped.
    """
    async with await Connection.open(server) as connection:
        await connection.execute(f"DROP DATABASE IF EXISTS {quote_name(database)}")
        await make_branch_account(connection, account, database)
    quiet = replace(schema, code=tuple(code for code in schema.code if code.kind is not CodeKind.TRIGGER))
    # As the developers' own account: what they find on the branch is theirs to change.
    async with await open_reader(replace(server, account=account)) as connection:
        for left_out in await clone_schema(quiet, connection, database):
            log.warning("branch.incomplete", server=server.address.socket, reason=left_out)


async def load_triggers(server: Server, account: Account, database: str, schema: Schema) -> None:
    """Make the triggers of a schema, which must not fire for the rows that the branch begins with."""
    triggers = [code for code in schema.code if code.kind is CodeKind.TRIGGER]
    if triggers:
        async with await open_reader(replace(server, account=account)) as connection:
            await connection.execute(f"USE {quote_name(database)}")
            await load_code(connection, triggers)
