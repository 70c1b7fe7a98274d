"""I try changed triggers, routines and events on the scratch server, and triggers on their changed tables."""

from __future__ import annotations

from collections.abc import Sequence, Set

from migrator.schema.model import Code, CodeKind, Schema
from migrator.schema.programs import ProgramChange, triggers_of
from migrator.schema.verify import part_of, proving_ground
from router.database import Connection
from router.errors import ConnectionLost, DatabaseError


async def refused_programs(
    scratch: Connection, target: Schema, changes: Sequence[ProgramChange], touched: Set[str]
) -> list[str]:
    """Return a sentence for each program that would not be there, or not exactly, after the deployment.

    `touched` are the tables that are altered: all their triggers are made on the new definition. What a body
    does when it runs nobody can try here.
    """
    changed = {(change.kind, change.name) for change in changes if change.after is not None}
    tables = {change.table for change in changes if change.after and change.table} | (
        touched & target.tables.keys()
    )
    triggers = [code for table in sorted(tables) for code in triggers_of(target.code, table)]
    programs = [
        code
        for code in target.code
        if code.kind not in (CodeKind.TRIGGER, CodeKind.VIEW)
        and ((code.kind, code.name) in changed or _carries(code, changed))
    ]
    if not triggers and not programs:
        return []
    found = []
    async with proving_ground(scratch.server, part_of(target, tables)) as ground:
        for code in (*programs, *triggers):
            what = f"{code.kind.lower()} {code.name!r}"
            try:
                made = await ground.make(code)
            except ConnectionLost:
                raise
            except DatabaseError as error:
                advice = "change it" if (code.kind, code.name) in changed else "change it on the branch, too"
                found.append(f"{what} would not work ({error.message}): {advice}")
                continue
            if made != code and (code.kind, code.name) in changed:
                found.append(f"{what} cannot be made exactly: the server keeps it as {made.text}")
    return found


def _carries(code: Code, changed: Set[tuple[CodeKind, str]]) -> bool:
    """Whether a changed package body needs this one, its package."""
    return code.kind is CodeKind.PACKAGE and (CodeKind.PACKAGE_BODY, code.name) in changed
