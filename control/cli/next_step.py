"""I say what somebody may do next about a deploy request, as the commands to do it with."""

from __future__ import annotations

from typing import Any, Final

from migrator.deploy.lifecycle import State

Step = tuple[str, str]
"""A sentence, and the command that it is about."""

LEFT_TO_DO: Final = frozenset(
    {State.COMPLETE_PENDING_REVERT, State.COMPLETE_REVERT, State.COMPLETE_REVERT_ERROR}
)
"""What may be done in these states is done with a deploy request that is closed."""


def next_steps(request: Any, database: str) -> list[Step]:
    """Return what may be done next, the likeliest first; nothing when it is over."""
    closed = request["state"] == "closed" and request["deployment_state"] not in LEFT_TO_DO
    number = request["number"]
    steps = [
        (said, f"headgate deploy-request {verb.format(at=f'{database} {number}')}")
        for said, verb in ([] if closed else _open(request))
    ]
    if not closed and any(each["lint_error"] == "CONFLICT" for each in request["deployment"]["lint_errors"]):
        rebase = f"headgate branch rebase {database} {request['branch']}"
        return [("make its change anew on what is there now", rebase), *steps]
    return steps


def _open(request: Any) -> list[Step]:
    state, deployment = request["deployment_state"], request["deployment"]
    match state:
        case State.READY:
            return _ready(deployment)
        case State.ERROR | State.NO_CHANGES:
            return [
                ("change the branch, then look again", "diff {at}"),
                ("or give it up", "close {at}"),
            ]
        case State.QUEUED:
            return [("take it out of the queue", "cancel {at}")]
        case State.PENDING_CUTOVER:
            return [("swap the tables", "apply {at} --wait"), ("or stop it", "cancel {at} --wait")]
        case State.IN_PROGRESS_CUTOVER:
            return [
                ("kill the connections that hold its tables, if it waits for them", "apply {at} --force"),
                ("or stop it", "cancel {at} --wait"),
            ]
        case State.COMPLETE_ERROR:
            return [
                ("try again what failed", "retry {at} --wait"),
                ("or clear it away, and let the queue go on", "unblock {at}"),
            ]
        case State.COMPLETE_REVERT_ERROR:
            return [("try to revert it again", "revert {at}"), ("or let the change stand", "unblock {at}")]
        case State.COMPLETE_PENDING_REVERT:
            return [
                ("undo it, keeping what was written since", "revert {at}"),
                ("or keep it for good, and let the next one start", "skip-revert {at}"),
            ]
        case State.COMPLETE_REVERT if deployment["redo_until"]:
            return [("take the revert back", "redo {at}"), ("or end that", "skip-revert {at}")]
        case State.CANCELLED | State.COMPLETE_CANCEL:
            return [("deploy it after all", "deploy {at} --wait"), ("or give it up", "close {at}")]
        case State.SUBMITTING | State.IN_PROGRESS:
            return [("stop it", "cancel {at} --wait")]
        case _:
            return []


def _ready(deployment: Any) -> list[Step]:
    steps: list[Step] = []
    if deployment["approvals_missing"]:
        steps.append(("it needs an approval by an administrator", "review {at} --approve"))
    if deployment["unconfirmed"]:
        steps.append(("what is to be confirmed, if that is meant", "confirm {at}"))
    return [*steps, ("put it into the queue", "deploy {at} --wait")]
