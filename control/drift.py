"""I see when somebody changes production besides deploy requests, say what, and help to take or undo it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

import structlog

from control.branches import Branches
from control.drift_store import DriftState, DriftStore, FoundDrift
from control.errors import ControlError, Outdated
from control.tentative import new_branch
from migrator.deploy.actions import Deploys
from migrator.deploy.lifecycle import State
from migrator.deploy.request import DeployRequest, RequestState
from migrator.engine.direct.choose import Method
from migrator.errors import MigratorError
from migrator.schema.clone import create_code
from migrator.schema.diff import diff
from migrator.schema.drift import Drift, find_drift, with_parts
from migrator.schema.errors import NotCanonical, SchemaError
from migrator.schema.introspect import open_reader
from migrator.schema.model import CodeKind, Schema
from migrator.schema.parse import parse_create
from migrator.schema.serial import from_json, to_json
from migrator.schema.verify import proving_ground
from router.clock import now
from router.database import Connection, quote_name
from router.errors import DatabaseError, RouteError, ServerFailed
from router.model import Server
from router.records import BranchRecord

log = structlog.get_logger()

POLL_S: Final = 30.0
# Servers tell the second in which something was changed: what changed in this second may change again.
GRAIN_S: Final = 2
STAMPS: Final = (
    "SELECT 'table', TABLE_NAME, CREATE_TIME FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s "
    "AND TABLE_NAME NOT RLIKE '__hg[0-9]+_(new|old)$' UNION ALL "
    "SELECT 'view', TABLE_NAME, SHA2(VIEW_DEFINITION, 256) FROM information_schema.VIEWS "
    "WHERE TABLE_SCHEMA = %s UNION ALL "
    "SELECT ROUTINE_TYPE, ROUTINE_NAME, LAST_ALTERED FROM information_schema.ROUTINES "
    "WHERE ROUTINE_SCHEMA = %s UNION ALL "
    "SELECT 'trigger', TRIGGER_NAME, CREATED FROM information_schema.TRIGGERS "
    "WHERE TRIGGER_SCHEMA = %s UNION ALL "
    "SELECT 'event', EVENT_NAME, LAST_ALTERED FROM information_schema.EVENTS WHERE EVENT_SCHEMA = %s "
    "ORDER BY 1, 2, 3"
)
RECENT: Final = (
    "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s "
    "AND CREATE_TIME > NOW() - INTERVAL %s SECOND"
)
# Our own work is half done, and nobody could tell it from others'.
IN_FLUX: Final = frozenset(
    {State.IN_PROGRESS_CUTOVER, State.IN_PROGRESS_CANCEL, State.IN_PROGRESS_REVERT, State.IN_PROGRESS_REDO}
)


class DriftWatch:
    """Watches the configured production branch of one database."""

    def __init__(self, store: DriftStore, branches: Branches, deploys: Deploys) -> None:
        self._store = store
        self._branches = branches
        self._deploys = deploys
        # Held while somebody looks or decides: what is adopted or undone is what was seen last.
        self._looking = asyncio.Lock()

    async def run(self) -> None:
        """Look again and again until cancelled."""
        while True:
            try:
                async with self._looking:
                    await self._look_at(await self._branches.configured(), patient=True)
            except (
                *(ControlError, DatabaseError, MigratorError, RouteError, SchemaError, ServerFailed),
                OSError,
            ) as error:
                log.info("drift.not_looked", reason=str(error))
            await asyncio.sleep(POLL_S)

    async def look(self) -> FoundDrift | None:
        """Look now; return the drift that is open, None when production is as it should be.

        Raises DatabaseError or SchemaError when production cannot be read.
        """
        async with self._looking:
            branch = await self._branches.configured()
            await self._look_at(branch)
            return await self._open()

    async def adopt(self, seen: str = "") -> FoundDrift:
        """Take production as it is for how it should be, when that is the drift with the digest `seen`.

        Without one it is what was found last. Raises Outdated when production is otherwise by now,
        ControlError when nothing differs.
        """
        async with self._looking:
            branch = await self._branches.configured()
            seen = seen or (await self._required()).shown.digest
            await self._look_at(branch)
            drift, line = await self._required(), await self._store.line(branch.id)
            schema = await self._branches.read(branch.name)
            found = None if line is None else find_drift(from_json(line.schema), schema)
            if found is None or found.digest != seen:
                raise Outdated(
                    f"somebody has changed production since that drift was looked at: look again with: "
                    f"headgate database drift {branch.database}"
                )
            await self._store.put_line(branch.id, to_json(schema), "")
            log.info("drift.adopted", number=drift.number)
            return await self._store.put(replace(drift, state=DriftState.ADOPTED, closed_at=now()))

    async def undo(self, name: str = "") -> FoundDrift:
        """Make a branch of production on which the drift is taken back, to be deployed.

        Raises ControlError when nothing differs, or when the server does not take it back; there is no branch
        then.
        """
        async with self._looking:
            branch = await self._branches.configured()
            drift = await self._required()
            name = name or f"undo-drift-{drift.number}"
            line = await self._store.line(branch.id)
            assert line is not None
            async with new_branch(self._branches, name, branch.name):
                try:
                    server = await self._branches.wake(name)
                    await self._take_back(server, await self._branches.read(name), from_json(line.schema))
                except DatabaseError as error:
                    raise ControlError(
                        f"the drift cannot be taken back on a branch: {error}. Undo it by hand, or take it "
                        f"with: headgate database drift {branch.database} --adopt"
                    ) from error
            return await self._store.put(replace(drift, branch=name))

    async def _take_back(self, server: Server, found: Schema, line: Schema) -> None:
        """Make a branch, which has what was found, what it should be."""
        schema = self._branches.production.schema
        kept = [code for code in found.code if code in line.code]
        async with await open_reader(server, database=schema) as link:
            await link.execute("SET SESSION foreign_key_checks = 0")
            for code in found.code:
                if code not in kept:
                    await link.execute(f"DROP {code.kind} {quote_name(code.name)}")
            for statement in diff(found, line).statements:
                await link.execute(statement)
            # A trigger went with its table.
            there = {
                code.name for code in kept if code.kind is not CodeKind.TRIGGER or code.table in found.tables
            }
            for code in line.code:
                if code not in kept or code.name not in there:
                    await create_code(link, code)

    async def _look_at(self, branch: BranchRecord, *, patient: bool = False) -> None:
        """Look, and keep what is found; the first time when `patient`, wait until nobody changes anything."""
        if await self._in_flux(branch):
            return
        line = await self._store.line(branch.id)
        stamp = await self._stamp()
        if line is not None and stamp and stamp == line.stamp:
            return
        found = await self._branches.read(branch.name)
        if await self._in_flux(branch):
            return  # it may have been read in the middle
        if branch.is_default:
            self._branches.offer(found)
        known = found if line is None else from_json(line.schema)
        if line is None or not (known.tables or known.code):
            # Somebody who fills an empty database changes nothing.
            if stamp or not patient:
                await self._store.put_line(branch.id, to_json(found), stamp)
            return
        for request in await self._requests(branch):
            if request.cut_over_at is not None and request.updated_at >= line.taken_at:
                known = await self._after(request, known, found)
        await self._judge(branch, find_drift(known, found))
        await self._store.put_line(branch.id, to_json(known), stamp)

    async def _judge(self, branch: BranchRecord, drift: Drift | None) -> None:
        former = await self._open()
        if drift is None:
            if former is not None:
                log.info("drift.undone", number=former.number)
                await self._store.put(replace(former, state=DriftState.UNDONE, closed_at=now()))
            return
        if former is not None and former.shown.digest == drift.digest:
            return
        affected = await self._touched(branch, drift.names)
        log.warning("schema.drifted", tables=drift.tables, programs=drift.programs, affected=affected)
        await self._store.put(
            FoundDrift(
                number=former.number if former else 0,
                state=DriftState.OPEN,
                tables=drift.tables,
                programs=drift.programs,
                diff=drift.diff,
                affected=tuple(affected),
                found_at=now(),
                branch=former.branch if former else None,
            )
        )
        what = ", ".join((*drift.tables, *drift.programs))
        for number in affected:
            reason = f"somebody has changed production, which is no longer what was looked at: {what}"
            await self._deploys.invalidate(branch.database, number, reason)
        # Whatever was found of the others was found of another production, too.
        await self._deploys.follow(branch.database, branch.name)

    async def _after(self, request: DeployRequest, known: Schema, found: Schema) -> Schema:
        """Return what is known after a deployment of ours: what was promised, or what was reverted to."""
        names = {name for record in request.operations for name in record.touches}
        expected = with_parts(known, found, names)
        if request.deployment_state not in (State.COMPLETE, State.COMPLETE_PENDING_REVERT):
            return expected
        promised = {}
        for record in request.operations:
            choice = request.choice(record)
            # A hidden index is dropped only at the end of the window.
            hidden = choice is not None and choice.method is Method.HIDE_INDEX
            if record.target and record.of_table and not hidden:
                try:
                    promised[record.table] = parse_create(record.target, found.flavor)
                except NotCanonical:
                    continue
        if not promised:
            return expected
        async with (
            self._branches.scratch.awake() as server,
            proving_ground(server, replace(found, tables=promised, opaque={}, code=())) as ground,
        ):
            printed = await ground.read()
        return replace(expected, tables={**expected.tables, **printed.tables})

    async def _touched(self, branch: BranchRecord, names: Collection[str]) -> list[int]:
        return sorted(
            request.number
            for request in await self._requests(branch)
            if request.state is RequestState.OPEN
            and any(record.touches & set(names) for record in request.operations)
        )

    async def _in_flux(self, branch: BranchRecord) -> bool:
        return any(request.deployment_state in IN_FLUX for request in await self._requests(branch))

    async def _requests(self, branch: BranchRecord) -> Sequence[DeployRequest]:
        requests = await self._deploys.all(branch.database)
        return [request for request in reversed(requests) if request.into_branch == branch.name]

    async def _stamp(self) -> str:
        """Return what changes with every definition; '' when it may be the same after the next change."""
        production = self._branches.production
        schema = production.schema
        async with await Connection.open(production.migrator, database=schema) as link:
            if await link.fetch_value(RECENT, schema, GRAIN_S):
                return ""
            rows = await link.fetch_all(STAMPS, *(schema,) * 5)
        return hashlib.sha256(repr(rows).encode()).hexdigest()

    async def _open(self) -> FoundDrift | None:
        drift = await self._store.latest()
        return drift if drift is not None and drift.state is DriftState.OPEN else None

    async def _required(self) -> FoundDrift:
        drift = await self._open()
        if drift is None:
            raise ControlError("production is as it should be: there is no drift to adopt or to undo")
        return drift
