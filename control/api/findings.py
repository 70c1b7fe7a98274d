"""I put what a check says into the shape of the API: a lint entry."""

from __future__ import annotations

from collections.abc import Collection

from control.api.present import Json
from migrator.schema.lint.finding import Finding


def lint_entry(finding: Finding, database: str, confirmed: Collection[str] = ()) -> Json:
    """Return what a check says; the facts of its rule come along under the API's names.

    `confirmed` are the keys of findings that somebody has said yes to.
    """
    return {
        **finding.facts,
        "lint_error": finding.code,
        "subject_type": "table",
        "keyspace_name": database,
        "table_name": finding.subject,
        "error_description": finding.told,
        "docs_url": finding.docs,
        "key": finding.key,
        "level": str(finding.level),
        "subject": finding.subject,
        "element": finding.element,
        "sentence": finding.sentence,
        "advice": finding.advice,
        "blocks": finding.blocks,
        "confirmed": finding.key in confirmed,
        "hard": finding.hard,
        "suppressed": finding.suppressed or None,
    }
