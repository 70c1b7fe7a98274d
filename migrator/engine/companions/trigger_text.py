"""I put a trigger's CREATE text onto another table, under another name, and change nothing else in it."""

from __future__ import annotations

import re

from migrator.errors import Refused
from router.database import quote_name

_GAP = rb"(?:\s|/\*.*?\*/|(?:--\s|#)[^\n]*\n)+"
_NAME = rb'(?:`(?:[^`]|``)*`|"(?:[^"]|"")*"|[^\s`"./*]+)'
_QUALIFIED = _NAME + rb"(?:\s*\.\s*" + _NAME + rb")?"
_EVENT = rb"(?:INSERT|UPDATE|DELETE)"
_HEAD = re.compile(
    rb"CREATE\b(?P<before>.*?\bTRIGGER)" + _GAP
    + rb"(?:IF" + _GAP + rb"NOT" + _GAP + rb"EXISTS" + _GAP + rb")?"
    + rb"(?P<name>" + _QUALIFIED + rb")" + _GAP
    + rb"(?P<when>(?:BEFORE|AFTER)" + _GAP + _EVENT + rb"(?:" + _GAP + rb"OR" + _GAP + _EVENT + rb")*)"
    + _GAP + rb"ON" + _GAP + rb"(?P<table>" + _QUALIFIED + rb")"
    + _GAP + rb"(?P<body>FOR" + _GAP + rb"EACH" + _GAP + rb"ROW\b.*)",
    re.IGNORECASE | re.DOTALL,
)  # fmt: skip


def moved(text: bytes, charset: str, schema: str, name: str, table: str) -> bytes:
    """Return the statement that makes the same trigger under `name` on `table`.

    `text` is in the character set its author used, and so is what is returned. Raises Refused for a text
    whose head is not understood.
    """
    head = _HEAD.fullmatch(text)
    if head is None:
        raise Refused(
            f"the definition of trigger {name!r} is not understood",
            hint="drop the trigger, make the change, and create the trigger again",
        )
    there = _encoded(schema, charset) + b"."
    return b" ".join(
        (
            b"CREATE" + head["before"],
            there + _encoded(name, charset),
            head["when"] + b" ON",
            there + _encoded(table, charset),
            head["body"],
        )
    )


def _encoded(name: str, charset: str) -> bytes:
    if not name.isascii() and not charset.startswith("utf8"):
        raise Refused(
            f"a trigger was made under character set {charset}, in which {name!r} cannot be written safely",
            hint="create the trigger again under SET NAMES utf8mb4",
        )
    return quote_name(name).encode()
