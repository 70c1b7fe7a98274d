"""I am what a case of the lint rules is: what is there, what the branch does, what is to be said of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from conf.settings import LintSettings
from migrator.schema.lint.facts import (
    DataAnswer,
    Facts,
)
from migrator.schema.renames import NONE, Renames
from router.model import Flavor

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
YESTERDAY = NOW - timedelta(days=1)
LONG_AGO = NOW - timedelta(days=60)


@dataclass(frozen=True)
class Case:
    """One case: `before` is on production, `after` is what the branch does then.

    `expected` are the findings of the rule, as `level subject element`. `only` is the flavour it is for.
    """

    code: str
    title: str
    before: Sequence[str]
    after: Sequence[str]
    expected: Sequence[str]
    facts: Facts = field(default_factory=Facts)
    settings: LintSettings = field(default_factory=LintSettings)
    allow_foreign_keys: bool = True
    renames: Renames = NONE
    only: Flavor | None = None

    @property
    def name(self) -> str:
        """The name of the case."""
        return f"{self.code} {self.title}"


MYSQL, MARIADB = Flavor.MYSQL, Flavor.MARIADB
T = "CREATE TABLE t (id INT UNSIGNED PRIMARY KEY AUTO_INCREMENT, a INT, b VARCHAR(20))"
PARENT = "CREATE TABLE p (id INT UNSIGNED PRIMARY KEY, code VARCHAR(20) NOT NULL, UNIQUE KEY by_code (code))"
CHILD = (
    "CREATE TABLE c (id INT PRIMARY KEY, p INT UNSIGNED, CONSTRAINT to_p FOREIGN KEY (p) REFERENCES p (id))"
)
CASCADE = CHILD.replace("REFERENCES p (id)", "REFERENCES p (id) ON DELETE CASCADE")


def answers(subject: str, having: str, **given: object) -> Facts:
    """Facts with one answer about rows of t."""
    answer = DataAnswer("t", subject, having)
    return Facts(answers=(replace(answer, **given),))  # type: ignore[arg-type]
