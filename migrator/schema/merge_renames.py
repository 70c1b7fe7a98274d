"""I say where a renaming on one side does not go together with what the other side did.

A renaming goes with everything that leaves the renamed alone. Whatever the other side did with the old name
could not be done after the renaming, so it is a conflict, also where a way to do both could be imagined.
"""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.conflicts import Conflict, other_side
from migrator.schema.describe import describe, element_name
from migrator.schema.model import Element, Schema, Table
from migrator.schema.renamed import columns_of, moves
from migrator.schema.renames import Renames
from migrator.schema.render import foreign_key_text


def rename_conflicts(
    base: Schema,
    branch: Schema,
    production: Schema,
    renames: Renames,
    their_renames: Renames,
    against: int | None = None,
) -> Iterator[Conflict]:
    """Return the conflicts between renames of one side and what the other side did with those names."""
    words = ("the branch", other_side(against))
    yield from _of_one_side(base, production, renames, their_renames, words, against)
    for conflict in _of_one_side(base, branch, their_renames, renames, words[::-1], against):
        yield conflict.mirrored()


def _of_one_side(
    base: Schema,
    other: Schema,
    renames: Renames,
    others: Renames,
    words: tuple[str, ...],
    against: int | None,
) -> Iterator[Conflict]:
    for old, new in renames.tables.items():
        if others.tables.get(old) != new:
            yield from _table(base, other, old, new, others, words, against)
    for table, old, new in moves(renames):
        after = other.tables.get(others.tables.get(table, table))
        done = {was.lower(): becomes for was, becomes in others.columns.get(table, {}).items()}
        if after is None or done.get(old.lower(), "").lower() == new.lower():
            continue  # a table that went is told of as such; what both renamed alike is no change
        if reason := _column(base.tables[table], after, old, new, done.get(old.lower()), words):
            ours, theirs = f"{old} renamed to {new}", describe(after, (Element.COLUMN, old.lower()))
            name = f"column {old}"
            yield Conflict(table, name, ours, theirs, reason, against, Element.COLUMN, (old, new))
        elif key := _new_reference(base, other, table, old):
            ours = f"{old} renamed to {new}"
            reason = (
                f"{words[0]} renamed column {old!r} of table {table!r} to {new!r}, and {words[1]} has added "
                "a foreign key that points to it since"
            )
            yield Conflict(table, f"column {old}", ours, key, reason, against, Element.COLUMN, (old, new))


def _new_reference(base: Schema, other: Schema, table: str, column: str | None) -> str | None:
    """Return a foreign key that the other side added and that points to a table, and to a column of it."""
    for name, after in other.tables.items():
        before = base.tables.get(name)
        known = {key.meaning for key in before.foreign_keys} if before else set()
        for key in after.foreign_keys:
            if key.ref_table != table or key.ref_schema is not None or key.meaning in known:
                continue
            if column is None or column.lower() in key.meaning.ref_columns:
                return f"{name}: {foreign_key_text(key)}"
    return None


def _table(
    base: Schema,
    other: Schema,
    old: str,
    new: str,
    others: Renames,
    words: tuple[str, ...],
    against: int | None,
) -> Iterator[Conflict]:
    us, them = words
    after = other.tables.get(old)
    reason = ""
    if old in others.tables:
        reason = f"{us} renamed this table to {new!r}, and {them} to {others.tables[old]!r}"
    elif after is None:
        reason = f"{us} renamed this table to {new!r}, and {them} dropped it since"
    elif new in other.tables or new in other.opaque:
        reason = f"{us} renamed this table to {new!r}, and {them} has created a table of that name since"
    elif not after.same_as(base.tables[old]):
        reason = f"{us} renamed this table to {new!r}, and {them} changed it since"
    elif key := _new_reference(base, other, old, None):
        reason = f"{us} renamed this table to {new!r}, and {them} has added a foreign key to it since: {key}"
    if reason:
        yield Conflict(old, "table", f"renamed to {new}", None, reason, against)


def _column(
    before: Table, after: Table, old: str, new: str, their_new: str | None, words: tuple[str, ...]
) -> str:
    """Return why a column cannot be renamed where the other side's table is as it is; '' when it can."""
    us, them = words
    said = f"{us} renamed column {old!r} to {new!r}"
    if their_new is not None:
        return f"{said}, and {them} to {their_new!r}"
    if after.column(old) is None:
        return f"{said}, and {them} dropped or renamed it since"
    if after.column(new) is not None and before.column(new) is None:
        return f"{said}, and {them} has added a column of that name since"
    was, becomes = before.elements(), after.elements()
    for key in {**was, **becomes}:
        if was.get(key) == becomes.get(key):
            continue
        if old.lower() in columns_of(after, key) | columns_of(before, key):
            verb = "added" if key not in was else "dropped" if key not in becomes else "changed"
            return f"{said}, and {them} {verb} {element_name(key)} since, which is about that column"
    return ""
