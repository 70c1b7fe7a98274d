"""I am the order in which schema and code are deployed, and what it is judged by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from migrator.schema.model import Table
from migrator.schema.shapes import SeenShape


class Order(StrEnum):
    """What to deploy first."""

    EITHER = "either"
    SCHEMA_FIRST = "schema_first"
    CODE_FIRST = "code_first"
    SPLIT = "split"
    """Part of it belongs before the code, part behind it: make two requests of it."""
    NEITHER = "neither"
    """No order is safe: old and new code need it in two forms at once."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a part of the change belongs before or behind the code; `element` is empty for all of the table."""

    order: Order
    table: str
    element: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The server's number and words where it does not prepare a statement."""

    errno: int
    message: str


@dataclass(frozen=True, slots=True)
class Tried:
    """How a shape fared now and after the change; None: it works."""

    shape: SeenShape
    now: Refused | None
    afterwards: Refused | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """A statement that works on one side only; `order` is what it asks for, `error` the server's words."""

    order: Order
    query: str
    errno: int
    error: str
    tables: tuple[str, ...]
    count: int
    users: tuple[str, ...]
    last_seen: datetime


@dataclass(frozen=True, slots=True)
class DeployOrder:
    """What to deploy first, why, and what was seen.

    `days` is how long traffic has been observed, `tried` how many shapes of it were tried, `untried` how many
    could not be. `sentence` says it all for people.
    """

    order: Order
    sentence: str
    reasons: tuple[Reason, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    days: float = 0.0
    tried: int = 0
    untried: int = 0


@dataclass(frozen=True, slots=True)
class TableChange:
    """A table before and after (None: there is none); `renamed` maps columns' former names to new ones."""

    name: str
    before: Table | None
    after: Table | None
    renamed: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    renamed_from: str = ""


@dataclass(frozen=True, slots=True)
class ViewChanged:
    """A view that comes or goes, or is made anew."""

    name: str
    comes: bool
    goes: bool


@dataclass(frozen=True, slots=True)
class Observed:
    """What traffic has shown: shapes that touch the change, as they fared, over so many days.

    `untried` counts those that could not be prepared on either side.
    """

    days: float = 0.0
    tried: tuple[Tried, ...] = ()
    untried: int = 0
