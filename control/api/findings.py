"""I put what a check says into the shape of the API: a lint entry."""

from __future__ import annotations

from control.api.present import Json
from migrator.schema.lint.finding import Finding


def lint_entry(finding: Finding, database: str) -> Json:
    """Return a finding as an entry of a list of lint errors."""
    return {
        **finding.facts,
        "lint_error": finding.code,
        "subject_type": "table",
        "keyspace_name": database,
        "table_name": finding.subject,
        "error_description": finding.sentence,
        "docs_url": finding.docs,
        "level": str(finding.level),
        "element": finding.element,
        "advice": finding.advice,
        "key": finding.key,
    }
