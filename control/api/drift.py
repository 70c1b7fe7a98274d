"""I am the paths of drift: what somebody has changed on production besides deploy requests."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from control.api.paths import DATABASE, Here, Who, administrator
from control.api.present import Json, moment
from control.api.recorder import note_done
from control.drift_store import FoundDrift

router = APIRouter(prefix=DATABASE, tags=["drift"])


class Adopting(BaseModel):
    """The body of a request to adopt a drift: the digest of the one that was looked at.

    Who leaves it out adopts what was found last, whoever looked at that.
    """

    digest: Annotated[str, Field(max_length=64)] = ""


class Undoing(BaseModel):
    """The body of a request to undo a drift: the name of the branch to make, and what the request says."""

    branch: Annotated[str, Field(max_length=63)] = ""
    notes: Annotated[str, Field(max_length=10_000)] = ""


@router.get("/drift")
async def get_drift(service: Here) -> Json:
    """Look at production now, and show what differs from what it should be."""
    return present(await service.drift.look())


@router.post("/drift/adopt", dependencies=[Depends(administrator)])
async def adopt_drift(service: Here, body: Adopting | None = None) -> Json:
    """Take production as it is for how it should be, when it is as it was looked at."""
    return present(await service.drift.adopt((body or Adopting()).digest))


@router.post("/drift/undo")
async def undo_drift(request: Request, service: Here, actor: Who, body: Undoing | None = None) -> Json:
    """Make a branch on which the drift is taken back, and a deploy request for it."""
    asked = body or Undoing()
    drift = await service.drift.undo(asked.branch)
    assert drift.branch is not None
    note_done(request, branch=drift.branch)
    notes = (
        asked.notes or f"Take back what was changed by hand: {', '.join((*drift.tables, *drift.programs))}"
    )
    made = await service.create_deploy_request(drift.branch, "", notes, actor)
    return {**present(drift), "deploy_request": made.number}


def present(drift: FoundDrift | None) -> Json:
    """Show a drift, or that there is none."""
    if drift is None:
        return {"type": "Drift", "state": "none", "tables": [], "programs": [], "diff": [], "affected": []}
    changes: list[dict[str, Any]] = [{"name": name, "raw": text} for name, text in drift.diff.items()]
    return {
        "type": "Drift",
        "number": drift.number,
        "state": str(drift.state),
        "tables": list(drift.tables),
        "programs": list(drift.programs),
        "diff": changes,
        "digest": drift.shown.digest,
        "affected": list(drift.affected),
        "branch": drift.branch,
        "found_at": moment(drift.found_at),
        "closed_at": moment(drift.closed_at),
    }
