"""I find views, routines, events and triggers that name a column which a change takes away.

Their texts are searched for words, so I may name one too many; whoever changes the table decides.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from router.database import Connection

VIEWS = (
    "SELECT TABLE_SCHEMA, TABLE_NAME, VIEW_DEFINITION FROM information_schema.VIEWS "
    "WHERE LOCATE(%s, VIEW_DEFINITION) > 0"
)
TEXTS = {
    "routine": (
        "SELECT ROUTINE_SCHEMA, ROUTINE_NAME, ROUTINE_DEFINITION FROM information_schema.ROUTINES "
        "WHERE ROUTINE_SCHEMA NOT IN ('sys', 'mysql') AND LOCATE(%s, ROUTINE_DEFINITION) > 0"
    ),
    "event": (
        "SELECT EVENT_SCHEMA, EVENT_NAME, EVENT_DEFINITION FROM information_schema.EVENTS "
        "WHERE LOCATE(%s, EVENT_DEFINITION) > 0"
    ),
    "trigger": (
        "SELECT TRIGGER_SCHEMA, TRIGGER_NAME, ACTION_STATEMENT FROM information_schema.TRIGGERS "
        "WHERE TRIGGER_SCHEMA <> 'sys' AND LOCATE(%s, ACTION_STATEMENT) > 0"
    ),
}


async def find_dependents(
    link: Connection, schema: str, table: str, before: Sequence[str], after: Collection[str]
) -> list[str]:
    """Return a sentence for each that may break, or not see what is new; columns by their names."""
    there = {column.lower() for column in after}
    gone = [column for column in before if column.lower() not in there]
    new = there - {column.lower() for column in before}
    found = []
    rows = await link.fetch_all(VIEWS, f"`{schema}`.`{table}`")
    for where, name, text in rows:
        found += _about_view(f"{where}.{name}", str(text), before, gone, new, f"{schema}.{table}")
    if not gone:
        return found
    for kind, sql in TEXTS.items():
        for where, name, text in await link.fetch_all(sql, table):
            if not _names(str(text), [table]):
                continue
            if named := _names(str(text), gone):
                found.append(
                    f"{kind} {where}.{name} names {table} and {_listed(named)}, which the table will not "
                    "have: it fails from the cut-over on, if it means this table's"
                )
    return found


def _about_view(
    view: str, text: str, before: Sequence[str], gone: Sequence[str], new: Collection[str], table: str
) -> list[str]:
    # A view's text is the server's own: every column in it is written out and quoted.
    named = [column for column in gone if f".`{column.lower()}`" in text.lower()]
    if named:
        return [
            f"view {view} names {_listed(named)}, which {table} will not have: it fails from the cut-over "
            "on; change it first, or in the same deployment"
        ]
    if new and all(f".`{column.lower()}`" in text.lower() for column in before):
        return [
            f"view {view} shows every column of {table} that there was when it was made, and goes on to do "
            f"so: without {_listed(sorted(new))}"
        ]
    return []


def _names(text: str, words: Sequence[str]) -> list[str]:
    return [
        word for word in words if re.search(rf"(?<![\w$]){re.escape(word)}(?![\w$])", text, re.IGNORECASE)
    ]


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(repr(column) for column in columns)
