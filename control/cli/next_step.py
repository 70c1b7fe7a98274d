"""I say what somebody may do next about a deploy request, as the commands to do it with."""

from __future__ import annotations

from typing import Any, Final

Step = tuple[str, str]
"""A sentence, and the command that it is about."""

UNDER_WAY: Final = frozenset(
    {"submitting", "in_progress", "in_progress_cutover", "in_progress_cancel"}
    | {"in_progress_revert", "in_progress_redo"}
)
LEFT_TO_DO: Final = frozenset({"complete_pending_revert", "complete_revert", "complete_revert_error"})
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
        case "ready":
            return _ready(deployment)
        case "error" | "no_changes":
            return [
                ("change the branch, then look again", "diff {at}"),
                ("or give it up", "close {at}"),
            ]
        case "queued":
            return [("take it out of the queue", "cancel {at}")]
        case "pending_cutover":
            return [("swap the tables", "apply {at} --wait"), ("or stop it", "cancel {at} --wait")]
        case "in_progress_cutover":
            return [
                ("kill the connections that hold its tables, if it waits for them", "apply {at} --force"),
                ("or stop it", "cancel {at} --wait"),
            ]
        case "complete_error":
            return [
                ("try again what failed", "retry {at} --wait"),
                ("or clear it away, and let the queue go on", "unblock {at}"),
            ]
        case "complete_revert_error":
            return [("try to revert it again", "revert {at}"), ("or let the change stand", "unblock {at}")]
        case "complete_pending_revert":
            return [
                ("undo it, keeping what was written since", "revert {at}"),
                ("or keep it for good, and let the next one start", "skip-revert {at}"),
            ]
        case "complete_revert" if deployment["redo_until"]:
            return [("take the revert back", "redo {at}"), ("or end that", "skip-revert {at}")]
        case "cancelled" | "complete_cancel":
            return [("deploy it after all", "deploy {at} --wait"), ("or give it up", "close {at}")]
        case _ if state in UNDER_WAY:
            return [("stop it", "cancel {at} --wait")] if state in {"submitting", "in_progress"} else []
        case _:
            return []


def _ready(deployment: Any) -> list[Step]:
    steps: list[Step] = []
    if deployment["approvals_missing"]:
        steps.append(("it needs an approval by an administrator", "review {at} --approve"))
    if deployment["unconfirmed"]:
        steps.append(("what is to be confirmed, if that is meant", "confirm {at}"))
    return [*steps, ("put it into the queue", "deploy {at} --wait")]
