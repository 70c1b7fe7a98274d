"""I turn every error into an HTTP answer: a status, a code and a sentence for people."""

from __future__ import annotations

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from conf.errors import ConfError
from control.errors import ControlError, NotAllowed, NotFound, Outdated, reason
from migrator.deploy.errors import DeployError, UnknownRequest
from migrator.deploy.errors import NotAllowed as MayNot
from migrator.errors import MigratorError
from migrator.schema.errors import SchemaError
from router.errors import DatabaseError, RouteError, ServerFailed, UnknownBranch

log = structlog.get_logger()

# The first class that fits counts, so the particular stand before the general.
ANSWERS: tuple[tuple[type[Exception], int, str], ...] = (
    (NotFound, 404, "not_found"),
    (NotAllowed, 403, "unauthorized"),
    (MayNot, 403, "unauthorized"),
    (Outdated, 409, "conflict"),
    (UnknownBranch, 404, "not_found"),
    (UnknownRequest, 404, "not_found"),
    (RouteError, 422, "unprocessable"),
    (DeployError, 422, "unprocessable"),
    (MigratorError, 422, "unprocessable"),
    (SchemaError, 422, "unprocessable"),
    (ControlError, 422, "unprocessable"),
    (ConfError, 422, "unprocessable"),
    (ServerFailed, 503, "server_failed"),
    (DatabaseError, 503, "server_failed"),
)


def install(app: FastAPI) -> None:
    """Make `app` answer every error in the one shape that clients understand."""
    for kind, status, code in ANSWERS:
        app.add_exception_handler(kind, _answerer(status, code))
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, of_http)
    app.add_exception_handler(OSError, _system)
    app.add_exception_handler(Exception, _bug)


def problem(status: int, code: str, message: str) -> JSONResponse:
    """Return one error as an answer."""
    return JSONResponse({"code": code, "message": message}, status_code=status)


def _answerer(status: int, code: str):  # type: ignore[no-untyped-def]
    async def answer(request: Request, error: Exception) -> JSONResponse:
        return problem(status, code, str(error))

    return answer


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    details = "; ".join(
        f"{'.'.join(str(part) for part in mistake['loc'][1:]) or 'body'}: {mistake['msg']}"
        for mistake in error.errors()
    )
    return problem(400, "invalid_params", details)


async def of_http(request: Request, error: Exception) -> JSONResponse:
    """Answer what the framework, or a path, says by a status."""
    assert isinstance(error, HTTPException)
    codes = {401: "unauthorized", 403: "unauthorized", 404: "not_found"}
    message = str(error.detail)
    # What the framework answers by itself is not a sentence.
    if message == "Not Found":
        message = f"there is nothing at {request.url.path}: {request.base_url}openapi.json lists what is"
    elif message == "Method Not Allowed":
        message = f"{request.method} cannot be done at {request.url.path}"
    return problem(error.status_code, codes.get(error.status_code, "bad_request"), message)


async def _system(request: Request, error: Exception) -> JSONResponse:
    """What the operating system refuses, a full disk above all, is for the operator to mend."""
    assert isinstance(error, OSError)
    log.error("api.system_failed", path=request.url.path, exc_info=error)
    return problem(503, "server_failed", f"the machine that runs Headgate cannot do this: {reason(error)}")


async def _bug(request: Request, error: Exception) -> JSONResponse:
    log.error("api.failed", path=request.url.path, exc_info=error)
    return problem(500, "internal", "Headgate has a fault: its log holds the details")
