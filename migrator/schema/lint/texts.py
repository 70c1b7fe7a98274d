"""I read what the texts of views, triggers and routines name, without understanding them."""

from __future__ import annotations

import re
from functools import lru_cache

_TOKEN = re.compile(
    r"'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.|\"\")*\"|/\*.*?\*/|--[ \t][^\n]*|#[^\n]*"
    r"|(?P<quoted>`(?:[^`]|``)*`)|(?P<word>[\w$\u0080-\uffff]+)|(?P<dot>\.)",
    re.DOTALL,
)


@lru_cache(maxsize=4096)
def names_in(text: str) -> frozenset[str]:
    """Return all names and words of a text, in lower case, without those in strings and comments."""
    return frozenset(_words(text)) - {"."}


@lru_cache(maxsize=4096)
def qualified_names_in(text: str) -> frozenset[tuple[str, str]]:
    """Return the pairs of names with a dot between them, in lower case, such as `NEW.c` and `t.c`."""
    words = _words(text)
    pairs = zip(words, words[1:], words[2:], strict=False)
    return frozenset((left, right) for left, dot, right in pairs if dot == "." and "." not in (left, right))


def _words(text: str) -> list[str]:
    found = []
    for match in _TOKEN.finditer(text):
        if match["quoted"]:
            found.append(match["quoted"][1:-1].replace("``", "`").lower())
        elif match["word"] or match["dot"]:
            found.append(match[0].lower())
    return found
