"""I recommend wider types where foreign keys hold the numbers of a sequence: all of them in one change."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.model import Column, Schema
from migrator.schema.recommend.evidence import Evidence
from migrator.schema.recommend.recommendation import Kind, Recommendation
from migrator.schema.recommend.sequence_overflow import used
from migrator.schema.recommend.sequences import (
    FULL,
    Sequence,
    full_sequences,
    largest,
    retyped,
    sequence_of,
    wider,
)

Place = tuple[str, str]
"""A column: its table, and its key."""


def recommend(evidence: Evidence) -> Iterator[Recommendation]:
    """Yield one for each full sequence that keys follow, and each column too narrow for what it names."""
    yield from _declared(evidence.schema)
    yield from _by_name(evidence.schema)


def _declared(schema: Schema) -> Iterator[Recommendation]:
    links = _links(schema)
    done: set[Place] = set()
    for sequence in full_sequences(schema):
        together = _reachable(links, (sequence.table, sequence.column.key))
        kind = wider(sequence.column.type)
        if kind is None or len(together) == 1 or not done.isdisjoint(together):
            continue
        done |= together
        rest = sorted(together - {(sequence.table, sequence.column.key)})
        others = ", ".join(f"{table}.{column}" for table, column in rest)
        first, *later = retyped(schema, together, kind)
        yield Recommendation(
            Kind.SEQUENCE_OVERFLOW_FOREIGN_KEY,
            sequence.table,
            sequence.column.name,
            f"Make {sequence.table}.{sequence.column.name} and what refers to it a {kind}: "
            f"{sequence.share:.0%} of its numbers are used",
            first,
            f"{used(sequence)}. Foreign keys bind the same type to {others}, so they can only change "
            f"together.{_later(later)}",
        )


def _later(steps: list[tuple[str, ...]]) -> str:
    """Say what is to be done after the first step, when that is not all."""
    if not steps:
        return ""
    told = ". Then, by one more: ".join("; ".join(step) for step in steps)
    return (
        " That takes several deploy requests, because each table is deployed by itself: this one takes the "
        f"foreign keys away, and programs must do without their checks meanwhile. By the next one: {told}."
    )


def _by_name(schema: Schema) -> Iterator[Recommendation]:
    declared = set(_links(schema))
    sequences = {table.name.lower(): sequence_of(table) for table in schema.tables.values()}
    for table in schema.tables.values():
        for column in table.columns:
            sequence = _followed(sequences, column)
            end = largest(column.type)
            if (
                sequence is None
                or end is None
                or (table.name, column.key) in declared
                or column.auto_increment
            ):
                continue
            if end >= sequence.largest or sequence.last / end < FULL:
                continue
            yield Recommendation(
                Kind.SEQUENCE_OVERFLOW_FOREIGN_KEY,
                table.name,
                column.name,
                f"Make {table.name}.{column.name} a {sequence.column.type}, like "
                f"{sequence.table}.{sequence.column.name}",
                retyped(schema, [(table.name, column.key)], sequence.column.type)[0],
                f"by its name it holds numbers of {sequence.table}.{sequence.column.name}, whose last one is "
                f"{sequence.last:,}; its own type {column.type} ends at {end:,} "
                f"({sequence.last / end:.1%} used).",
            )


def _followed(sequences: dict[str, Sequence | None], column: Column) -> Sequence | None:
    """Return the sequence that a column named `order_id` follows: that of `order` or of `orders`."""
    stem = column.key.removesuffix("_id")
    if stem == column.key or not stem:
        return None
    names = (stem, f"{stem}s", f"{stem}es", f"{stem[:-1]}ies" if stem.endswith("y") else stem)
    return next((found for name in names if (found := sequences.get(name))), None)


def _links(schema: Schema) -> dict[Place, set[Place]]:
    """Return which columns foreign keys bind to which others, both ways."""
    links: dict[Place, set[Place]] = {}
    for table in schema.tables.values():
        for key in table.foreign_keys:
            if key.ref_schema is not None or key.ref_table not in schema.tables:
                continue
            for own, other in zip(key.columns, key.ref_columns, strict=True):
                here, there = (table.name, own.lower()), (key.ref_table, other.lower())
                links.setdefault(here, set()).add(there)
                links.setdefault(there, set()).add(here)
    return links


def _reachable(links: dict[Place, set[Place]], start: Place) -> set[Place]:
    found, todo = {start}, [start]
    while todo:
        for place in links.get(todo.pop(), set()) - found:
            found.add(place)
            todo.append(place)
    return found
