"""I am what is asked of the way a deploy request is carried out, and what then holds for it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from migrator.deploy.request import DeployRequest
from migrator.deploy.settings import DatabaseSettings
from migrator.engine.direct.choose import Strategy


@dataclass(frozen=True, slots=True)
class How:
    """What is asked of the way a request is carried out; None is what it is already, or usual.

    `auto_cutover` is as in the request before, `aggressive_cutover` as the settings say; the others are off.
    """

    strategy: Strategy | None = None
    allow_lossy: bool | None = None
    auto_cutover: bool | None = None
    auto_delete_branch: bool | None = None
    aggressive_cutover: bool | None = None
    parallel: bool | None = None


USUAL = How()


def at_first(how: How, before: DeployRequest | None, settings: DatabaseSettings) -> dict[str, Any]:
    """Return what holds for a new request, behind the one `before` it."""
    usual = How(
        strategy=Strategy.REVERTIBLE,
        allow_lossy=False,
        auto_cutover=before.auto_cutover if before else settings.auto_cutover_default,
        auto_delete_branch=False,
        aggressive_cutover=settings.aggressive_cutover,
        parallel=False,
    )
    return _asked(how, usual)


def from_now(how: How, request: DeployRequest) -> dict[str, Any]:
    """Return what holds for a request from now on: what held so far, unless it is asked otherwise."""
    return _asked(how, request)


def _asked(how: How, otherwise: How | DeployRequest) -> dict[str, Any]:
    names = [field.name for field in fields(How)]
    asked = {name: getattr(how, name) for name in names}
    return {name: getattr(otherwise, name) if value is None else value for name, value in asked.items()}
