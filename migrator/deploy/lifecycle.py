"""I am the table of states and legal moves of a deployment; nobody else moves one."""

from __future__ import annotations

from enum import StrEnum

from migrator.deploy.errors import IllegalMove


class State(StrEnum):
    """Where a deployment is."""

    PENDING = "pending"
    READY = "ready"
    NO_CHANGES = "no_changes"
    ERROR = "error"
    QUEUED = "queued"
    SUBMITTING = "submitting"
    IN_PROGRESS = "in_progress"
    PENDING_CUTOVER = "pending_cutover"
    IN_PROGRESS_CUTOVER = "in_progress_cutover"
    IN_PROGRESS_CANCEL = "in_progress_cancel"
    COMPLETE_PENDING_REVERT = "complete_pending_revert"
    IN_PROGRESS_REVERT = "in_progress_revert"
    IN_PROGRESS_REDO = "in_progress_redo"
    COMPLETE = "complete"
    COMPLETE_REVERT = "complete_revert"
    COMPLETE_REVERT_ERROR = "complete_revert_error"
    COMPLETE_CANCEL = "complete_cancel"
    COMPLETE_ERROR = "complete_error"
    CANCELLED = "cancelled"


MOVES: dict[State, frozenset[State]] = {
    # Stored, and being looked at for the first time.
    State.PENDING: frozenset({State.READY, State.NO_CHANGES, State.ERROR}),
    # The checks have passed, found nothing to do, or found a reason not to deploy; they may be run again.
    State.READY: frozenset({State.NO_CHANGES, State.ERROR, State.QUEUED}),
    State.NO_CHANGES: frozenset({State.READY, State.ERROR}),
    State.ERROR: frozenset({State.READY, State.NO_CHANGES}),
    # Waiting for its turn. Its branch may move meanwhile, and what is proposed then is no longer what was
    # queued: that takes it out of the queue.
    State.QUEUED: frozenset({State.SUBMITTING, State.CANCELLED, State.READY, State.NO_CHANGES, State.ERROR}),
    # Checked once more, against production as it is now: from here on its branch is not looked at any more.
    State.SUBMITTING: frozenset(
        {State.IN_PROGRESS, State.READY, State.NO_CHANGES, State.ERROR, State.IN_PROGRESS_CANCEL}
    ),
    State.IN_PROGRESS: frozenset(
        {State.PENDING_CUTOVER, State.IN_PROGRESS_CUTOVER, State.IN_PROGRESS_CANCEL}
    ),
    State.PENDING_CUTOVER: frozenset({State.IN_PROGRESS_CUTOVER, State.IN_PROGRESS_CANCEL}),
    # It may wait for ever behind a long transaction; when it is cancelled, or fails, what is swapped already
    # is swapped back.
    State.IN_PROGRESS_CUTOVER: frozenset({State.COMPLETE_PENDING_REVERT, State.IN_PROGRESS_CANCEL}),
    # Production is being left as it was, because somebody wants that, or because of a failure.
    State.IN_PROGRESS_CANCEL: frozenset({State.COMPLETE_CANCEL, State.COMPLETE_ERROR}),
    # Swapped; the old tables follow the new ones until the window ends.
    State.COMPLETE_PENDING_REVERT: frozenset({State.IN_PROGRESS_REVERT, State.COMPLETE}),
    State.IN_PROGRESS_REVERT: frozenset({State.COMPLETE_REVERT, State.COMPLETE_REVERT_ERROR}),
    # A failed revert leaves the new tables in place; somebody looks, then tries again or lets it be.
    State.COMPLETE_REVERT_ERROR: frozenset({State.IN_PROGRESS_REVERT, State.COMPLETE}),
    # A failed deployment has changed nothing. What was ready is kept for another try, until somebody says
    # that there will be none: only then may it be checked and deployed again.
    State.COMPLETE_ERROR: frozenset({State.IN_PROGRESS, State.READY, State.NO_CHANGES, State.ERROR}),
    State.COMPLETE_CANCEL: frozenset({State.READY, State.NO_CHANGES, State.ERROR}),
    State.CANCELLED: frozenset({State.READY, State.NO_CHANGES, State.ERROR}),
    State.COMPLETE: frozenset(),
    # Swapped back; while the new tables follow the old ones, that can be taken back.
    State.COMPLETE_REVERT: frozenset({State.IN_PROGRESS_REDO}),
    # When not all tables can be swapped once more, those that were are swapped back.
    State.IN_PROGRESS_REDO: frozenset({State.COMPLETE_PENDING_REVERT, State.IN_PROGRESS_REVERT}),
}

# Production is being worked on, or kept so that the work can be undone.
RUNNING = frozenset(
    {
        State.SUBMITTING,
        State.IN_PROGRESS,
        State.PENDING_CUTOVER,
        State.IN_PROGRESS_CUTOVER,
        State.IN_PROGRESS_CANCEL,
        State.COMPLETE_PENDING_REVERT,
        State.IN_PROGRESS_REVERT,
        State.COMPLETE_REVERT_ERROR,
        State.IN_PROGRESS_REDO,
    }
)

# On the way to the swap: the change is not in production yet, and will be.
COMING = frozenset(
    {
        State.QUEUED,
        State.SUBMITTING,
        State.IN_PROGRESS,
        State.PENDING_CUTOVER,
        State.IN_PROGRESS_CUTOVER,
    }
)

# Those whose turn comes later are checked as if the change was in production, until it is out of it again.
COUNTED_ON = COMING | {
    State.IN_PROGRESS_CANCEL,
    State.COMPLETE_PENDING_REVERT,
    State.IN_PROGRESS_REVERT,
    State.COMPLETE_REVERT_ERROR,
    State.IN_PROGRESS_REDO,
}

# Nothing has been asked of production yet, or nothing is left of what was: the checks may be run (again).
CHECKABLE = frozenset(
    {
        State.READY,
        State.NO_CHANGES,
        State.ERROR,
        State.COMPLETE_ERROR,
        State.COMPLETE_CANCEL,
        State.CANCELLED,
    }
)


# What is proposed may still change with the branch.
PROPOSED = CHECKABLE | {State.PENDING, State.QUEUED}


def check_move(before: State, after: State) -> None:
    """Raise IllegalMove, naming the legal moves, unless a deployment may go from `before` to `after`."""
    if after not in MOVES[before]:
        legal = ", ".join(sorted(MOVES[before])) or "none: it has ended"
        raise IllegalMove(f"a deployment in state {before} cannot become {after} (possible: {legal})")
