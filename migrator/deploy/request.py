"""I am a deploy request and everything recorded about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from migrator.deploy.lifecycle import PROPOSED, RUNNING, State
from migrator.engine.companions.triggers import TriggerPlan
from migrator.engine.direct.choose import Choice, Method, Strategy
from migrator.engine.outlook import Remark
from migrator.schema.lint.finding import Finding
from migrator.schema.model import Code, CodeKind
from migrator.schema.order import DeployOrder
from router.model import LOCAL, Actor

EVERYTHING = "*"
"""In a footprint: no table can be told that it leaves alone."""


class RequestState(StrEnum):
    """Whether a deploy request is still of interest."""

    OPEN = "open"
    CLOSED = "closed"


class OperationKind(StrEnum):
    """What an operation does to its table."""

    CREATE = "CREATE"
    ALTER = "ALTER"
    DROP = "DROP"
    RENAME = "RENAME"


@dataclass(frozen=True, slots=True)
class OperationRecord:
    """One table's part of a deployment.

    `statements` is the change as SQL, for people; `target` the server's own CREATE TABLE of the table as it
    will be (None when it is dropped); `losses` names what is gone once it can no longer be reverted. By
    strategy, `choices` says how an altered table is changed and `outlook` what a revert would lack. With
    `view`, it is no table, and `target` the CREATE VIEW without a definer. `renames` are columns that keep
    their values under another name: old → new. `becomes` is the new name of a table that is renamed. With
    `program`, it is a trigger, routine or event: what `code` says (None: it is dropped), a trigger on
    `on_table` and before the one called `place`. `triggers` are those of an altered table that change with
    it. `recently_used_at` is when a table to be dropped was last seen in a statement, if not long ago.
    """

    id: str
    kind: OperationKind
    table: str
    statements: tuple[str, ...]
    target: str | None
    losses: tuple[str, ...] = ()
    choices: dict[str, Choice] = field(default_factory=dict)
    outlook: dict[str, tuple[Remark, ...]] = field(default_factory=dict)
    view: bool = False
    renames: dict[str, str] = field(default_factory=dict)
    recently_used_at: datetime | None = None
    becomes: str = ""
    program: CodeKind | None = None
    code: Code | None = None
    on_table: str = ""
    place: str = ""
    triggers: TriggerPlan | None = None

    @property
    def of_table(self) -> bool:
        """Whether it is a table that it changes, and no view, trigger, routine or event."""
        return not self.view and self.program is None

    @property
    def touches(self) -> frozenset[str]:
        """The names that no other deployment may work on meanwhile."""
        return frozenset({self.table, self.becomes, self.on_table} - {""})

    @property
    def instant(self) -> bool:
        """Whether it can be made without copying a table; creating and dropping copy nothing."""
        choice = self.choices.get(Strategy.INSTANT)
        if self.kind is not OperationKind.ALTER or not self.of_table:
            return True
        return choice is not None and choice.method is not Method.SHADOW


@dataclass(frozen=True, slots=True)
class Mark:
    """Who brought a request into a state, when, and why, if that was said."""

    actor: Actor
    at: datetime
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class DeployRequest:
    """A proposal to make the schema of `into_branch` what it is on `branch`, and how far it has come.

    `diff` maps each changed table to the change as +/- text. `problem` says why the checks or the deployment
    failed, or what it is delayed by; `failure` why it is being undone, and was; `findings` is what the checks
    say, `warnings` the same of older requests. `confirmed` are keys of findings that somebody has said yes
    to.

    Operations are fixed when the deployment starts; until then they are what the checks found. They touch the
    tables of the `footprint`, which foreign keys widen. After a failure those in `kept` are ready for another
    try. `entered` has who brought it into each state last. In the `parallel` lane it does not wait for
    requests that touch other tables. `redo_until` is when a revert can no longer be taken back; it is kept
    until everything is cleared away. The revert under way may lose rows with the keys in `giving_up`, by
    operation. `order` says whether the schema or the code is to be deployed first.
    """

    id: str
    number: int
    database: str
    branch: str
    into_branch: str
    notes: str
    state: RequestState
    deployment_state: State
    auto_cutover: bool
    diff: dict[str, str]
    operations: tuple[OperationRecord, ...]
    problem: str | None
    warnings: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    queued_at: datetime | None = None
    started_at: datetime | None = None
    cut_over_at: datetime | None = None
    revert_until: datetime | None = None
    finished_at: datetime | None = None
    closed_at: datetime | None = None
    longest_lock_ms: float | None = None
    strategy: Strategy = Strategy.REVERTIBLE
    allow_lossy: bool = False
    redo_until: datetime | None = None
    giving_up: dict[str, tuple[str, ...]] = field(default_factory=dict)
    actor: Actor = LOCAL
    findings: tuple[Finding, ...] = ()
    confirmed: tuple[str, ...] = ()
    footprint: tuple[str, ...] = (EVERYTHING,)
    parallel: bool = False
    aggressive_cutover: bool = False
    auto_delete_branch: bool = False
    entered: Mapping[State, Mark] = field(default_factory=dict)
    failure: str | None = None
    kept: tuple[str, ...] = ()
    force_requested_at: datetime | None = None
    closed_by: Actor | None = None
    acknowledged_by: Actor | None = None
    acknowledged_at: datetime | None = None
    branch_deleted_by: Actor | None = None
    branch_deleted_at: datetime | None = None
    order: DeployOrder | None = None

    @property
    def under_way(self) -> bool:
        """Whether there is work to do for it, or something is kept for it, on production."""
        match self.deployment_state:
            case State.COMPLETE_REVERT:
                return self.redo_until is not None
            case State.COMPLETE_ERROR:
                # Kept for another try, and in the way of others, until somebody has seen it.
                return self.finished_at is None
            case _:
                return self.deployment_state in RUNNING

    @property
    def active(self) -> bool:
        """Whether it waits for its turn, or is under way."""
        return self.under_way or self.deployment_state is State.QUEUED

    @property
    def follows(self) -> bool:
        """Whether it still follows its branch; not while something is kept of a failed deployment."""
        proposed = self.deployment_state in PROPOSED and not self.under_way
        return proposed and self.state is RequestState.OPEN

    @property
    def since(self) -> datetime:
        """When it came into the state it is in."""
        mark = self.entered.get(self.deployment_state)
        return mark.at if mark else self.updated_at

    def who(self, state: State) -> Actor | None:
        """Return who brought it into a state last."""
        mark = self.entered.get(state)
        return mark.actor if mark else None

    def why(self, state: State) -> str | None:
        """Return the reason why it came into a state last, if one was given."""
        mark = self.entered.get(state)
        return mark.reason if mark else None

    def choice(self, record: OperationRecord) -> Choice | None:
        """Return how one of its operations is made, None when it is in the usual way."""
        return record.choices.get(self.strategy)

    @property
    def revertible(self) -> bool:
        """Whether all of it can be undone."""
        choices = (self.choice(record) for record in self.operations)
        return all(choice is None or choice.revertible for choice in choices)

    def outlook(self, record: OperationRecord) -> tuple[Remark, ...]:
        """Return what a revert of one of its operations would lack."""
        return record.outlook.get(self.strategy, ())

    def touches(self, other: DeployRequest) -> bool:
        """Whether both change the same table, or tables that foreign keys connect."""
        if self.into_branch != other.into_branch:
            return False
        mine, theirs = set(self.footprint), set(other.footprint)
        return EVERYTHING in mine | theirs or not mine.isdisjoint(theirs)


@dataclass(frozen=True, slots=True)
class Transition:
    """One recorded step of a deployment: from which state to which, when, on whose word, and why."""

    number: int
    before: State | None
    after: State
    actor: Actor
    reason: str | None
    at: datetime
