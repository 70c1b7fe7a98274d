"""I recommend to drop a table that nothing has used for weeks."""

from __future__ import annotations

import re
from collections.abc import Iterator

from migrator.schema.model import Schema
from migrator.schema.recommend.evidence import Evidence
from migrator.schema.recommend.needed import keys_to
from migrator.schema.recommend.recommendation import Kind, Recommendation
from router.database import quote_name


def recommend(evidence: Evidence) -> Iterator[Recommendation]:
    """Yield one for each table that no statement has touched and nothing in the schema mentions."""
    for name in evidence.schema.tables:
        use = evidence.tables.get(name)
        days = evidence.unused_days(use)
        if (
            use is None
            or days is None
            or name.lower() in evidence.spared
            or is_mentioned(evidence.schema, name)
        ):
            continue
        rows = evidence.rows.get(name)
        yield Recommendation(
            Kind.UNUSED_TABLE,
            name,
            "",
            f"Drop table {name}: nothing has used it for {days} days",
            (f"DROP TABLE {quote_name(name)}",),
            f"no statement has read or changed it since {use.idle_since:%Y-%m-%d} ({days} days; "
            f"{use.source}). "
            f"{'It is empty' if rows == 0 else f'Its rows go with it: {evidence.size_of(name)}'}. Think of "
            "what runs more seldom than that, and keep a dump if in doubt.",
        )


def is_mentioned(schema: Schema, table: str) -> bool:
    """Whether a foreign key, a view, a trigger, a routine or an event of the schema names a table."""
    word = re.compile(rf"(?<![\w$]){re.escape(table)}(?![\w$])", re.IGNORECASE)
    pointing = any(key not in schema.tables[table].foreign_keys for key in keys_to(schema, table))
    return pointing or any(code.table == table or word.search(code.text) for code in schema.code)
