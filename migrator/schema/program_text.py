"""I take the head of a stored program's CREATE text apart and change it; the body stays as it was written."""

from __future__ import annotations

import re
from dataclasses import dataclass

from migrator.schema.errors import NotCanonical
from router.database import quote_name

# Possessive: what is one gap must not be tried as many, in a time that doubles with each comment.
_GAP = rb"(?>\s|/\*.*?\*/|(?:--\s|#)[^\n]*\n)++"
_NAME = rb'(?:`(?:[^`]|``)*`|"(?:[^"]|"")*"|[^\s`"./*]+)'
_QUOTED = rb'`(?:[^`]|``)*`|"(?:[^"]|"")*"'
_QUALIFIED = _NAME + rb"(?:\s*\.\s*" + _NAME + rb")?"
_EVENT = rb"(?:INSERT|UPDATE|DELETE)"
_ROW = rb"FOR" + _GAP + rb"EACH" + _GAP + rb"ROW"
# Servers keep all that follows the word TRIGGER as it was typed.
TRIGGER_HEAD = re.compile(
    rb"CREATE\b(?P<before>.*?\bTRIGGER)" + _GAP
    + rb"(?:IF" + _GAP + rb"NOT" + _GAP + rb"EXISTS" + _GAP + rb")?"
    + rb"(?P<name>" + _QUALIFIED + rb")" + _GAP
    + rb"(?P<when>(?:BEFORE|AFTER)" + _GAP + _EVENT + rb"(?:" + _GAP + rb"OR" + _GAP + _EVENT + rb")*)"
    + _GAP + rb"ON" + _GAP + rb"(?P<table>" + _QUALIFIED + rb")"
    + _GAP + rb"(?P<body>(?P<row>" + _ROW + rb")\b(?P<action>.*))",
    re.IGNORECASE | re.DOTALL,
)  # fmt: skip
# Everything else has a head of the server's own.
_PROGRAM_HEAD = re.compile(
    rb"CREATE (?:DEFINER=(?P<definer>" + _NAME + rb"(?:@" + _NAME + rb")?) )?"
    rb"(?P<kind>(?:AGGREGATE )?FUNCTION|PROCEDURE|EVENT|PACKAGE BODY|PACKAGE) (?P<name>" + _NAME + rb")"
    rb"(?P<rest>.*)",
    re.DOTALL,
)
_STATUS = re.compile(
    rb"(?P<schedule>.*?) (?P<completion>ON COMPLETION (?:NOT )?PRESERVE) "
    rb"(?P<status>ENABLE|DISABLE(?: ON \w+)?)(?P<rest>.*)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Head:
    """A CREATE text in two: what comes before the name and body, and the rest; `definer` as it is quoted."""

    definer: str
    kind: str
    rest: bytes


def split_head(text: bytes, name: str) -> Head:
    """Take the text of anything but a trigger apart; raises NotCanonical when its head is not understood."""
    found = _PROGRAM_HEAD.fullmatch(text)
    if found is None:
        raise NotCanonical(f"the definition of {name!r} begins in a way that is not known")
    return Head(_requoted(found["definer"] or b""), found["kind"].decode(), found["rest"])


def trigger_moment(text: str) -> str:
    """Return when a trigger fires, such as BEFORE INSERT; raises NotCanonical for a head not understood."""
    when = _trigger(text.encode("utf-8", "surrogateescape"))["when"]
    return " ".join(when.decode("utf-8", "surrogateescape").upper().split())


def trigger_before(text: bytes, other: str) -> bytes:
    """Return a trigger's CREATE text that puts it right before another one of the same moment."""
    found = _trigger(text)
    place = f" PRECEDES {quote_name(other)} ".encode()
    return text[: found.start("action")] + place + found["action"].lstrip()


def trigger_on(text: str, table: str) -> str:
    """Return a trigger's CREATE text as servers have it once its table is renamed to this."""
    found = _trigger(text.encode("utf-8", "surrogateescape"))
    head, body = (
        part.decode("utf-8", "surrogateescape") for part in (found.string[: found.end("when")], found["body"])
    )
    return f"{head} ON {quote_name(table)} {body}"


def with_definer(text: str, definer: str) -> str:
    """Return a CREATE text without a definer with this one, which is quoted already; '' changes nothing."""
    return text.replace("CREATE ", f"CREATE DEFINER={definer} ", 1) if definer else text


def view_of(text: str, definer: str) -> str:
    """Return a CREATE VIEW without a definer with this one, which is quoted already; '' changes nothing."""
    return text.replace(" SQL SECURITY ", f" DEFINER={definer} SQL SECURITY ", 1) if definer else text


def or_replace(text: bytes) -> bytes:
    """Return the text as MariaDB takes it when there is such a program already."""
    return text.replace(b"CREATE ", b"CREATE OR REPLACE ", 1)


def renamed(text: bytes, name: str, new: str) -> bytes:
    """Return the text of anything but a trigger under another name."""
    found = _PROGRAM_HEAD.fullmatch(text)
    if found is None:
        raise NotCanonical(f"the definition of {name!r} begins in a way that is not known")
    return text[: found.start("name")] + quote_name(new).encode() + found["rest"]


def event_status(text: bytes) -> str:
    """Return whether an event runs, in the server's words: ENABLE, DISABLE, DISABLE ON …."""
    found = _STATUS.fullmatch(text)
    return found["status"].decode() if found else "ENABLE"


def with_status(text: bytes, status: str) -> bytes:
    """Return an event's text with another status."""
    found = _STATUS.fullmatch(text)
    return text if found is None else text[: found.start("status")] + status.encode() + found["rest"]


def event_schedule(text: bytes) -> bytes:
    """Return what an event's text says of when it runs."""
    found = _STATUS.fullmatch(text)
    schedule = found["schedule"] if found else text
    return schedule[schedule.find(b" ON SCHEDULE ") :]


def _trigger(text: bytes) -> re.Match[bytes]:
    found = TRIGGER_HEAD.fullmatch(text)
    if found is None:
        raise NotCanonical("the head of a trigger's definition is not understood: write it without comments")
    return found


def _requoted(definer: bytes) -> str:
    """Return a definer in backticks, whatever quotes the author's sql_mode makes the server use."""
    names = re.findall(_QUOTED, definer)
    return "@".join(quote_name(_unquoted(name.decode())) for name in names)


def _unquoted(name: str) -> str:
    quote = name[:1]
    return name[1:-1].replace(quote * 2, quote) if quote in ("`", '"') else name
