"""I delete branches whose time is over, tell of it before, and spare those that somebody still needs."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final

import structlog

from control.branches import Branches
from control.errors import ControlError
from control.standing import Standing, needs
from migrator.deploy.actions import Deploys
from router.clock import now
from router.errors import DatabaseError, RouteError, ServerFailed
from router.records import BranchRecord, BranchState

log = structlog.get_logger()

LOOK_S = 5.0
TOLD_BEFORE: Final = timedelta(hours=1)


class Expiry:
    """The branches of one database that live only for a while."""

    def __init__(self, branches: Branches, standing: Standing, deploys: Deploys) -> None:
        self._branches = branches
        self._standing = standing
        self._deploys = deploys
        self._told: set[tuple[str, str]] = set()

    async def run(self) -> None:
        """Look again and again until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_S)

    async def look(self) -> list[str]:
        """Delete what is due and not needed; returns the names of what is gone."""
        gone, moment = [], now()
        for record in await self._branches.all():
            if record.expires_at is None or record.state is not BranchState.READY:
                continue
            if record.expires_at > moment:
                if record.expires_at - moment <= TOLD_BEFORE:
                    self._tell("branch.expires_soon", record, "")
                continue
            reason = await self.spared(record)
            if reason:
                self._tell("branch.spared", record, reason)
                continue
            try:
                await self._standing.delete(record.name)
            except (ControlError, RouteError, DatabaseError, ServerFailed, OSError) as error:
                # Somebody has begun to need it, or has deleted it, just now; or its server does not end.
                self._tell("branch.spared", record, str(error))
                continue
            gone.append(record.name)
            log.info("branch.expired", branch=record.name)
        return gone

    async def spared(self, record: BranchRecord) -> str:
        """Say why a branch is not deleted though its time is over; empty when it is."""
        try:
            self._standing.check_deletable(record)
        except ControlError as error:
            return str(error)
        for request in await self._deploys.all(record.database):
            if needs(request, record):
                return f"deploy request {request.number} needs it"
        for child in await self._branches.all():
            if child.parent_id == record.id:
                return f"branch {child.name!r} was made from it"
        return ""

    def _tell(self, event: str, record: BranchRecord, reason: str) -> None:
        """Write something about a branch down, once for each time it may live."""
        key = event, f"{record.id} {record.expires_at} {reason}"
        if key not in self._told:
            self._told.add(key)
            log.info(event, branch=record.name, expires_at=str(record.expires_at), reason=reason or None)
