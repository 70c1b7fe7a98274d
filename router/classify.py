"""I name the kind of a statement from its first tokens, without parsing SQL.

The server runs exactly one statement per command, because the proxy opens guarded connections without
CLIENT_MULTI_STATEMENTS; so the first keyword decides what a statement is, whatever quotes, character set and
sql_mode do to the rest of it.

Version comments (`/*!80000 … */`, `/*M! … */`) may or may not be executed, depending on the server. Every
reading is considered and the strictest wins.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from router.tokens import COMMENT, NAME, NUMBER, OTHER, STRING, UNSURE, WORD, pieces

HEAD_BYTES: Final = 64 * 1024
"""A statement whose first keyword comes later than this is UNKNOWN."""


class Kind(StrEnum):
    """What a statement is; a later member is stricter, for statements that can be read in several ways."""

    EMPTY = "empty"
    READ = "read"
    WRITE = "write"
    TRANSACTION = "transaction"
    SET = "set"
    SESSION = "session"
    """Changes or asks only this session: USE, LOCK TABLES, SIGNAL…"""
    CALL = "call"
    PREPARED = "prepared"
    """Runs or forgets what was classified when it was prepared."""
    TEMPORARY = "temporary"
    """Creates or drops a temporary table."""
    COMMAND = "command"
    """Not a statement at all: a ping, a cursor's fetch…"""
    DYNAMIC = "dynamic"
    """Runs text that cannot be known beforehand."""
    KILL = "kill"
    """Ends a connection or its statement, by a number that is ours and not the server's."""
    ADMIN = "admin"
    """Acts on the whole server, or on accounts."""
    DDL = "ddl"
    UNKNOWN = "unknown"


_STRICTNESS = {kind: rank for rank, kind in enumerate(Kind)}

_PLAIN: Final[dict[str, Kind]] = {
    word: kind
    for kind, words in {
        Kind.READ: "SELECT TABLE VALUES SHOW HELP CHECKSUM DO HANDLER",
        Kind.WRITE: "INSERT REPLACE UPDATE DELETE",
        Kind.TRANSACTION: "COMMIT ROLLBACK SAVEPOINT RELEASE XA",
        Kind.SESSION: "USE GET SIGNAL RESIGNAL",
        Kind.PREPARED: "DEALLOCATE",
        Kind.DDL: "ALTER RENAME TRUNCATE",
        Kind.KILL: "KILL",
        Kind.ADMIN: "GRANT REVOKE OPTIMIZE REPAIR CHECK CACHE FLUSH RESET CHANGE STOP CLONE SHUTDOWN "
        "RESTART BINLOG PURGE IMPORT INSTALL UNINSTALL BACKUP",
    }.items()
    for word in words.split()
}

START_BYTES: Final = 7
KIND_OF_START: Final[dict[bytes, Kind]] = {
    spelling.encode(): _PLAIN[word]
    for word in ("SELECT", "INSERT", "UPDATE", "DELETE")
    for spelling in (word + " ", word.lower() + " ")
}
"""The kinds of the statements that matter most, all allowed everywhere, by their first START_BYTES."""

# The fast way: white space and brackets, then a word that decides alone.
_FIRST_WORD = re.compile(rb"[ \t\n\r\v\f(]*+([A-Za-z]++)(?![\w$\x80-\xff])")
_KIND_OF_WORD: Final[dict[bytes, Kind]] = {
    spelling: kind
    for word, kind in _PLAIN.items()
    for spelling in (word.encode(), word.lower().encode(), word.capitalize().encode())
}

_SPACE = re.compile(rb"[ \t\n\r\v\f]*+")
_SPACE_OR_BRACKET = re.compile(rb"[ \t\n\r\v\f(]*+")
_WORD = re.compile(rb"[A-Za-z_]++(?![\w$\x80-\xff])")
_LINE_COMMENT = re.compile(rb"(?:#|--(?=[\x00-\x20]|\Z))[^\n]*+\n?+")
_VERSION_COMMENT = re.compile(rb"/\*M?!\d*+")
_PREPARE = re.compile(
    rb"[ \t\n\r]*+PREPARE[ \t\n\r]++(?:\w++|`[^`]++`)[ \t\n\r]++FROM[ \t\n\r]*+['\"]([^'\"\\]*+)",
    re.IGNORECASE,
)
# A digit may stand in front of each of these words: that of a version comment.
_PASSWORD = re.compile(rb"(?<![A-Za-z_$@.`'\"])password(?![\w$])", re.IGNORECASE)

# What may stand anywhere in a list of assignments: the server's own variables (`@@global` directly behind `=`
# is only read), who the session is (`SESSION AUTHORIZATION`), and session variables that keep writes out of
# the binary log or change how they are written there, so that a schema change under way would miss them.
_REACHES_FURTHER = re.compile(
    rb"(?<![A-Za-z_$@.`'\"])(?:global|persist|persist_only|authorization)(?![\w$])"
    rb"|(?<!=)(?<!= )@@[\x00-\x20]*+(?:global|persist|persist_only)(?![\w$])"
    rb"|(?<![A-Za-z_$])(?:sql_log_bin|binlog_format|binlog_row_image|binlog_row_value_options"
    rb"|skip_replication|wsrep_on)(?![\w$])",
    re.IGNORECASE,
)

# What may be assigned to: the name, and whether it has the @ of a user's variable.
_ASSIGNED = re.compile(
    rb"(?<![\w$\x80-\xff])(@{0,3}+)[`\"]?([\w$\x80-\xff]++)[ \t\n\r\v\f`\"]*+(?::?=|/\*|--|#)",
)

# A name of plain ASCII, for servers compare names of routines without regard to accents.
_GAP = rb"(?:[ \t\n\r\v\f]|/\*(?!M?!).*?\*/|(?:#|--(?=[\x00-\x20]))[^\n]*(?:\n|\Z))*+"
_NAME = rb"(?:[\w$]++(?![\x80-\xff])|`[^`\x80-\xff]++`|\"[^\"\x80-\xff]++\")"
_CALL = re.compile(
    _GAP + rb"CALL(?![\w$])" + _GAP + b"(?:(" + _NAME + b")" + _GAP + rb"\." + _GAP + b")?"
    b"(" + _NAME + b")" + _GAP + rb"(?:[(;]|\Z)",
    re.IGNORECASE | re.DOTALL,
)
_SERVERS_SCHEMAS: Final = frozenset({b"sys", b"mysql"})
"""Where the servers' own routines live."""
# Those of them that run a text or change definitions, for who made their schema the default one.
_SERVERS_ROUTINES: Final = frozenset(
    {
        b"execute_prepared_stmt",
        b"create_synonym_db",
        b"diagnostics",
        b"statement_performance_analyzer",
        b"ps_truncate_all_tables",
        b"addgeometrycolumn",
        b"dropgeometrycolumn",
    }
)

_KILL = re.compile(
    _GAP + rb"KILL(?![\w$])(?:" + _GAP + rb"(?:HARD|SOFT)(?![\w$]))?+"
    rb"(?:" + _GAP + rb"(CONNECTION|QUERY)(?![\w$]))?+" + _GAP + rb"(\d{1,20})" + _GAP + rb";*+" + _GAP,
    re.IGNORECASE | re.DOTALL,
)

_SIMPLE_NAME = re.compile(rb"`[A-Za-z_][\w$-]*+`")
_ANALYZED: Final = frozenset({"SELECT", "INSERT", "REPLACE", "UPDATE", "DELETE", "WITH", "FORMAT"})
_READING: Final = frozenset({b"SELECT", b"TABLE", b"VALUES"})
_WRITING: Final = frozenset({b"INSERT", b"REPLACE", b"UPDATE", b"DELETE"})

_FIRST_WORDS: Final = {
    *_PLAIN,
    *("ANALYZE", "BEGIN", "CALL", "CASE", "CREATE", "DECLARE", "DESC", "DESCRIBE", "DROP", "EXECUTE"),
    *("EXPLAIN", "FOR", "IF", "LOAD", "LOCK", "LOOP", "PREPARE", "REPEAT", "SET", "START", "UNLOCK"),
    *("WHILE", "WITH"),
}
_SECOND_WORDS: Final = {
    word
    for words in (
        "AGGREGATE ALGORITHM ALL ANALYZE BINARY COMPONENT CONNECTION DATABASE DATA DEFAULT DEFINER EVENT",
        "FULLTEXT FUNCTION GLOBAL GROUP_REPLICATION IGNORE IMMEDIATE INDEX INSTANCE LOCAL LOGS MASTER NOT",
        "NO_WRITE_TO_BINLOG ONLINE OR PACKAGE PASSWORD PERSIST PERSIST_ONLY PLUGIN PREPARE PRIVILEGES",
        "PROCEDURE QUERY REPLICA RESOURCE ROLE SCHEMA SEQUENCE SERVER SESSION SLAVE SOURCE SPATIAL SQL",
        "STATEMENT STATUS TABLE TABLES TABLESPACE TEMPORARY TRANSACTION TRIGGER UNDO UNIQUE USER VIEW WORK",
        "XML",
    )
    for word in words.split()
}

# Kinds that what comes later in the text could still change.
_DECIDED_BY_THE_END: Final = frozenset({Kind.EMPTY, Kind.TRANSACTION, Kind.SET})

_OPEN, _CLOSE = b"()"
_OPEN, _CLOSE = b"()"
_EXECUTED, _SKIPPED, _SKIPPED_NESTED = range(3)
_COMMENTS_MAX = 4
_WORDS_MAX = 5
_STEPS_MAX = 200
"""Words and comments looked at; beyond, a statement made of comments would keep a worker busy."""
_STEPS_OF_READING = 40
"""The same for each of the many readings of a statement with version comments."""
_LOOKED_THROUGH: Final = frozenset(
    {"SET", "WITH", "EXPLAIN", "DESCRIBE", "DESC", "ANALYZE", "CALL", "PREPARE"}
)
"""What decides about these is in the text behind the first two words: that is looked at once."""


def classify(data: bytes, start: int = 0) -> Kind:
    """Name the kind of the statement that begins at `start`."""
    match = _FIRST_WORD.match(data, start)
    if match:
        kind = _KIND_OF_WORD.get(match[1])
        if kind:
            return kind
    kind = _classify_slowly(data[start : start + HEAD_BYTES])
    if len(data) - start > HEAD_BYTES and kind in _DECIDED_BY_THE_END:
        return Kind.UNKNOWN
    return kind


def verb(text: bytes) -> str:
    """Return the first words of a statement, for people and as a label: `ALTER TABLE`, `DROP`; else `?`.

    Only words that begin statements of servers are ever returned, so that there are not endlessly many.
    """
    words, _, _ = _words(text[:HEAD_BYTES], ())
    if not words or words[0] not in _FIRST_WORDS:
        return "?"
    return " ".join(words[:2]) if len(words) > 1 and words[1] in _SECOND_WORDS else words[0]


def digest(text: bytes, limit: int = 256) -> str:
    """Return the beginning of a statement with its literals replaced and without comments, fit for logs.

    It ends with `…` where the statement goes on, or where it could not be told what is a literal.
    """
    head = text[: limit * 4]
    parts: list[bytes] = []
    before = 0
    for kind, start, end in pieces(head):
        if kind == UNSURE:
            parts.append(b" \xe2\x80\xa6")
            break
        if kind == COMMENT:
            continue
        if parts and start > before:
            parts.append(b" ")
        literal = kind in (STRING, NUMBER) or (kind == NAME and not _SIMPLE_NAME.fullmatch(head, start, end))
        parts.append(b"?" if literal else head[start:end])
        before = end
    else:
        if len(text) > len(head):
            parts.append(b" \xe2\x80\xa6")
    found = b"".join(parts).decode("utf-8", "replace").strip()
    return found if len(found) <= limit else found[: limit - 1] + "…"


def kill_of(text: bytes) -> tuple[int, bool] | None:
    """Return whom a KILL ends: a connection's number, and whether only its statement.

    None for everything else, also for the KILLs that name a user or a statement's number (MariaDB), or that
    compute the connection's number.
    """
    match = _KILL.fullmatch(text)
    return (int(match[2]), (match[1] or b"").upper() == b"QUERY") if match else None


def prepared_text(text: bytes) -> bytes | None:
    """Return the literal of `PREPARE name FROM 'text'`, up to a quote or backslash in it; else None."""
    match = _PREPARE.match(text)
    return match[1] if match else None


def is_load_local(text: bytes) -> bool:
    """Say whether a statement may ask the client for a file: LOAD DATA LOCAL or LOAD XML LOCAL."""
    words, _, _ = _words(text[:HEAD_BYTES], ())
    return words[:1] == ["LOAD"] and "LOCAL" in words


def _classify_slowly(text: bytes) -> Kind:
    """Take the strictest of all readings of the version comments in front of and between the first words."""
    words, comments, clean = _words(text, ())
    kind = _kind(words, text, clean)
    if not comments:
        return kind
    if comments > _COMMENTS_MAX:
        return Kind.UNKNOWN
    seen = {_deciding(words, clean)}
    read: tuple[int, ...] | None = None
    # Skipping one comment can uncover others, so every combination is as long as the most there may be.
    for choices in itertools.product((_EXECUTED, _SKIPPED, _SKIPPED_NESTED), repeat=_COMMENTS_MAX):
        if read is not None and choices[: len(read)] == read:
            # The same reading: there are not that many comments.
            continue
        words, comments, clean = _words(text, choices, _STEPS_OF_READING)
        if comments > _COMMENTS_MAX:
            return Kind.UNKNOWN
        read = choices[:comments]
        deciding = _deciding(words, clean)
        if deciding in seen:
            continue
        seen.add(deciding)
        other = _kind(words, text, clean)
        if _STRICTNESS[other] > _STRICTNESS[kind]:
            kind = other
    return kind


def _deciding(words: Sequence[str], clean: bool) -> tuple[object, ...]:
    """Return what `_kind` decides by, besides the text."""
    return tuple(words[:2]) if words and words[0] in _LOOKED_THROUGH else (*words, clean)


def _words(text: bytes, choices: Sequence[int], steps: int = _STEPS_MAX) -> tuple[list[str], int, bool]:
    """Return the first words, how many version comments were met, and whether the text ended after them."""
    at, comments, words = 0, 0, list[str]()
    for _ in range(steps):
        if len(words) == _WORDS_MAX:
            return words, comments, False
        at = _next_token(text, at, words)
        if at >= len(text):
            return words, comments, True
        if version := _VERSION_COMMENT.match(text, at):
            choice = choices[comments] if comments < len(choices) else _EXECUTED
            comments += 1
            at = version.end() if choice == _EXECUTED else _end_of_comment(text, at, choice)
        elif text.startswith(b"/*", at):
            at = _end_of_comment(text, at, _SKIPPED)
        elif text.startswith(b"*/", at) and comments:
            at += 2
        elif line := _LINE_COMMENT.match(text, at):
            at = line.end()
        elif word := _WORD.match(text, at):
            words.append(word[0].decode("ascii").upper())
            at = word.end()
        else:
            return words, comments, _is_end(text, at)
        if at < 0:
            # A comment without an end.
            break
    return [], comments, False


def _is_end(text: bytes, at: int) -> bool:
    """Say whether a statement ends here.

    A semicolon in front of more is not an end: in MariaDB's sql_mode ORACLE, `BEGIN WORK; …` is a block.
    """
    return text[at : at + 1] == b";" and not text[at + 1 :].strip()


def _next_token(text: bytes, at: int, words: list[str]) -> int:
    match = (_SPACE if words else _SPACE_OR_BRACKET).match(text, at)
    return match.end() if match else at


def _end_of_comment(text: bytes, at: int, choice: int) -> int:
    """Return where a comment that begins at `at` is over; -1 when it is not."""
    end = text.find(b"*/", at + 2)
    if choice == _SKIPPED_NESTED:
        inner = text.find(b"/*", at + 2)
        if 0 <= inner < end:
            end = text.find(b"*/", end + 2)
    return end + 2 if end >= 0 else -1


def _kind(words: Sequence[str], text: bytes, clean: bool) -> Kind:
    """Name the kind of a statement by its words; `clean` says that nothing follows them."""
    if not words:
        return Kind.EMPTY if clean else Kind.UNKNOWN
    first, rest = words[0], list(words[1:])
    second = rest[0] if rest else ""
    plain = _PLAIN.get(first)
    if plain:
        return plain
    match first:
        case "WITH":
            return _kind_of_with(text)
        case "EXPLAIN" | "DESCRIBE" | "DESC":
            # With ANALYZE the statement is carried out.
            return _kind_of_with(text) if second == "ANALYZE" else Kind.READ
        case "ANALYZE":
            return _kind_of_with(text) if second in _ANALYZED else Kind.ADMIN
        case "CREATE":
            if rest[:2] == ["OR", "REPLACE"]:
                rest = rest[2:]
            return Kind.TEMPORARY if _is_temporary(rest) else Kind.DDL
        case "DROP":
            if second == "PREPARE":
                return Kind.PREPARED
            return Kind.TEMPORARY if _is_temporary(rest) else Kind.DDL
        case "CALL":
            return _kind_of_call(text)
        case "SET":
            return _kind_of_set(second, text)
        case "START":
            return Kind.TRANSACTION if second == "TRANSACTION" else Kind.ADMIN
        case "BEGIN":
            return Kind.TRANSACTION if clean and rest in ([], ["WORK"]) else Kind.UNKNOWN
        case "LOAD":
            return Kind.WRITE if second in ("DATA", "XML") else Kind.ADMIN
        case "LOCK" | "UNLOCK":
            return Kind.SESSION if second in ("TABLE", "TABLES") else Kind.ADMIN
        case "PREPARE":
            return _kind_of_prepare(text)
        case "EXECUTE":
            return Kind.DYNAMIC if second == "IMMEDIATE" else Kind.PREPARED
        case _:
            return Kind.UNKNOWN


def _kind_of_with(text: bytes) -> Kind:
    """Tell `WITH … SELECT` from `WITH … DELETE`; the first such word outside of brackets decides."""
    if b"/*!" in text or b"/*M!" in text:
        return Kind.WRITE
    depth = 0
    for kind, start, end in pieces(text):
        if kind == UNSURE:
            break
        if kind == OTHER:
            depth += (text[start] == _OPEN) - (text[start] == _CLOSE)
        elif kind == WORD and not depth and end - start <= len("REPLACE"):
            word = text[start:end].upper()
            if word in _READING:
                return Kind.READ
            if word in _WRITING:
                break
    return Kind.WRITE


def _is_temporary(rest: Sequence[str]) -> bool:
    return rest[:1] == ["TEMPORARY"] and rest[1:2] in (["TABLE"], ["TABLES"])


def _kind_of_set(second: str, text: bytes) -> Kind:
    """Tell the SET of a session's variables from those that reach further.

    Every account may change its own password, and MariaDB takes that anywhere in the list.
    """
    if second in ("GLOBAL", "PERSIST", "PERSIST_ONLY", "PASSWORD", "ROLE", "DEFAULT", "RESOURCE"):
        return Kind.ADMIN
    if second == "STATEMENT":
        return Kind.DYNAMIC
    if _PASSWORD.search(text) or _REACHES_FURTHER.search(text):
        return Kind.ADMIN
    return Kind.SET if text.isascii() or _names_are_ascii(text) else Kind.UNKNOWN


def _names_are_ascii(text: bytes) -> bool:
    """Say whether all system variables that are set have names of plain ASCII.

    MySQL compares their names without regard to accents, so that `sql_log_bín` is one of those we know.
    """
    return all(ats == b"@" or name.isascii() for ats, name in _ASSIGNED.findall(text))


def _kind_of_call(text: bytes) -> Kind:
    """Tell the routines of the application, whose text was deployed, from those that servers bring along."""
    call = _CALL.match(text)
    if not call:
        return Kind.UNKNOWN
    schema, name = ((part or b"").strip(b'`"').lower() for part in call.groups())
    return Kind.ADMIN if schema in _SERVERS_SCHEMAS or name in _SERVERS_ROUTINES else Kind.CALL


def _kind_of_prepare(text: bytes) -> Kind:
    """Classify the text of `PREPARE name FROM 'text'`; anything but a plain literal cannot be known.

    The literal's first word must end inside it: MariaDB glues adjacent literals together.
    """
    literal = _PREPARE.match(text)
    inner = _FIRST_WORD.match(literal[1]) if literal else None
    if not literal or not inner or inner.end() == len(literal[1]):
        return Kind.DYNAMIC
    kind = classify(literal[1])
    call = _CALL.match(literal[1])
    if call and not call[0].endswith(b"("):
        # The routine's name may go on behind the first quote or backslash.
        return Kind.DYNAMIC
    return Kind.PREPARED if kind in (Kind.READ, Kind.WRITE, Kind.CALL) else max(kind, Kind.DYNAMIC, key=_rank)


def _rank(kind: Kind) -> int:
    return _STRICTNESS[kind]
