"""I see to it that the server of a branch with safe migrations refuses DDL, and finish what was cut off."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from typing import Final

import structlog

from control.branches import Branches
from control.errors import ControlError
from control.handovers import HandOvers
from control.ownership import hand_over, put_back
from control.targets import Targets
from control.workers import Workers
from migrator.errors import MigratorError
from migrator.schema.errors import SchemaError
from router.accounts import AccountTooPowerful, make_branch_account, make_rows_account, prove_no_ddl
from router.database import Connection, quote_name
from router.errors import DatabaseError, ServerFailed
from router.records import BranchRecord

log = structlog.get_logger()

FAILURES: Final = (AccountTooPowerful, DatabaseError, MigratorError, SchemaError, ServerFailed)
"""What a server that does not go along raises."""


class Wall:
    """The rights of the account that the clients of a branch share, and whom programs there belong to.

    What is begun is noted before; whatever fails or is killed on the way is finished by `settle`. All
    of it is done `alone`.
    """

    def __init__(self, branches: Branches, targets: Targets, workers: Workers, handovers: HandOvers) -> None:
        self._branches = branches
        self._targets = targets
        self._workers = workers
        self._handovers = handovers
        # By branch: who finds something begun must know that nobody is at it.
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    @contextlib.asynccontextmanager
    async def alone(self, name: str) -> AsyncIterator[BranchRecord]:
        """Keep others from the rights and programs of a branch meanwhile; gives the branch as it is then."""
        async with self._turns[(await self._branches.get(name)).id]:
            yield await self._branches.get(name)

    async def raise_on(self, record: BranchRecord) -> BranchRecord:
        """Have the server of a branch refuse DDL to its clients, who are cut off once.

        Raises ControlError when the server does not go along; the branch is as it was then, or will be.
        """
        await self.settle(record)
        await self._handovers.begin(record.id)
        record = await self._branches.change(record, safe_migrations=True)
        try:
            await self._raise(record)
        except FAILURES as error:
            refusal = (
                f"branch {record.name!r} cannot have safe migrations: its server does not go along: {error}"
            )
            record = await self._branches.change(record, safe_migrations=False)
            await self.settle(record, after=refusal)
            raise ControlError(refusal) from error
        await self._handovers.end(record.id)
        return record

    async def lower_on(self, record: BranchRecord) -> BranchRecord:
        """Have the server of a branch take DDL from its clients again. Raises ControlError."""
        await self._handovers.begin(record.id)
        record = await self._branches.change(record, safe_migrations=False)
        await self.settle(record)
        return record

    async def settle(self, record: BranchRecord, after: str = "") -> None:
        """Finish what was begun on a branch and failed, if anything was.

        Raises ControlError when that fails, too, with what was said before it.
        """
        try:
            await self._finish(record)
        except FAILURES as error:
            verb = "enable" if record.safe_migrations else "disable"
            raise ControlError(
                f"{after}{'; besides, ' if after else ''}what was begun on branch {record.name!r} cannot be "
                f"finished: {error}. Until it is, its clients may lack rights, and views, triggers, routines "
                "and events may be missing there: try again when its server answers, with: "
                f"headgate branch safe-migrations {verb} {record.database} {record.name}"
            ) from error

    async def take_up(self) -> None:
        """Finish what a process that is gone has begun on any branch."""
        for record in await self._branches.all():
            try:
                await self.settle(record)
            except ControlError as error:
                # The next start tries it again; others go on without it.
                log.error("branch.not_settled", branch=record.name, reason=str(error))

    async def _finish(self, record: BranchRecord) -> None:
        begun = await self._handovers.begun()
        if record.id not in begun:
            return
        schema = self._branches.production.schema
        if missing := begun[record.id]:
            note = partial(self._handovers.note, record.id)
            await put_back(await self._branches.admin(record), schema, missing, note)
        if record.safe_migrations:
            await self._raise(record)
        else:
            await self._targets.forget(record)
            async with await Connection.open(await self._branches.admin(record)) as admin:
                await make_branch_account(admin, self._branches.account, schema)
        await self._handovers.end(record.id)

    async def _raise(self, record: BranchRecord) -> None:
        """Take the rights to change definitions from the account of a branch's clients, and prove it."""
        schema = self._branches.production.schema
        async with await Connection.open(await self._branches.admin(record)) as admin:
            await make_rows_account(admin, self._branches.account, schema)
        # It writes a binary log from now on; and no session is left that has the rights it had.
        server = await self._branches.restart(record)
        self._workers.cut_off(record.database, record.name)
        await prove_no_ddl(replace(server, account=self._branches.account), schema)
        # What the account has made would be without the right to fire: triggers and events need it of their
        # definer.
        target = await self._targets.get(record.name)
        account = f"{quote_name(self._branches.account.user)}@`%`"
        note = partial(self._handovers.note, record.id)
        await hand_over(target.server, target.schema, account, self._targets.definers.new, note)
