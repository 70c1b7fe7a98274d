"""I list the changes from one schema to another, in a runnable order."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from migrator.schema.alter import alter_table
from migrator.schema.changes import add_foreign_key
from migrator.schema.model import Schema, Table, require_same_flavor
from migrator.schema.plan import Operation, OperationKind, Plan, in_runnable_order, referenced
from migrator.schema.renamed import borne, renamed_to, repointed
from migrator.schema.renames import NONE, Renames
from migrator.schema.render import canonical_text, for_people, render_create
from router.database import quote_name


def diff(before: Schema, after: Schema, renames: Renames = NONE) -> Plan:
    """Return the plan that turns one schema into the other.

    What `renames` does not say, is no renaming: such tables and columns are a removal and an addition. What
    is changed but cannot be deployed is in `Plan.unsupported`. Raises SchemaError for schemas of different
    flavours.
    """
    require_same_flavor((before, after))
    renames = borne(renames, before, after)
    came = set(renames.tables.values())
    going = {
        name: table
        for name, table in before.tables.items()
        if name not in after.tables and name not in after.opaque and name not in renames.tables
    }
    creations = [
        table
        for name, table in after.tables.items()
        if name not in before.tables and name not in before.opaque and name not in came
    ]
    taken = {key.name for table in going.values() for key in table.foreign_keys}
    taken |= {check.name for table in going.values() for check in table.checks}
    operations = [
        *(_removal(table) for table in going.values()),
        *(_renaming(before.tables[old], after.tables[new], renames) for old, new in renames.tables.items()),
        *_alterations(before, after, renames),
        *(_creation(table, taken) for table in creations),
    ]
    ring = _ring(creations)
    plan = in_runnable_order([_without_keys(op) if op.table in ring else op for op in operations])
    closing = [_closing(table) for table in creations if table.name in ring]
    return Plan((*plan, *closing), tuple(unsupported_changes(before, after)))


def _removal(table: Table) -> Operation:
    loss = f"table {table.name!r} with all its rows"
    return Operation(
        OperationKind.DROP, table.name, (f"DROP TABLE {quote_name(table.name)}",), table, None, (loss,)
    )


def _alterations(before: Schema, after: Schema, renames: Renames) -> Iterator[Operation]:
    for name, table in after.tables.items():
        old = before.tables.get(name)
        if old is None:
            continue
        # Renaming also rewrites the foreign keys of other tables that point there: no change of theirs.
        old, moves = repointed(old, renames), renames.columns.get(name, {})
        if moves or not old.same_as(table):
            statements, losses = alter_table(old, table, moves)
            yield Operation(OperationKind.ALTER, name, statements, old, table, losses, moves)


def _renaming(before: Table, after: Table, renames: Renames) -> Operation:
    """Rename a table, and change it under its new name if there is more to it."""
    moves = renames.columns.get(before.name, {})
    statements = [f"RENAME TABLE {quote_name(before.name)} TO {quote_name(after.name)}"]
    named = renamed_to(repointed(before, renames), after.name)
    losses: tuple[str, ...] = ()
    if moves or not named.same_as(after):
        more, losses = alter_table(named, after, moves)
        statements += more
    return Operation(
        OperationKind.RENAME, after.name, tuple(statements), before, after, losses, moves, before.name
    )


def unsupported_changes(before: Schema, after: Schema, already: Schema | None = None) -> Iterable[str]:
    """Say, one sentence each, what differs and cannot be deployed by us, and what to do about it.

    What is in `already` just as it is in `after` needs no deploying and is left out.
    """
    if before.collation != after.collation and (already is None or already.collation != after.collation):
        yield (
            f"the database's default collation is changed to {after.collation}, but it is not deployed: "
            "make this change on production by hand, or undo it on the branch"
        )
    for name in sorted({*before.opaque, *after.opaque}):
        if before.opaque.get(name) == after.opaque.get(name):
            continue
        if already is not None and _whole(already, name) == _whole(after, name):
            continue
        found = after.opaque.get(name) or before.opaque[name]
        kind = "sequence" if found.sequence else "table"
        yield (
            f"{kind} {name!r} differs, but it cannot be deployed: {found.reason}; "
            "make this change on production by hand, or undo it on the branch"
        )


def unified_diff(before: Schema, after: Schema) -> dict[str, str]:
    """Return, for people, the lines that differ: by table name, or by kind and name for everything else."""
    old, new = _texts(before), _texts(after)
    changed: dict[str, str] = {}
    for name in sorted({*old, *new}):
        (source, was), (target, becomes) = old.get(name, (None, "")), new.get(name, (None, ""))
        if isinstance(source, Table) and isinstance(target, Table) and source.same_as(target):
            continue
        if was != becomes:
            # The first two lines name files.
            lines = list(difflib.unified_diff(_lines(was), _lines(becomes), lineterm=""))[2:]
            changed[name] = for_people("\n".join(lines))
    return changed


def _lines(text: str) -> list[str]:
    return text.split("\n") if text else []


def _texts(schema: Schema) -> dict[str, tuple[Table | None, str]]:
    texts: dict[str, tuple[Table | None, str]] = {
        name: (table, _without_counter(table)) for name, table in schema.tables.items()
    }
    texts |= {name: (None, table.text) for name, table in schema.opaque.items()}
    texts |= {f"{code.kind.lower()} {code.name}": (None, code.text) for code in schema.code}
    return texts


def _without_counter(table: Table) -> str:
    return canonical_text(
        replace(table, options=tuple(option for option in table.options if option.name != "AUTO_INCREMENT"))
    )


def _creation(table: Table, taken: Collection[str]) -> Operation:
    # A table that goes in the same plan still holds the names of its constraints: a new one that has them too
    # takes names that the server makes up.
    statement = render_create(table, without_names=taken, counter=True)
    return Operation(OperationKind.CREATE, table.name, (statement,), None, table)


def _ring(creations: list[Table]) -> set[str]:
    """Return the new tables that cannot be ordered, because their foreign keys form a ring."""
    new = {table.name for table in creations}
    left = {table.name: referenced(table) & new for table in creations}
    children: dict[str, list[str]] = {}
    for name, parents in left.items():
        for parent in parents:
            children.setdefault(parent, []).append(name)
    free = [name for name, parents in left.items() if not parents]
    while free:
        name = free.pop()
        del left[name]
        for child in children.get(name, ()):
            left[child].discard(name)
            if not left[child]:
                free.append(child)
    return set(left)


def _without_keys(operation: Operation) -> Operation:
    if operation.kind is not OperationKind.CREATE or operation.after is None:
        return operation
    bare = replace(operation.after, foreign_keys=())
    return replace(operation, statements=(render_create(bare, counter=True),), after=bare)


def _closing(table: Table) -> Operation:
    clauses = ", ".join(add_foreign_key(key).clause for key in table.foreign_keys)
    statement = f"ALTER TABLE {quote_name(table.name)} {clauses}"
    return Operation(OperationKind.ALTER, table.name, (statement,), replace(table, foreign_keys=()), table)


def _whole(schema: Schema, name: str) -> object:
    return schema.opaque.get(name) or schema.tables.get(name)
