"""I say what deploy requests have renamed on the branch that they went into."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from migrator.deploy.lifecycle import State
from migrator.deploy.request import DeployRequest
from migrator.schema.model import Schema
from migrator.schema.renamed import shown
from migrator.schema.renames import Renames, fold

STANDING: Final = frozenset(
    {State.COMPLETE_PENDING_REVERT, State.IN_PROGRESS_REVERT, State.COMPLETE_REVERT_ERROR, State.COMPLETE}
)
"""The change is in the branch that it went into."""


def renamed_since(
    requests: Iterable[DeployRequest], branch: str, since: datetime, before: Schema, after: Schema
) -> Renames:
    """Return what led from one schema of a branch to a later one, as far as both bear it out.

    What was deployed before `since` does not count; what was changed by hand is not known.
    """
    deployed = [
        (request.cut_over_at, request)
        for request in requests
        if request.into_branch == branch
        and request.deployment_state in STANDING
        and request.cut_over_at is not None
        and request.cut_over_at > since
    ]
    deployed.sort(key=lambda each: (each[0], each[1].number))
    statements = [
        statement
        for _, request in deployed
        for record in request.operations
        if not record.view and not record.program
        for statement in record.statements
    ]
    return shown(fold(statements, before, after), before, after)
