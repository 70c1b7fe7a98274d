"""I look for indexes whose entries are longer than InnoDB takes."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.lint.columns import index_bytes, index_element, index_name
from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject
from migrator.schema.model import IndexKind
from router.model import Flavor

_BYTES_MAX = {"COMPACT": 767, "REDUNDANT": 767}


def check(subject: Subject) -> Iterator[Finding]:
    for table in subject.tables:
        limit = _BYTES_MAX.get(table.option("ROW_FORMAT") or "", 3072)
        for index in sorted(table.indexes, key=lambda index: index.key):
            if index.kind in (IndexKind.FULLTEXT, IndexKind.SPATIAL):
                continue
            hashed = (
                index.kind is IndexKind.UNIQUE and index.using == "HASH" and table.flavor is Flavor.MARIADB
            )
            if hashed:
                yield RULE.finding(
                    table.name,
                    f"table {table.name!r}: {index_name(index)} is longer than {limit} bytes, so that "
                    "MariaDB keeps hashes in it: no range and no order can be read from it",
                    index_element(index),
                    level=Level.WARNING,
                    index_name=index.name,
                )
            # One part may have so many bytes, and all together no more.
            elif index_bytes(table, index) - 3 * len(index.parts) > limit:
                yield RULE.finding(
                    table.name,
                    f"table {table.name!r}: an entry of {index_name(index)} can take "
                    f"{index_bytes(table, index):,} bytes, more than {limit:,} (1071)",
                    index_element(index),
                    index_name=index.name,
                )


RULE = Rule(
    code="INDEX_TOO_LONG",
    levels=(Level.ERROR, Level.WARNING),
    advice="Index a prefix, shorten the column, or index a hash of it.",
    check=check,
)
