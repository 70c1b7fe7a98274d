"""I turn SQL, differences and notes into HTML that is safe to show: everything escaped, colours as classes.

The classes are `add`, `del` and `same` for the lines of a difference, and within SQL `kw` for words of the
language, `name` for quoted names, `str` for texts, `num` for numbers and `com` for comments.
"""

from __future__ import annotations

import re
from html import escape
from typing import Final

LANGUAGE: Final = """
ADD AFTER ALGORITHM ALTER ALWAYS AND AS ASC AUTO_INCREMENT BEGIN BIGINT BINARY BIT BLOB BOOLEAN BY CASCADE
CASE CHANGE CHAR CHARACTER CHARSET CHECK COLLATE COLUMN COMMENT CONSTRAINT CREATE CURRENT_TIMESTAMP DATE
DATETIME DECIMAL DEFAULT DELETE DESC DETERMINISTIC DO DOUBLE DROP EACH ELSE END ENGINE ENUM EVENT EXISTS
FIRST FLOAT FOREIGN FROM FULLTEXT FUNCTION GENERATED IF IN INDEX INSERT INT INVISIBLE INVOKER IS JSON KEY
LONGBLOB LONGTEXT MEDIUMBLOB MEDIUMINT MEDIUMTEXT MODIFY NOT NULL ON OR ORDER PARTITION PRIMARY PROCEDURE
RANGE READS REFERENCES RENAME RESTRICT RETURN RETURNS ROW SECURITY SELECT SET SMALLINT SPATIAL SQL STORED
TABLE TEXT THEN TIME TIMESTAMP TINYBLOB TINYINT TINYTEXT TO TRIGGER UNIQUE UNSIGNED UPDATE VALUES VARBINARY
VARCHAR VIEW VIRTUAL VISIBLE WHEN WHERE WITH YEAR ZEROFILL
"""
WORDS: Final = frozenset(LANGUAGE.split())

TOKENS: Final = re.compile(
    # What does not end, goes on to the end: to look for it again from each quote behind takes for ever.
    r"(?P<com>/\*.*?(?:\*/|\Z)|--\s.*|\#.*)"
    r"|(?P<name>`(?:[^`]|``)*+(?:`|\Z))"
    r"|(?P<str>'(?:[^'\\]|''|\\.?)*+(?:'|\Z)|\"(?:[^\"\\]|\"\"|\\.?)*+(?:\"|\Z))"
    r"|(?P<word>[A-Za-z_][A-Za-z0-9_$]*)"
    r"|(?P<num>\d+(?:\.\d+)?)",
    re.DOTALL,
)

LINES: Final = {"+": "add", "-": "del"}


def of_sql(text: str) -> str:
    """Return SQL as HTML."""
    shown: list[str] = []
    at = 0
    for token in TOKENS.finditer(text):
        shown.append(escape(text[at : token.start()]))
        kind = token.lastgroup or ""
        if kind == "word":
            kind = "kw" if token[0].upper() in WORDS else ""
        shown.append(f'<span class="{kind}">{escape(token[0])}</span>' if kind else escape(token[0]))
        at = token.end()
    shown.append(escape(text[at:]))
    return "".join(shown)


def of_diff(text: str) -> str:
    """Return a difference of `+`, `-` and unmarked lines as HTML, one element a line.

    Only what ended lines for who compared them ends one here: nothing within a line can pass for another.
    """
    lines = (
        f'<div class="{LINES.get(line[:1], "same")}">{escape(line[:1])}{of_sql(line[1:])}</div>'
        for line in (text.split("\n") if text else ())
    )
    return f'<div class="diff">{"".join(lines)}</div>'


def of_notes(text: str) -> str:
    """Return what people have written as HTML: paragraphs, line breaks, and `code`."""
    paragraphs = re.split(r"\n\s*\n", text.replace("\r\n", "\n").strip())
    shown = (
        re.sub(r"`([^`\n]+)`", r"<code>\1</code>", escape(paragraph)).replace("\n", "<br>")
        for paragraph in paragraphs
        if paragraph
    )
    return "".join(f"<p>{paragraph}</p>" for paragraph in shown)
