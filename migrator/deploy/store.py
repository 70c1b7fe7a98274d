"""I save deploy requests and their history in the state database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from migrator.deploy.errors import IllegalMove, UnknownRequest
from migrator.deploy.lifecycle import State, check_move
from migrator.deploy.request import DeployRequest, OperationRecord, RequestState, Transition
from migrator.engine.direct.choose import Strategy
from router.store import Moment, now

metadata = sa.MetaData()

deploy_requests = sa.Table(
    "deploy_requests",
    metadata,
    sa.Column("id", sa.String(12), primary_key=True),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("database", sa.String(63), nullable=False),
    sa.Column("branch", sa.String(63), nullable=False),
    sa.Column("into_branch", sa.String(63), nullable=False),
    sa.Column("notes", sa.Text, nullable=False),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("deployment_state", sa.String(40), nullable=False),
    sa.Column("auto_cutover", sa.Boolean, nullable=False),
    sa.Column("diff", sa.Text, nullable=False),
    sa.Column("operations", sa.Text, nullable=False),
    sa.Column("problem", sa.Text),
    sa.Column("warnings", sa.Text, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
    sa.Column("queued_at", Moment),
    sa.Column("started_at", Moment),
    sa.Column("cut_over_at", Moment),
    sa.Column("revert_until", Moment),
    sa.Column("finished_at", Moment),
    sa.Column("closed_at", Moment),
    sa.Column("longest_lock_ms", sa.Float),
    sa.Column("strategy", sa.String(12), nullable=False, server_default="revertible"),
    sa.Column("allow_lossy", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("redo_until", Moment),
    sa.Column("giving_up", sa.Text, nullable=False, server_default="{}"),
    sa.UniqueConstraint("database", "number"),
)

transitions = sa.Table(
    "deploy_transitions",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("database", sa.String(63), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("before", sa.String(40)),
    sa.Column("after", sa.String(40), nullable=False),
    sa.Column("actor", sa.String(255), nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("at", Moment, nullable=False),
)


class DeployStore:
    """The deploy requests of every database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def prepare(self) -> None:
        """Create the tables that are missing, and the columns that an older Headgate did not have."""
        async with self._engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
            there = await connection.run_sync(_columns)
            for column in deploy_requests.c:
                if column.name not in there:
                    definition = sa.schema.CreateColumn(column).compile(dialect=connection.dialect)
                    await connection.execute(sa.text(f"ALTER TABLE deploy_requests ADD COLUMN {definition}"))

    async def add(self, request: DeployRequest, actor: str) -> DeployRequest:
        """Store a new request under the next free number of its database and return it."""
        async with self._engine.begin() as connection:
            highest = await connection.scalar(
                sa.select(sa.func.max(deploy_requests.c.number)).where(
                    deploy_requests.c.database == request.database
                )
            )
            request = replace(request, number=(highest or 0) + 1)
            await connection.execute(deploy_requests.insert().values(**_values(request)))
            await _record(connection, request, None, actor, None)
        return request

    async def all(self, database: str) -> Sequence[DeployRequest]:
        """Return the requests of a database, newest first."""
        query = (
            sa.select(deploy_requests)
            .where(deploy_requests.c.database == database)
            .order_by(deploy_requests.c.number.desc())
        )
        async with self._engine.connect() as connection:
            return [_request(row) for row in (await connection.execute(query)).mappings()]

    async def get(self, database: str, number: int) -> DeployRequest:
        """Return one request, or raise UnknownRequest."""
        query = sa.select(deploy_requests).where(
            deploy_requests.c.database == database, deploy_requests.c.number == number
        )
        async with self._engine.connect() as connection:
            row = (await connection.execute(query)).mappings().first()
        if row is None:
            raise UnknownRequest(
                f"database {database!r} has no deploy request {number}: "
                f"see headgate deploy-request list {database}"
            )
        return _request(row)

    async def move(
        self, request: DeployRequest, after: State, actor: str, reason: str | None = None, **changes: Any
    ) -> DeployRequest:
        """Move a request to another state, with other changes, in one transaction; return it as stored.

        Raises IllegalMove when the life cycle has no such move, or when somebody else has moved the request
        since it was read.
        """
        check_move(request.deployment_state, after)
        moved = replace(request, deployment_state=after, updated_at=now(), **changes)
        async with self._engine.begin() as connection:
            result = await connection.execute(
                deploy_requests.update()
                .where(
                    deploy_requests.c.id == request.id,
                    deploy_requests.c.deployment_state == request.deployment_state,
                )
                .values(**_values(moved))
            )
            if not result.rowcount:
                raise IllegalMove(
                    f"deploy request {request.number} has just left state {request.deployment_state}: "
                    "look again, then decide"
                )
            await _record(connection, moved, request.deployment_state, actor, reason)
        return moved

    async def update(self, request: DeployRequest, **changes: Any) -> DeployRequest:
        """Store changes that leave the state as it is; return the request as stored."""
        changed = replace(request, updated_at=now(), **changes)
        values = {name: value for name, value in _values(changed).items() if name in {*changes, "updated_at"}}
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
            rows = (await connection.execute(query)).mappings().all()
        return [
            Transition(
                number,
                State(row["before"]) if row["before"] else None,
                State(row["after"]),
                row["actor"],
                row["reason"],
                row["at"],
            )
            for row in rows
        ]


def _columns(connection: sa.Connection) -> set[str]:
    return {column["name"] for column in sa.inspect(connection).get_columns(deploy_requests.name)}


async def _record(
    connection: AsyncConnection, request: DeployRequest, before: State | None, actor: str, reason: str | None
) -> None:
    await connection.execute(
        transitions.insert().values(
            database=request.database,
            number=request.number,
            before=before,
            after=request.deployment_state,
            actor=actor,
            reason=reason,
            at=now(),
        )
    )


def _request(row: sa.RowMapping) -> DeployRequest:
    return DeployRequest(
        **{
            **row,
            "state": RequestState(row["state"]),
            "strategy": Strategy(row["strategy"]),
            "deployment_state": State(row["deployment_state"]),
            "diff": msgspec.json.decode(row["diff"]),
            "warnings": msgspec.json.decode(row["warnings"], type=tuple[str, ...]),
            "giving_up": msgspec.json.decode(row["giving_up"], type=dict[str, tuple[str, ...]]),
            "operations": msgspec.json.decode(row["operations"], type=tuple[OperationRecord, ...]),
        }
    )


def _values(request: DeployRequest) -> dict[str, Any]:
    values = {name: getattr(request, name) for name in DeployRequest.__dataclass_fields__}
    values["diff"] = msgspec.json.encode(request.diff).decode()
    values["giving_up"] = msgspec.json.encode(request.giving_up).decode()
    values["warnings"] = msgspec.json.encode(request.warnings).decode()
    values["operations"] = msgspec.json.encode(request.operations).decode()
    return values
