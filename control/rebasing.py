"""I make a branch's own change anew on the branch it is to go into, as that is now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import structlog

from control.branches import Branches
from control.errors import ControlError
from control.handovers import HandOvers
from control.ownership import owned, put_back
from control.targets import Targets
from control.watched import Watched
from migrator.deploy.settings import DatabaseSettings
from migrator.schema.clone import load_code
from migrator.schema.column_order import ColumnOrder
from migrator.schema.conflicts import Conflict
from migrator.schema.diff import diff, unified_diff
from migrator.schema.errors import SchemaError
from migrator.schema.introspect import open_reader, read_schema
from migrator.schema.model import Schema
from migrator.schema.rebase import Rebased, rebase
from migrator.schema.serial import to_json
from migrator.schema.table_renames import exchanged
from migrator.schema.verify import prove
from router.database import quote_name
from router.errors import DatabaseError
from router.model import Server
from router.records import BranchRecord

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a rebase did: `changes` by table, what was `left_out` because it conflicts, notes for people."""

    record: BranchRecord
    onto: str
    changes: dict[str, str]
    left_out: tuple[Conflict, ...]
    notes: tuple[str, ...]


async def rebase_branch(
    branches: Branches,
    targets: Targets,
    record: BranchRecord,
    onto: str,
    settings: Callable[[], DatabaseSettings],
    watched: Watched,
    handovers: HandOvers,
    *,
    drop_conflicts: bool = False,
) -> Outcome:
    """Give a branch the schema of `onto` with the branch's own change on top, and a new base; rows stay.

    Where the two conflict, nothing is done unless `drop_conflicts` gives up the branch's side. Raises
    ControlError, SchemaError, or what waking servers raises.
    """
    rebased, theirs, statements = await _proved(
        branches, record, onto, settings().column_order, watched, drop_conflicts=drop_conflicts
    )
    # With safe migrations its clients' account has no rights for this.
    admin = await branches.admin(record)
    server = replace(admin, account=branches.account)
    if record.safe_migrations:
        server = (await targets.get(record.name)).server
    definer = targets.definers.new if record.safe_migrations else ""
    schema, programs = branches.production.schema, replace(theirs, tables={}, opaque={})
    # A branch without them would look as if they had been dropped on it.
    await handovers.note(record.id, programs)
    try:
        await _become(server, schema, theirs, rebased.target, statements, definer)
    except (DatabaseError, SchemaError) as error:
        await _undo(admin, schema, record, programs, handovers, error)
        raise
    # Whatever it has none of any more was taken away on purpose: nothing is to be put back.
    await handovers.note(record.id)
    onto_record = await branches.get(onto)
    for endow in branches.endowments:
        await endow(onto_record, record, admin)
    # First: an old base with the new log asks, a new base with the old log would rename once more.
    await watched.begin(record.database, record.name, rebased.renames)
    record = await branches.change(record, base=to_json(rebased.base))
    await handovers.end(record.id)
    changes = unified_diff(theirs, rebased.target)
    log.info("branch.rebased", branch=record.name, onto=onto, tables=len(changes))
    return Outcome(record, onto, changes, rebased.left_out, rebased.notes)


async def _proved(
    branches: Branches,
    record: BranchRecord,
    onto: str,
    column_order: ColumnOrder,
    watched: Watched,
    *,
    drop_conflicts: bool,
) -> tuple[Rebased, Schema, tuple[str, ...]]:
    """Return what a branch becomes, what it is, and the statements from here to there, proved."""
    base, theirs = await branches.base(record.name), await branches.read(record.name)
    ours = await branches.read(onto)
    renames = await watched.renames(record.database, record.name, base, theirs)
    if renames.reused:
        told = "; ".join(finding.told for finding in exchanged(base, theirs, renames))
        raise ControlError(f"branch {record.name!r} cannot be rebased: {told}")
    async with branches.scratch.awake() as server, await open_reader(server) as scratch:
        rebased = await rebase(
            scratch, base=base, branch=theirs, production=ours, renames=renames, column_order=column_order
        )
        if rebased.left_out and not drop_conflicts:
            raise ControlError(_refusal(record, onto, rebased.left_out))
        plan = diff(theirs, rebased.target)
        await prove(scratch, theirs, plan, rebased.target)
    return rebased, theirs, plan.statements


async def _undo(
    admin: Server,
    schema: str,
    record: BranchRecord,
    programs: Schema,
    handovers: HandOvers,
    error: DatabaseError | SchemaError,
) -> None:
    """Put the programs of a branch back that did not become what it should; raises ControlError."""
    try:
        await put_back(admin, schema, programs, partial(handovers.note, record.id))
    except (DatabaseError, SchemaError) as failure:
        raise ControlError(
            f"{error}; besides, views, triggers, routines and events may be missing on branch "
            f"{record.name!r}: {failure}. They are put back when its server answers again, with: "
            f"headgate branch rebase {record.database} {record.name}"
        ) from failure
    await handovers.end(record.id)


def _refusal(record: BranchRecord, onto: str, conflicts: tuple[Conflict, ...]) -> str:
    told = "; ".join(conflict.sentence for conflict in conflicts)
    return (
        f"branch {record.name!r} conflicts with {onto!r}: {told}. Change the branch, or give up its side of "
        f"these with: headgate branch rebase {record.database} {record.name} --drop-conflicts"
    )


async def _become(
    server: Server,
    database: str,
    found: Schema,
    wanted: Schema,
    statements: Sequence[str],
    definer: str,
) -> None:
    """Make a branch's server have a schema; views, triggers, routines and events are made anew.

    They belong to `definer`, which is quoted, else to the account of `server`.
    """
    async with await open_reader(server, database=database) as link:
        await link.execute("SET SESSION foreign_key_checks = 0")
        try:
            for code in found.code:
                await link.execute(f"DROP {code.kind} IF EXISTS {quote_name(code.name)}")
            for statement in statements:
                await link.execute(statement)
            await load_code(link, [owned(code, definer) for code in wanted.code])
        except DatabaseError as error:
            raise SchemaError(
                f"the branch does not take its new schema: {error}",
                "Its rows may not fit: mend them, or make a new branch; rebase again to go on from here.",
            ) from error
        outcome = await read_schema(link, database)
    if not outcome.same_as(wanted):
        raise SchemaError("the branch is not what it should be after the rebase", "Rebase it again.")
