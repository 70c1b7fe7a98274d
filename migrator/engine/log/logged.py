"""I say what a statement that a server wrote to its binary log as text means for one table."""

from __future__ import annotations

import re
from enum import StrEnum

_NAME = r"(?:`(?:[^`]|``)+`|[\w$\u0080-\uffff]+)"
_WORDS = re.compile(r"`((?:[^`]|``)+)`|([\w$\u0080-\uffff]+)")
# What is quoted stays as it is: a name may contain what looks like a comment.
_COMMENTS = re.compile(
    r"('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|`[^`]*`)|/\*(?!!|M!).*?\*/|--\s[^\n]*|#[^\n]*", re.DOTALL
)
_ALTERED = re.compile(
    rf"\s*ALTER\s+(?:(?:ONLINE|IGNORE)\s+)*TABLE\s+(?:IF\s+EXISTS\s+)?({_NAME}(?:\s*\.\s*{_NAME})?)",
    re.IGNORECASE,
)
_REPLACED = re.compile(
    rf"\s*CREATE\s+OR\s+REPLACE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?({_NAME}(?:\s*\.\s*{_NAME})?)",
    re.IGNORECASE,
)
_WRITES = frozenset({"insert", "update", "delete", "replace", "load", "with", "merge"})
# In the log these only stand for functions that wrote something, in a session that logs statements.
_CALLS = frozenset({"select", "do", "call"})
_HARMLESS = frozenset(
    {"analyze", "grant", "revoke", "flush", "check", "checksum", "set", "use", "lock", "unlock", "install"}
    | {"uninstall", "change", "reset", "start", "stop", "purge", "savepoint", "release", "comment", "cache"}
)
# CREATE and DROP of these say nothing about a table whose name they contain.
_OTHER_KINDS = frozenset(
    {"view", "procedure", "function", "event", "user", "role", "server", "package", "sequence", "temporary"}
    | {"tablespace", "logfile", "resource", "library"}
)
_KINDS = _OTHER_KINDS | {"table", "index", "trigger", "database", "schema"}


class Meaning(StrEnum):
    """What a statement does to the table."""

    NOTHING = "nothing"
    DEFINES = "defines"
    WRITES = "writes"


def judge(sql: str, current: str, schema: str, table: str) -> tuple[Meaning, str]:
    """Return what `sql`, run with `current` as default schema, means for the table, and its first word.

    In doubt it concerns the table: a statement that mentions it and is not known to be harmless changes its
    definition. A statement that writes rows may reach the table by a view, a trigger or a function that its
    text does not tell of, so it always counts as writing to it.
    """
    text = _COMMENTS.sub(lambda found: found.group(1) or " ", sql)
    words = _words(text)
    verb = words[0] if words else ""
    if verb in _WRITES or verb in _CALLS:
        return Meaning.WRITES, verb
    if not words or verb in _HARMLESS:
        return Meaning.NOTHING, verb
    return (Meaning.DEFINES if _concerns(text, words, current, schema, table) else Meaning.NOTHING), verb


def _concerns(text: str, words: list[str], current: str, schema: str, table: str) -> bool:
    verb, names = words[0], set(words[1:])
    table, here, current = table.lower(), schema.lower(), current.lower()
    # Servers write out who defined a view, and how, before they say that it is one.
    kind = next((word for word in words[1:16] if word in _KINDS), "")
    if verb in ("create", "drop", "alter") and kind in ("database", "schema"):
        return verb == "drop" and here in names
    if verb == "create" and kind == "trigger" and "each" in names:
        names = set(words[1 : words.index("each")])  # what it does concerns nobody's definition
    mentioned = table in names and (current == here or here in names)
    altered = _ALTERED.match(text)
    if altered and not names & {"references", "exchange"}:
        return _is(altered.group(1), current, here, table)
    if verb == "create" and kind == "table" and "references" not in names:
        replaced = _REPLACED.match(text)
        return replaced is not None and _is(replaced.group(1), current, here, table)
    if verb in ("create", "drop", "alter") and kind in _OTHER_KINDS:
        return False
    return mentioned


def _is(name: str, current: str, schema: str, table: str) -> bool:
    parts = _words(name)
    return parts[-1] == table and (parts[0] if len(parts) > 1 else current) == schema


def _words(text: str) -> list[str]:
    return [(quoted.replace("``", "`") or bare).lower() for quoted, bare in _WORDS.findall(text)]
