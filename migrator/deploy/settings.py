"""I am what people decide about the deploy requests of a database; defaults live nowhere else."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from migrator.deploy.errors import DeployError
from migrator.deploy.schedule import BadSchedule, parse
from migrator.schema.column_order import ColumnOrder

DAY_S: Final = 86_400.0
TABLE_NAME: Final = re.compile(r"[^\x00/\\.`]{1,64}")


class Framework(StrEnum):
    """What writes down in a table which migrations a schema has had."""

    NONE = ""
    RAILS = "rails"
    PHOENIX = "phoenix"
    LARAVEL = "laravel"
    DJANGO = "django"
    DOTNET = "dotnet"
    SEQUELIZE = "sequelize"
    FLYWAY = "flyway"
    LIQUIBASE = "liquibase"
    OTHER = "other"


class SettingRefused(DeployError):
    """A setting cannot have that value; the message names every mistake."""


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """What holds for a database's deploy requests; times are in seconds.

    `deploy_schedule` says in words when deployments may start and cut over ("" is always), `gated_expiry_s`
    how long one may wait for its `apply` (0 is for ever), `cutover_retry_s` how long a cut-over yields to who
    holds its tables before it kills them (0 is for ever). A table that was used within `recently_used_s` is
    dropped only after a warning. `migration_table` is that of the framework `other`. With `delete_protection`
    no branch is deleted. `production_branch_web_console` is the one that concerns people's statements.
    """

    require_approval: bool = False
    required_approvals: int = 1
    confirm_destructive: bool = True
    allow_foreign_keys: bool = True
    column_order: ColumnOrder = ColumnOrder.APPEND
    auto_cutover_default: bool = True
    aggressive_cutover: bool = False
    revert_window_s: float = 1800.0
    release_queue_in_window: bool = False
    gated_expiry_s: float = 0.0
    cutover_retry_s: float = 3600.0
    deploy_schedule: str = ""
    migration_framework: Framework = Framework.NONE
    migration_table: str = ""
    recently_used_s: float = 7 * DAY_S
    delete_protection: bool = False
    production_branch_web_console: bool = False


LEAST: Final[Mapping[str, float]] = {"required_approvals": 1}
"""The smallest value of a number, where it is not 0."""
MOST: Final[Mapping[str, float]] = {"required_approvals": 20}
"""The largest value of a number, where it is not a year of seconds."""
YEAR_S: Final = 366 * DAY_S
GIVEN_UP: Final = frozenset({"production_web_console"})
"""Settings of earlier versions, which state may still hold."""
EXPLAINED: Final[Mapping[str, str]] = {
    "require_approval": "a deploy request needs an approval before it is deployed",
    "required_approvals": "how many administrators must approve it, where that is needed",
    "confirm_destructive": "what loses data must be confirmed before it is deployed",
    "allow_foreign_keys": "branches may have foreign keys",
    "column_order": "append: columns added to the same place follow each other; strict: they conflict",
    "auto_cutover_default": "the first deploy request cuts over by itself; later ones do as the one before",
    "aggressive_cutover": "what holds the tables of a cut-over is killed at the first attempt",
    "revert_window_s": "how long a deployment can be reverted",
    "release_queue_in_window": "the next deploy request need not wait for the revert window when it changes "
    "other tables",
    "gated_expiry_s": "how long a deployment waits for its apply before it is cancelled; 0: for ever",
    "cutover_retry_s": "how long a cut-over yields to what holds its tables before it is forced; 0: for ever",
    "deploy_schedule": "when deployments may start and cut over; empty: always",
    "migration_framework": "whose table of migrations is carried over from branches",
    "migration_table": "the table of migrations, when the framework is `other`",
    "recently_used_s": "a table used within this time is told of before it is dropped",
    "delete_protection": "no branch of the database can be deleted, nor is one that expires",
    "production_branch_web_console": "administrators may use the web console on production branches",
}
"""Each setting in a sentence, for people."""


def changed(settings: DatabaseSettings, changes: Mapping[str, Any]) -> DatabaseSettings:
    """Return the settings with some of them changed. Raises SettingRefused with every mistake at once."""
    known = {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}
    values: dict[str, Any] = {}
    mistakes: list[str] = []
    for name, value in changes.items():
        if name not in known:
            mistakes.append(f"there is no setting {name!r} (there are: {', '.join(known)})")
            continue
        try:
            values[name] = _value(name, value, known[name])
        except ValueError as error:
            mistakes.append(f"{name} {error}, not {value!r}")
    if not mistakes:
        settings = replace(settings, **values)
        mistakes = _contradictions(settings)
    if mistakes:
        raise SettingRefused("; ".join(mistakes))
    return settings


def from_text(name: str, text: str) -> Any:
    """Return the value that people mean by a text, as `changed` takes it. Raises SettingRefused."""
    usual = getattr(DatabaseSettings(), name, None)
    plain = text.strip().lower()
    if isinstance(usual, bool):
        if plain in {"true", "yes", "on", "1"}:
            return True
        if plain in {"false", "no", "off", "0"}:
            return False
        raise SettingRefused(f"{name} is true or false, not {text!r}")
    if isinstance(usual, int | float):
        try:
            return float(plain) if isinstance(usual, float) else int(plain)
        except ValueError:
            raise SettingRefused(f"{name} is a number, not {text!r}") from None
    return text.strip()


def _value(name: str, value: Any, usual: Any) -> Any:
    """Return a value in the setting's own type, or raise ValueError saying what it must be."""
    if isinstance(usual, bool):
        if not isinstance(value, bool):
            raise ValueError("is true or false")
        return value
    if isinstance(usual, int | float):
        least, most = LEAST.get(name, 0), MOST.get(name, YEAR_S)
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise ValueError(f"is a number from {least:g} to {most:g}")
        if isinstance(usual, int) and value != int(value):
            raise ValueError("is a whole number")
        return type(usual)(value)
    if not isinstance(value, str):
        raise ValueError("is a text")
    if isinstance(usual, StrEnum):
        kinds = [str(kind) for kind in type(usual)]
        if value not in kinds:
            raise ValueError(f"is one of {', '.join(kind or 'nothing' for kind in kinds)}")
        return type(usual)(value)
    return value


def _contradictions(settings: DatabaseSettings) -> list[str]:
    """Return what does not go together."""
    mistakes = []
    try:
        parse(settings.deploy_schedule)
    except BadSchedule as error:
        mistakes.append(f"deploy_schedule {error}")
    other = settings.migration_framework is Framework.OTHER
    if other and not settings.migration_table:
        mistakes.append("the migration framework 'other' needs a migration_table, its table of migrations")
    if settings.migration_table and not TABLE_NAME.fullmatch(settings.migration_table):
        mistakes.append(f"migration_table {settings.migration_table!r} cannot be the name of a table")
    return mistakes
