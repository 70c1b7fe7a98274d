"""I look for spatial indexes that MySQL does not use: those of columns without an SRID."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.lint.columns import index_element, index_name
from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject
from migrator.schema.model import IndexKind
from router.model import Flavor


def check(subject: Subject) -> Iterator[Finding]:
    for table in subject.tables:
        if table.flavor is not Flavor.MYSQL:
            continue
        for index in table.indexes:
            column = table.column(index.columns[0]) if index.columns else None
            if index.kind is IndexKind.SPATIAL and column is not None and column.srid is None:
                yield RULE.finding(
                    table.name,
                    f"table {table.name!r}: {index_name(index)} is of no use, because column {column.name!r} "
                    "has no SRID",
                    index_element(index),
                    index_name=index.name,
                    column_name=column.name,
                )


RULE = Rule(
    code="SPATIAL_NO_SRID",
    levels=(Level.WARNING,),
    advice="Give the column an SRID, for example SRID 4326.",
    check=check,
)
