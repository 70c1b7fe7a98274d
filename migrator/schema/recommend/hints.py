"""I find the indexes that statements name: they fail, or take another way, once such an index is gone."""

from __future__ import annotations

import re
from collections.abc import Iterable

_CLAUSE = re.compile(
    r"\b(?:use|force|ignore)\s+(?:index|key)\s*(?:for\s+\w+(?:\s+by)?\s*)?\(([^)]*)\)", re.IGNORECASE
)
_COMMENT = re.compile(r"/\*\+(.*?)\*/", re.DOTALL)
_HINT = re.compile(
    r"\b(?:NO_)?(?:INDEX|INDEX_MERGE|JOIN_INDEX|GROUP_INDEX|ORDER_INDEX|SKIP_SCAN|MRR|NO_ICP|"
    r"NO_RANGE_OPTIMIZATION)\s*\(([^)]*)\)",
    re.IGNORECASE,
)
_NAME = re.compile(r"`((?:[^`]|``)+)`|([^\s,`()]+)")


def hinted_indexes(texts: Iterable[str]) -> frozenset[str]:
    """Return, in lower case, every name that stands where a hint names indexes."""
    found: set[str] = set()
    for text in texts:
        lists = _CLAUSE.findall(text)
        for comment in _COMMENT.findall(text):
            lists += _HINT.findall(comment)
        for names in lists:
            found |= {(quoted.replace("``", "`") or bare).lower() for quoted, bare in _NAME.findall(names)}
    return frozenset(found)
