"""I recommend a wider type for an AUTO_INCREMENT column that comes to the end of its numbers."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.recommend.evidence import Evidence
from migrator.schema.recommend.needed import keys_to
from migrator.schema.recommend.recommendation import Kind, Recommendation
from migrator.schema.recommend.sequences import Sequence, full_sequences, retyped, wider


def recommend(evidence: Evidence) -> Iterator[Recommendation]:
    """Yield one for each sequence that no foreign key follows; those have a rule of their own."""
    for sequence in full_sequences(evidence.schema):
        kind = wider(sequence.column.type)
        followed = any(keys_to(evidence.schema, sequence.table))
        follows = any(
            sequence.column.name in key.columns for key in evidence.schema.tables[sequence.table].foreign_keys
        )
        if kind is None or followed or follows:
            continue
        yield Recommendation(
            Kind.SEQUENCE_OVERFLOW,
            sequence.table,
            sequence.column.name,
            f"Make {sequence.table}.{sequence.column.name} a {kind}: {sequence.share:.0%} of its numbers "
            "are used",
            retyped(evidence.schema, [(sequence.table, sequence.column.key)], kind)[0],
            f"{used(sequence)}. When they are used up every INSERT fails. Columns of other tables that hold "
            "these numbers must be wide enough, too, and so must the variables of programs.",
        )


def used(sequence: Sequence) -> str:
    """Say how far a sequence is, for people."""
    return (
        f"the last number that {sequence.table}.{sequence.column.name} has given is {sequence.last:,}, and "
        f"its type {sequence.column.type} ends at {sequence.largest:,} ({sequence.share:.1%} used)"
    )
