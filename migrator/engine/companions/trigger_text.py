"""I put a trigger's CREATE text onto another table, under another name, and change nothing else in it."""

from __future__ import annotations

from migrator.errors import Refused
from migrator.schema.program_text import TRIGGER_HEAD
from router.database import quote_name


def moved(text: bytes, charset: str, schema: str, name: str, table: str) -> bytes:
    """Return the statement that makes the same trigger under `name` on `table`.

    `text` is in the character set its author used, and so is what is returned. Raises Refused for a text
    whose head is not understood.
    """
    head = TRIGGER_HEAD.fullmatch(text)
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
