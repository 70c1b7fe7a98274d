"""I save deploy requests, their history and their reviews in the state database."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from migrator.deploy.approval import Review
from migrator.deploy.errors import IllegalMove, UnknownRequest
from migrator.deploy.findings import Snapshot
from migrator.deploy.lifecycle import PROPOSED, RUNNING, State, check_move
from migrator.deploy.request import DeployRequest, Mark, Transition
from migrator.deploy.rows import (
    deploy_requests,
    encoded,
    metadata,
    packed,
    request_of,
    request_values,
    review_of,
    reviews,
    snapshots,
    transition_of,
    transitions,
    unpacked,
)
from migrator.schema.renames import Renames
from router.clock import now
from router.model import Actor

BEFORE_QUEUEING = PROPOSED - {State.QUEUED}
ACTIVE = {State.QUEUED, State.COMPLETE_ERROR, State.COMPLETE_REVERT, *RUNNING}


class DeployStore:
    """The deploy requests of every database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def prepare(self) -> None:
        """Create the tables that are missing, and the columns that an older Headgate did not have."""
        async with self._engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
            for table in (deploy_requests, transitions, snapshots):
                there = await connection.run_sync(_columns, table.name)
                for column in table.c:
                    if column.name not in there:
                        definition = sa.schema.CreateColumn(column).compile(dialect=connection.dialect)
                        await connection.execute(
                            sa.text(f"ALTER TABLE {table.name} ADD COLUMN {_literal(str(definition))}")
                        )

    async def add(self, request: DeployRequest, actor: Actor) -> DeployRequest:
        """Store a new request under the next free number of its database and return it."""
        async with self._engine.begin() as connection:
            highest = await connection.scalar(
                sa.select(sa.func.max(deploy_requests.c.number)).where(
                    deploy_requests.c.database == request.database
                )
            )
            mark = Mark(actor, request.created_at)
            request = replace(request, number=(highest or 0) + 1, entered={request.deployment_state: mark})
            await connection.execute(deploy_requests.insert().values(**request_values(request)))
            await _record(connection, request, None, mark)
        return request

    async def all(self, database: str) -> Sequence[DeployRequest]:
        """Return the requests of a database, newest first."""
        return await self._select(deploy_requests.c.database == database)

    async def active(self, database: str) -> Sequence[DeployRequest]:
        """Return those of a database that are queued or under way, newest first."""
        found = await self._select(
            deploy_requests.c.database == database, deploy_requests.c.deployment_state.in_(sorted(ACTIVE))
        )
        return [each for each in found if each.active]

    async def swapped(self, database: str) -> list[tuple[int, str]]:
        """Return number and state of each request that has swapped tables, whatever became of it since."""
        query = (
            sa.select(deploy_requests.c.number, deploy_requests.c.deployment_state)
            .where(deploy_requests.c.database == database, deploy_requests.c.cut_over_at.is_not(None))
            .order_by(deploy_requests.c.number)
        )
        async with self._engine.connect() as connection:
            return [(int(number), str(state)) for number, state in await connection.execute(query)]

    async def get(self, database: str, number: int) -> DeployRequest:
        """Return one request, or raise UnknownRequest."""
        found = await self._select(deploy_requests.c.database == database, deploy_requests.c.number == number)
        if not found:
            raise UnknownRequest(
                f"database {database!r} has no deploy request {number}: "
                f"see headgate deploy-request list {database}"
            )
        return found[0]

    async def move(
        self, request: DeployRequest, after: State, actor: Actor, reason: str | None = None, **changes: Any
    ) -> DeployRequest:
        """Move a request to another state, with other changes, in one transaction; return it as stored.

        Raises IllegalMove when the life cycle has no such move, or when somebody else has moved the request
        since it was read.
        """
        before = request.deployment_state
        check_move(before, after)
        mark = Mark(actor, now(), reason)
        kept = BEFORE_QUEUEING if after is State.QUEUED else set(State)
        entered = {state: each for state, each in request.entered.items() if state in kept}
        changes = {"deployment_state": after, "entered": {**entered, after: mark}, **changes}
        moved, values = _changed(request, changes)
        async with self._engine.begin() as connection:
            result = await connection.execute(
                deploy_requests.update()
                .where(deploy_requests.c.id == request.id, deploy_requests.c.deployment_state == before)
                .values(**values)
            )
            if not result.rowcount:
                raise IllegalMove(
                    f"deploy request {request.number} has just left state {before}: look again, then decide"
                )
            await _record(connection, moved, before, mark)
        return moved

    async def update(self, request: DeployRequest, **changes: Any) -> DeployRequest:
        """Store changes that leave the state as it is; return the request as stored."""
        changed, values = _changed(request, changes)
        async with self._engine.begin() as connection:
            await connection.execute(
                deploy_requests.update().where(deploy_requests.c.id == request.id).values(**values)
            )
        return changed

    async def rename_branch(self, database: str, name: str, new_name: str) -> None:
        """Let the requests from and into a branch follow its new name."""
        async with self._engine.begin() as connection:
            for column in (deploy_requests.c.branch, deploy_requests.c.into_branch):
                await connection.execute(
                    deploy_requests.update()
                    .where(deploy_requests.c.database == database, column == name)
                    .values({column.name: new_name})
                )

    async def history(self, database: str, number: int) -> Sequence[Transition]:
        """Return the steps of a request, oldest first."""
        query = (
            sa.select(transitions)
            .where(transitions.c.database == database, transitions.c.number == number)
            .order_by(transitions.c.id)
        )
        async with self._engine.connect() as connection:
            return [transition_of(row) for row in (await connection.execute(query)).mappings()]

    async def keep_snapshot(self, request: DeployRequest, snapshot: Snapshot) -> None:
        """Remember what a request proposes, in the place of what it proposed before."""
        async with self._engine.begin() as connection:
            await connection.execute(snapshots.delete().where(snapshots.c.id == request.id))
            await connection.execute(
                snapshots.insert().values(
                    id=request.id,
                    base=packed(snapshot.base),
                    branch=packed(snapshot.branch),
                    renames=_stored(snapshot.renames),
                )
            )

    async def snapshot(self, request: DeployRequest) -> Snapshot | None:
        """Return what a request proposes, None for one that an older Headgate has checked."""
        query = sa.select(snapshots).where(snapshots.c.id == request.id)
        async with self._engine.connect() as connection:
            row = (await connection.execute(query)).mappings().first()
        if row is None:
            return None
        renames = Renames(**json.loads(row["renames"])) if row["renames"] else None
        return Snapshot(unpacked(row["base"]), unpacked(row["branch"]), renames)

    async def add_review(self, request: DeployRequest, review: Review) -> Review:
        """Store a comment or an approval."""
        async with self._engine.begin() as connection:
            await connection.execute(
                reviews.insert().values(
                    id=review.id,
                    database=request.database,
                    number=request.number,
                    actor=encoded(review.actor),
                    state=str(review.state),
                    body=review.body,
                    created_at=review.created_at,
                    dismissed_at=review.dismissed_at,
                )
            )
        return review

    async def reviews(self, database: str, number: int | None = None) -> Sequence[Review]:
        """Return the reviews of a request, or of all of a database, oldest first."""
        query = sa.select(reviews).where(reviews.c.database == database).order_by(reviews.c.position)
        if number is not None:
            query = query.where(reviews.c.number == number)
        async with self._engine.connect() as connection:
            return [review_of(row) for row in (await connection.execute(query)).mappings()]

    async def dismiss(self, request: DeployRequest) -> int:
        """Let no approval of a request count any more; return how many did."""
        async with self._engine.begin() as connection:
            result = await connection.execute(
                reviews.update()
                .where(
                    reviews.c.database == request.database,
                    reviews.c.number == request.number,
                    reviews.c.state == "approved",
                    reviews.c.dismissed_at.is_(None),
                )
                .values(dismissed_at=now())
            )
        return result.rowcount

    async def _select(self, *conditions: sa.ColumnElement[bool]) -> list[DeployRequest]:
        query = sa.select(deploy_requests).where(*conditions).order_by(deploy_requests.c.number.desc())
        async with self._engine.connect() as connection:
            return [request_of(row) for row in (await connection.execute(query)).mappings()]


def _changed(request: DeployRequest, changes: dict[str, Any]) -> tuple[DeployRequest, dict[str, Any]]:
    """Return a request with changes, and the columns they are in: others may be changing the rest."""
    changed = replace(request, updated_at=now(), **changes)
    values = request_values(changed)
    return changed, {name: value for name, value in values.items() if name in {*changes, "updated_at"}}


def _stored(renames: Renames | None) -> str | None:
    if renames is None:
        return None
    columns = {table: dict(moves) for table, moves in renames.columns.items()}
    return json.dumps({"columns": columns, "tables": dict(renames.tables)})


def _columns(connection: sa.Connection, table: str) -> set[str]:
    return {column["name"] for column in sa.inspect(connection).get_columns(table)}


def _literal(definition: str) -> str:
    """Return SQL as the driver takes it literally: a colon would begin a parameter."""
    return definition.replace(":", r"\:")


async def _record(
    connection: AsyncConnection, request: DeployRequest, before: State | None, mark: Mark
) -> None:
    await connection.execute(
        transitions.insert().values(
            database=request.database,
            number=request.number,
            before=before,
            after=request.deployment_state,
            actor=mark.actor.name,
            reason=mark.reason,
            at=mark.at,
            who=encoded(mark.actor),
        )
    )
