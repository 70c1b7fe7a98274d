"""I have a change looked at by all rules, with what production says of its tables and rows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

import structlog

from migrator.deploy.data_checks import look_at_rows
from migrator.deploy.facts import read_facts
from migrator.engine.direct.choose import Choice, Method, Strategy
from migrator.errors import DataConflict, MigratorError
from migrator.schema.lint.facts import Facts, Refusal, Way
from migrator.schema.lint.finding import Finding
from migrator.schema.lint.lint import concerning, lint
from migrator.schema.lint.subject import Subject
from migrator.throttle.throttler import Throttle
from router.errors import DatabaseError
from router.model import Server

log = structlog.get_logger()


Examine = Callable[[Subject], Awaitable[tuple[Finding, ...]]]
"""Has a change looked at by all rules, and returns what they say that concerns it."""


async def by_rules(subject: Subject) -> tuple[Finding, ...]:
    """Return what the rules say of a change by itself, without asking production."""
    return concerning(lint(subject), subject)


async def examine(subject: Subject, server: Server, schema: str, throttle: Throttle) -> tuple[Finding, ...]:
    """Return what the rules say of a change that concerns it; the subject's own facts are kept.

    `server` is production with the migrator's account. When it cannot be asked, that is a finding less, and
    the checks of rows say that nobody looked.
    """
    try:
        known = await read_facts(server, schema, subject.touched & subject.before.tables.keys())
        answers = await look_at_rows(
            server,
            schema,
            subject.changes,
            throttle,
            seconds=subject.settings.data_check_s,
            renames=subject.renames,
        )
    except DatabaseError as error:
        log.warning("lint.facts_missing", schema=schema, reason=str(error))
        known, answers = Facts(), ()
    facts = replace(
        subject.facts,
        now=known.now,
        tables=known.tables,
        variables=known.variables,
        accounts=known.accounts,
        answers=answers,
    )
    return concerning(lint(replace(subject, facts=facts)), subject)


def refusal_of(table: str, error: MigratorError) -> Refusal:
    """Return what the engine refuses as a fact for the rules."""
    return Refusal(table, error.message, error.hint, error.code, of_rows=isinstance(error, DataConflict))


def way_of(choices: Mapping[str, Choice]) -> Way | None:
    """Return how a table can be changed at best, None when the engine did not say."""
    choice = choices.get(Strategy.INSTANT)
    if choice is None:
        return None
    return Way(str(choice.method), choice.method is not Method.SHADOW, choice.reason)
