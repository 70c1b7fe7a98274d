"""I see to it that everything people change through the API is in the audit log."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import structlog
from fastapi import Request
from sqlalchemy.exc import SQLAlchemyError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from control.api.present import Json
from control.journal import Subject
from control.service import Service

log = structlog.get_logger()

LOOKING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
ORGANIZATION: Final = "/organizations/{org}"
DATABASE: Final = "/databases/{db}"
REQUEST: Final = DATABASE + "/deploy-requests/{number}"
BRANCH: Final = DATABASE + "/branches/{name}"
RECOMMENDATION: Final = DATABASE + "/schema-recommendations/{number}"
PASSWORD: Final = BRANCH + "/passwords/{password_id}"


def _cancelled(answer: Json) -> str:
    queued = answer.get("deployment_state") == "cancelled"
    return "deploy_request.unqueued" if queued else "deploy_request.cancelled"


def _safe_migrations(answer: Json) -> str:
    turn = "enabled" if answer.get("safe_migrations") else "disabled"
    return f"branch.{turn}_safe_migrations"


def _reviewed(answer: Json) -> str:
    return f"deploy_request.{answer['state']}"


ACTIONS: Final[Mapping[str, str | Callable[[Json], str]]] = {
    "POST /reload": "organization.reloaded",
    "POST /service-tokens": "service_token.created",
    "DELETE /service-tokens/{token_id}": "service_token.deleted",
    "POST /databases": "database.created",
    f"DELETE {DATABASE}": "database.deleted",
    f"PATCH {DATABASE}": "database.updated_settings",
    f"POST {DATABASE}/aggressive-cutover": "database.enabled_aggressive_cutover",
    f"DELETE {DATABASE}/aggressive-cutover": "database.disabled_aggressive_cutover",
    f"PATCH {DATABASE}/throttler": "database.throttled",
    f"POST {DATABASE}/branches": "branch.created",
    f"PATCH {BRANCH}": "branch.changed",
    f"DELETE {BRANCH}": "branch.deleted",
    f"POST {BRANCH}/promote": "branch.promoted",
    f"POST {BRANCH}/demote": "branch.demoted",
    f"POST {BRANCH}/default": "branch.made_default",
    f"POST {BRANCH}/safe-migrations": "branch.enabled_safe_migrations",
    f"PUT {BRANCH}/safe-migrations": _safe_migrations,
    f"DELETE {BRANCH}/safe-migrations": "branch.disabled_safe_migrations",
    f"POST {BRANCH}/rebase": "branch.rebased",
    f"POST {BRANCH}/refresh-schema": "branch.refreshed_schema",
    f"POST {BRANCH}/passwords": "branch_password.created",
    f"PATCH {PASSWORD}": "branch_password.updated",
    f"POST {PASSWORD}/renew": "branch_password.renewed",
    f"DELETE {PASSWORD}": "branch_password.deleted",
    f"POST {DATABASE}/deploy-requests": "deploy_request.created",
    f"PATCH {REQUEST}": "deploy_request.closed",
    f"PATCH {REQUEST}/throttler": "deploy_request.throttled",
    f"POST {REQUEST}/deploy": "deploy_request.queued",
    f"POST {REQUEST}/apply-deploy": "deploy_request.applied",
    f"POST {REQUEST}/force-cutover": "deploy_request.forced_cutover",
    f"POST {REQUEST}/cancel": _cancelled,
    f"POST {REQUEST}/retry": "deploy_request.retried",
    f"POST {REQUEST}/complete-deploy": "deploy_request.completed",
    f"POST {REQUEST}/reviews": _reviewed,
    f"POST {REQUEST}/confirm": "deploy_request.confirmed",
    f"PUT {REQUEST}/auto-apply": "deploy_request.changed_auto_apply",
    f"PUT {REQUEST}/auto-delete-branch": "deploy_request.changed_auto_delete_branch",
    f"PUT {REQUEST}/aggressive-cutover": "deploy_request.changed_aggressive_cutover",
    f"POST {REQUEST}/revert": "deploy_request.reverted",
    f"POST {REQUEST}/redo": "deploy_request.redone",
    f"POST {REQUEST}/skip-revert": "deploy_request.skipped_revert",
    f"POST {DATABASE}/lint-suppressions": "lint_suppression.created",
    f"DELETE {DATABASE}/lint-suppressions/{{suppression_id}}": "lint_suppression.deleted",
    f"POST {DATABASE}/schema-recommendations/refresh": "schema_recommendation.refreshed",
    f"POST {DATABASE}/drift/adopt": "drift.adopted",
    f"POST {DATABASE}/drift/undo": "drift.undo_proposed",
    f"POST {RECOMMENDATION}/apply": "schema_recommendation.applied",
    f"POST {RECOMMENDATION}/dismiss": "schema_recommendation.dismissed",
}
"""What each way of changing something is called in the audit log: `object.past_verb`."""


class Recorder:
    """I write down what has been done before its answer is sent."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; when it has changed something, record that, then send the answer."""
        if scope["type"] != "http" or scope["method"] in LOOKING:
            await self._app(scope, receive, send)
            return
        held: list[Message] = []

        async def hold(message: Message) -> None:
            held.append(message)

        try:
            await self._app(scope, receive, hold)
        except Exception:
            await _record(scope, held)
            raise
        await _record(scope, held)
        for message in held:
            await send(message)


def note(request: Request, **details: Any) -> None:
    """Say what the audit log is to keep about a request beyond what it is; no secrets."""
    request.state.details = {**getattr(request.state, "details", {}), **details}


def note_done(request: Request, **details: Any) -> None:
    """Say that something has been changed already, which is recorded even if the rest of a request fails."""
    note(request, **details)
    request.state.changed = True


def key(method: str, path: str) -> str:
    """Return what ACTIONS knows a path by."""
    return f"{method} {path.removeprefix('/v1').removeprefix(ORGANIZATION)}"


async def _record(scope: Scope, held: list[Message]) -> None:
    state, route = scope.get("state", {}), scope.get("route")
    status = next((message["status"] for message in held if "status" in message), 500)
    failed = status >= 400
    if "actor" not in state or route is None or (failed and not state.get("changed")):
        return
    action = ACTIONS.get(key(scope["method"], route.path))
    if action is None:
        log.error("action.unnamed", method=scope["method"], path=route.path)
        return
    answer = _answer(held)
    service: Service = scope["app"].state.service
    name = action if isinstance(action, str) else action(answer)
    try:
        await service.journal.record(
            state["actor"],
            name,
            subject(scope["path_params"], answer, route.path),
            {**state.get("details", {}), **({"failed_with": status} if failed else {})},
            (scope.get("client") or ("",))[0],
        )
    except (SQLAlchemyError, OSError) as error:
        # It is done, and must not be answered as if it were not; this line takes the entry's place.
        log.error("action.unrecorded", action=name, actor=state["actor"].id, exc_info=error)


def subject(path: Mapping[str, Any], answer: Json, route: str) -> Subject:
    """Return what a request was about: what its path names, or what it has made, which its answer names."""
    if "/deploy-requests" in route:
        number = str(path.get("number") or answer.get("number", ""))
        return Subject("DeployRequest", number, f"{path['db']}/{number}")
    if "/passwords" in route:
        made = str(path.get("password_id") or answer.get("id", ""))
        return Subject("Password", made, str(answer.get("name") or made))
    if "/branches" in route:
        name = str(path.get("name") or answer.get("name", ""))
        return Subject("Branch", name, f"{path['db']}/{name}")
    if "/schema-recommendations/{number}" in route:
        return Subject("SchemaRecommendation", str(path["number"]), f"{path['db']}/{path['number']}")
    if "/lint-suppressions" in route:
        word = str(path.get("suppression_id") or answer.get("id", ""))
        return Subject("LintSuppression", word, str(answer.get("lint_error") or word))
    if "/service-tokens" in route:
        token = str(path.get("token_id") or answer.get("id", ""))
        return Subject("ServiceToken", token, str(answer.get("name") or token))
    if "db" in path:
        return Subject("Database", path["db"], path["db"])
    return Subject("Organization", path.get("org", ""), path.get("org", ""))


def _answer(held: list[Message]) -> Json:
    body = b"".join(message.get("body", b"") for message in held)
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
