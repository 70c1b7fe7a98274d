"""I say what must be deployed first, the schema or the code that uses it, and on what evidence.

Two things speak: what kind of change it is, and what real statements do. Every shape of statement that was
seen is prepared on the schema as it is and as it will be (`replay.py`). One that only works now must be gone
before; one that was seen on the branch and only works afterwards must wait. Where traffic can refute what the
kind of change suggests, it does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, assert_never

from migrator.schema.delta import delta
from migrator.schema.model import Column, IndexKind, Table
from migrator.schema.order import (
    DeployOrder,
    Evidence,
    Observed,
    Order,
    Reason,
    TableChange,
    Tried,
    ViewChanged,
)
from migrator.schema.shapes import SeenShape

NOTHING_OBSERVED: Final = Observed()


def deploy_order(
    tables: Sequence[TableChange], views: Sequence[ViewChanged] = (), observed: Observed = NOTHING_OBSERVED
) -> DeployOrder:
    """Weigh the kinds of change against what was observed."""
    evidence = tuple(_evidence(observed.tried))
    breaking = {table for one in evidence if one.order is Order.CODE_FIRST for table in one.tables}
    reasons: list[Reason] = []
    for reason, refutable in _reasons(tables, views, observed):
        if refutable and observed.days and reason.table not in breaking:
            continue
        reasons.append(reason)
    order = _combined({*(reason.order for reason in reasons), *(one.order for one in evidence)})
    counts = {"tried": len(observed.tried), "untried": observed.untried}
    sentence = _sentence(order, evidence, observed)
    return DeployOrder(order, sentence, tuple(reasons), evidence, round(observed.days, 2), **counts)


def _combined(orders: set[Order]) -> Order:
    orders.discard(Order.EITHER)
    if Order.NEITHER in orders:
        return Order.NEITHER
    if len(orders) > 1:
        return Order.SPLIT
    return orders.pop() if orders else Order.EITHER


def _length(days: float) -> str:
    minutes = days * 1440
    if minutes < 120:
        return f"{minutes:.0f} min"
    return f"{minutes / 60:.0f} h" if days < 2 else f"{days:.1f} days"


def _sentence(order: Order, evidence: Sequence[Evidence], observed: Observed) -> str:
    breaking = sum(one.order is Order.CODE_FIRST for one in evidence)
    seen = f"{_length(observed.days)} of observed traffic" if observed.days else "no traffic observed yet"
    match order:
        case Order.EITHER:
            return f"safe in either order ({seen})"
        case Order.SCHEMA_FIRST:
            return f"deploy the schema first, then the code that uses it ({seen})"
        case Order.CODE_FIRST:
            those = (
                f"{breaking} kinds of statements that would fail" if breaking else "what the change forbids"
            )
            return f"deploy the code first: {those} must be gone before the schema changes ({seen})"
        case Order.SPLIT:
            return (
                "split this: one part of it must be deployed before the code and another after it, "
                f"so make two deploy requests ({seen})"
            )
        case Order.NEITHER:
            return (
                "no order is safe: old and new code need different names at the same time. Add the new one, "
                f"write both, copy, switch the code, and drop the old one last ({seen})"
            )
        case _:
            assert_never(order)


def _evidence(tried: Iterable[Tried]) -> Iterator[Evidence]:
    """Yield what works on one side only, the most frequent first."""
    for one in sorted(tried, key=lambda tried: -tried.shape.count):
        shape = one.shape
        if one.now is None and one.afterwards is not None:
            order, error = Order.CODE_FIRST, one.afterwards
        elif one.now is not None and one.afterwards is None and shape.on_branch:
            order, error = Order.SCHEMA_FIRST, one.now
        else:
            continue
        tables = tuple(sorted(shape.use.tables))
        yield Evidence(
            order, shape.text, error.errno, error.message, tables, shape.count, shape.users, shape.last_seen
        )


_Judged = tuple[Reason, bool]
"""A reason, and whether traffic can refute it."""


def _reasons(
    tables: Sequence[TableChange], views: Sequence[ViewChanged], observed: Observed
) -> Iterator[_Judged]:
    """Yield what the kinds of change suggest."""
    for change in tables:
        name, before, after = change.name, change.before, change.after
        if before is None and after is not None:
            yield Reason(Order.SCHEMA_FIRST, name, "", f"code that uses table {name!r} needs it"), False
        elif before is not None and after is None:
            sentence = f"code that uses table {name!r} must be gone before it is dropped"
            yield Reason(Order.CODE_FIRST, name, "", sentence), True
        elif before is not None and after is not None:
            yield from _of_table(change, before, after, observed)
    for view in views:
        if view.goes:
            sentence = f"code that uses view {view.name!r} must be gone before it is dropped"
            yield Reason(Order.CODE_FIRST, view.name, "", sentence), True
        elif view.comes:
            yield (
                Reason(Order.SCHEMA_FIRST, view.name, "", f"code that uses view {view.name!r} needs it"),
                False,
            )


def _of_table(change: TableChange, before: Table, after: Table, observed: Observed) -> Iterator[_Judged]:
    name = change.name
    found = delta(before, after, change.renamed)
    if change.renamed_from:
        sentence = f"table {change.renamed_from!r} is renamed to {name!r}"
        yield Reason(Order.NEITHER, name, "", sentence), False
    for old, new in change.renamed.items():
        yield Reason(Order.NEITHER, name, f"column {new}", f"column {old!r} is renamed to {new!r}"), False
    for column in found.columns_added:
        yield _added(name, column, observed)
    for column in found.columns_dropped:
        yield from _dropped(name, column)
    for old_column, new_column in found.columns_changed:
        yield from _changed(name, old_column, new_column)
    for index in found.indexes_added:
        if index.kind is IndexKind.UNIQUE and index.kind not in {i.kind for i in found.indexes_dropped}:
            sentence = f"code must write no duplicates any more before index {index.name!r} is unique"
            yield Reason(Order.CODE_FIRST, name, f"index {index.name}", sentence), False
    for index in found.indexes_dropped:
        lenient = any(_is_lenient(tried.shape, name) for tried in observed.tried)
        if index.kind in (IndexKind.UNIQUE, IndexKind.PRIMARY) and lenient:
            sentence = (
                f"statements with ON DUPLICATE KEY UPDATE, IGNORE or REPLACE rely on unique key "
                f"{index.name or 'PRIMARY'!r}"
            )
            yield Reason(Order.CODE_FIRST, name, f"index {index.name}", sentence), False
    for words, element in (("check", found.checks_added), ("foreign key", found.keys_added)):
        for one in element:
            sentence = f"code must write only rows that {words} {one.name!r} allows"
            yield Reason(Order.CODE_FIRST, name, f"{words} {one.name}", sentence), False


def _is_lenient(shape: SeenShape, table: str) -> bool:
    use = shape.use.tables.get(table)
    return use is not None and use.lenient


def _needs_value(column: Column) -> bool:
    """Say whether an INSERT that leaves the column out fails."""
    filled = column.default is not None or column.auto_increment or column.generated is not None
    return not column.nullable and not filled


def _added(table: str, column: Column, observed: Observed) -> _Judged:
    element = f"column {column.name}"
    if not _needs_value(column):
        sentence = f"code that uses column {column.name!r} needs it"
        return Reason(Order.SCHEMA_FIRST, table, element, sentence), False
    omitting = [tried.shape for tried in observed.tried if _omits(tried.shape, table, column)]
    seen = f"; {len(omitting)} kinds of INSERT that were seen do so" if omitting else ""
    sentence = (
        f"column {column.name!r} is NOT NULL without a default: an INSERT that leaves it out fails{seen}. "
        "Add it with a default or as NULL, deploy the code that fills it, and make it NOT NULL after that"
    )
    return Reason(Order.SPLIT, table, element, sentence), False


def _omits(shape: SeenShape, table: str, column: Column) -> bool:
    use = shape.use.tables.get(table)
    return use is not None and bool(use.inserts) and column.key not in (use.inserts or ())


def _dropped(table: str, column: Column) -> Iterator[_Judged]:
    element = f"column {column.name}"
    if _needs_value(column):
        sentence = (
            f"column {column.name!r} is NOT NULL without a default: code that no longer fills it fails as "
            "long as it is there. Give it a default or make it NULL first, deploy the code, and then drop it"
        )
        yield Reason(Order.SPLIT, table, element, sentence), True
    else:
        sentence = f"code that uses column {column.name!r} must be gone before it is dropped"
        yield Reason(Order.CODE_FIRST, table, element, sentence), True


def _changed(table: str, before: Column, after: Column) -> Iterator[_Judged]:
    element = f"column {after.name}"
    if before.nullable and not after.nullable:
        sentence = f"code must write no NULL into column {after.name!r} any more"
        yield Reason(Order.CODE_FIRST, table, element, sentence), False
    if not before.nullable and after.nullable:
        sentence = (
            f"code that writes NULL into column {after.name!r} needs it; readers must bear NULL by then"
        )
        yield Reason(Order.SCHEMA_FIRST, table, element, sentence), False
    wider = _is_wider(before, after)
    if wider is None:
        return
    if wider:
        sentence = f"code that writes what only the wider column {after.name!r} holds needs it"
        yield Reason(Order.SCHEMA_FIRST, table, element, sentence), False
    else:
        sentence = f"code must write only what column {after.name!r} will hold"
        yield Reason(Order.CODE_FIRST, table, element, sentence), False


_RANKS: Final[tuple[tuple[str, ...], ...]] = (
    ("tinyint", "smallint", "mediumint", "int", "bigint"),
    ("float", "double"),
    ("char", "varchar", "tinytext", "text", "mediumtext", "longtext"),
    ("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"),
    ("date", "datetime"),
)


def _is_wider(before: Column, after: Column) -> bool | None:
    """Say whether a column holds more than before (or less); None when it holds the same."""
    one, two = before.type, after.type
    if one == two:
        return None
    if one.base in ("enum", "set") and two.base == one.base:
        return {*_members(one.arguments)} <= {*_members(two.arguments)}
    if one.base == two.base:
        if one.unsigned != two.unsigned:
            return False
        sizes = _numbers(one.arguments), _numbers(two.arguments)
        if sizes[0] == sizes[1] or "" in (one.arguments, two.arguments):
            return None
        return len(sizes[0]) <= len(sizes[1]) and all(x <= y for x, y in zip(*sizes, strict=False))
    for ranks in _RANKS:
        if one.base in ranks and two.base in ranks:
            return one.unsigned == two.unsigned and ranks.index(one.base) < ranks.index(two.base)
    return False


def _members(arguments: str | None) -> list[str]:
    return (arguments or "").split(",")


def _numbers(arguments: str | None) -> list[int]:
    return [int(number) for number in (arguments or "").split(",") if number.strip().isdigit()]
