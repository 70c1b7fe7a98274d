"""I am the tables that deploy requests are kept in, and how a request becomes a row and comes back."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa
import zstandard

from migrator.deploy.approval import Review, ReviewState
from migrator.deploy.lifecycle import State
from migrator.deploy.request import DeployRequest, Mark, OperationRecord, RequestState, Transition
from migrator.engine.direct.choose import Strategy
from migrator.schema.lint.finding import Finding
from migrator.schema.order import DeployOrder
from router.model import LOCAL, SYSTEM, Access, Actor, ActorKind
from router.state import Moment

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
    sa.Column("actor", sa.Text, nullable=False, server_default=msgspec.json.encode(LOCAL).decode()),
    sa.Column("findings", sa.Text, nullable=False, server_default="[]"),
    sa.Column("confirmed", sa.Text, nullable=False, server_default="[]"),
    sa.Column("footprint", sa.Text, nullable=False, server_default='["*"]'),
    sa.Column("parallel", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("aggressive_cutover", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("auto_delete_branch", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("entered", sa.Text, nullable=False, server_default="{}"),
    sa.Column("failure", sa.Text),
    sa.Column("kept", sa.Text, nullable=False, server_default="[]"),
    sa.Column("force_requested_at", Moment),
    sa.Column("closed_by", sa.Text),
    sa.Column("acknowledged_by", sa.Text),
    sa.Column("acknowledged_at", Moment),
    sa.Column("branch_deleted_by", sa.Text),
    sa.Column("branch_deleted_at", Moment),
    sa.Column("order", sa.Text),
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
    sa.Column("who", sa.Text),
)

reviews = sa.Table(
    "deploy_reviews",
    metadata,
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("id", sa.String(12), nullable=False),
    sa.Column("database", sa.String(63), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("dismissed_at", Moment),
)

# Apart from the requests, which are read often, because schemas may be large.
snapshots = sa.Table(
    "deploy_snapshots",
    metadata,
    sa.Column("id", sa.String(12), primary_key=True),
    sa.Column("base", sa.LargeBinary, nullable=False),
    sa.Column("branch", sa.LargeBinary, nullable=False),
    sa.Column("renames", sa.Text),
)

ENCODED: dict[str, Any] = {
    "diff": dict[str, str],
    "operations": tuple[OperationRecord, ...],
    "warnings": tuple[str, ...],
    "giving_up": dict[str, tuple[str, ...]],
    "actor": Actor,
    "findings": tuple[Finding, ...],
    "confirmed": tuple[str, ...],
    "footprint": tuple[str, ...],
    "entered": dict[State, Mark],
    "kept": tuple[str, ...],
    "closed_by": Actor | None,
    "acknowledged_by": Actor | None,
    "branch_deleted_by": Actor | None,
    "order": DeployOrder | None,
}
"""Fields of a request that are stored as JSON, and what they are."""
PLAIN = {"state": RequestState, "deployment_state": State, "strategy": Strategy}


def request_values(request: DeployRequest) -> dict[str, Any]:
    """Return the columns of a request."""
    values = {name: getattr(request, name) for name in DeployRequest.__dataclass_fields__}
    for name in ENCODED:
        if values[name] is not None:
            values[name] = encoded(values[name])
    return values


def request_of(row: sa.RowMapping) -> DeployRequest:
    """Return the request that a row holds."""
    values = dict(row)
    for name, kind in ENCODED.items():
        if values[name] is not None:
            values[name] = msgspec.json.decode(values[name], type=kind)
    for name, plain in PLAIN.items():
        values[name] = plain(values[name])
    return DeployRequest(**values)


def transition_of(row: sa.RowMapping) -> Transition:
    """Return the step that a row holds; of an older Headgate's only the actor's name is known."""
    actor = (
        msgspec.json.decode(row["who"], type=Actor)
        if row["who"]
        else SYSTEM
        if row["actor"] == SYSTEM.name
        else Actor("", row["actor"], ActorKind.USER, Access.MEMBER)
    )
    before = State(row["before"]) if row["before"] else None
    return Transition(row["number"], before, State(row["after"]), actor, row["reason"], row["at"])


def review_of(row: sa.RowMapping) -> Review:
    """Return the review that a row holds."""
    return Review(
        row["id"],
        row["number"],
        msgspec.json.decode(row["actor"], type=Actor),
        ReviewState(row["state"]),
        row["body"],
        row["created_at"],
        row["dismissed_at"],
    )


def encoded(value: object) -> str:
    """Return a value as JSON."""
    return msgspec.json.encode(value).decode()


def packed(text: str) -> bytes:
    """Return a long text in few bytes."""
    return zstandard.compress(text.encode())


def unpacked(data: bytes) -> str:
    """Return what was packed."""
    return zstandard.decompress(data).decode()
