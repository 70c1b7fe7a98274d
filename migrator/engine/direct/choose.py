"""I choose how a table is changed: at once by the server itself, or by a copy that can be swapped back.

What the server can do at once is not guessed here: each way is tried on an empty table with its algorithm
named, so that it never falls back to copying. I know which of them can be undone, and what they must not be
used for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from migrator.errors import Refused
from migrator.schema.alter import NO_RENAMES, alter_table
from migrator.schema.changes import drop_index, show_index
from migrator.schema.conversions import character_bytes
from migrator.schema.delta import Delta, delta
from migrator.schema.model import Column, Index, IndexKind, Partitioning, Table
from router.database import quote_name
from router.model import Flavor

# Adding or dropping columns INSTANT corrupted tables in these releases, or their backups.
BROKEN_INSTANT = ((8, 0, 29), (8, 0, 31))
# Rows of a table can have so many shapes; then the next INSTANT change of columns is refused.
ROW_VERSIONS, ROW_VERSIONS_BEFORE_9_1 = 255, 64
BUILD_BYTES_MAX = 100 * 2**20


class Strategy(StrEnum):
    """What a deploy request asks of all its changes of tables.

    AUTO changes a table at once where that can be undone as well as a copy can. INSTANT changes it at once
    or not at all, also where nothing leads back. REVERTIBLE always copies.
    """

    AUTO = "auto"
    INSTANT = "instant"
    REVERTIBLE = "revertible"


class Method(StrEnum):
    """How a table is changed."""

    SHADOW = "shadow"
    INSTANT = "instant"
    INPLACE = "inplace"
    HIDE_INDEX = "hide_index"
    PARTITION = "partition"


@dataclass(frozen=True, slots=True)
class Shortcut:
    """A way to change a table without a copy.

    `there`, `back` and `finish` are what follows ALTER TABLE and its name: the change, what undoes it (None
    when nothing does), and what is left for the end of the revert window. While `guard`, a query with {table}
    in it, finds a row, there is no way back. `builds` says that it takes time for a big table.
    """

    method: Method
    there: str
    back: str | None
    finish: str | None = None
    guard: str | None = None
    builds: bool = False


@dataclass(frozen=True, slots=True)
class Tried:
    """What the server said of a way, tried on an empty table: None is yes."""

    way: Shortcut
    refusal: str | None
    back_refusal: str | None = None

    @property
    def undone(self) -> bool:
        """Whether the way can be gone back."""
        return self.way.back is not None and self.back_refusal is None


@dataclass(frozen=True, slots=True)
class Choice:
    """How the change is made, why so, and whether it can be undone; `way` is None for a copy."""

    method: Method
    reason: str
    revertible: bool
    way: Shortcut | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of the table on production besides its definition.

    With `pointed_to`, foreign keys of other tables point to a column that is renamed.
    """

    version: tuple[int, ...]
    row_versions: int = 0
    bytes: int = 0
    replicated: bool = False
    referenced: bool = False
    pointed_to: bool = False


def shortcuts(before: Table, after: Table, renames: Mapping[str, str] = NO_RENAMES) -> list[Shortcut]:
    """List the shortcuts worth trying, the best first; `renames` maps former names of columns to new ones."""
    found = delta(before, after, renames)
    if found.partitioning:
        return _partition_shortcuts(before, after, found)
    there = _clauses(before, after, renames)
    back = _clauses(after, before, {new: old for old, new in renames.items()})
    if there is None:
        return []
    found_shortcuts: list[Shortcut] = []
    if (hiding := _hiding(before, found)) is not None:
        found_shortcuts.append(hiding)
    lost = any(column.generated is None or column.generated.stored for column in found.columns_dropped)
    back = None if lost else back
    constraints = {"checks_added", "checks_dropped", "keys_added", "keys_dropped"}
    if not found.kinds & constraints and before.option("ROW_FORMAT") != "COMPRESSED":
        found_shortcuts.append(_by(Method.INSTANT, before.flavor, there, back))
        if _only_described(found):
            found_shortcuts.append(_by(Method.INPLACE, before.flavor, there, back))
        elif found.kinds == {"indexes_added"} and all(map(_ordinary, found.indexes_added)):
            found_shortcuts.append(replace(_by(Method.INPLACE, before.flavor, there, back), builds=True))
    return found_shortcuts


def choose(strategy: Strategy, tried: Sequence[Tried], facts: Facts) -> Choice:
    """Choose a way, or a copy; raises Refused when the strategy asks for what cannot be."""
    if strategy is Strategy.REVERTIBLE and not facts.pointed_to:
        return Choice(Method.SHADOW, "it is copied because the strategy is revertible", revertible=True)
    one_way: Tried | None = None
    reason = "the server has no way to make this change without copying the table"
    for each in tried:
        refusal = each.refusal or _unfit(each.way, facts)
        if refusal is not None:
            reason = f"the table must be copied: {refusal}"
        elif each.undone:
            return Choice(each.way.method, _praise(each.way), revertible=True, way=each.way)
        elif one_way is None:
            one_way = each
    if one_way is None and strategy is Strategy.INSTANT:
        raise Refused(reason, hint="deploy it with strategy auto or revertible")
    if one_way is None:
        return Choice(Method.SHADOW, reason, revertible=True)
    if strategy is Strategy.INSTANT:
        way = replace(one_way.way, back=None, guard=None)
        return Choice(way.method, f"{_praise(way)}; it cannot be reverted", revertible=False, way=way)
    return Choice(
        Method.SHADOW,
        "it is copied so that it can be reverted; with strategy instant it is made at once, for good",
        revertible=True,
    )


def row_versions_max(version: tuple[int, ...]) -> int:
    """Return how many shapes the rows of a table may have on a MySQL of this version."""
    return ROW_VERSIONS if version >= (9, 1) else ROW_VERSIONS_BEFORE_9_1


def _unfit(way: Shortcut, facts: Facts) -> str | None:
    """Say why a way that the server would take is not gone on this table."""
    if way.method is Method.INSTANT:
        columns = "ADD COLUMN" in way.there or "DROP COLUMN" in way.there
        if columns and BROKEN_INSTANT[0] <= facts.version <= BROKEN_INSTANT[1]:
            numbers = ".".join(map(str, facts.version))
            return f"MySQL {numbers} may corrupt a table whose columns are added or dropped INSTANT"
        if facts.row_versions > row_versions_max(facts.version) - 2:
            return f"its rows have had {facts.row_versions} shapes, and one more would be needed to go back"
        if facts.pointed_to:
            return "foreign keys of other tables point to the renamed column"
    if way.method is Method.HIDE_INDEX and facts.referenced:
        return "a foreign key of another table may rest on the index"
    if way.builds and facts.replicated:
        return "replicas would stand still for as long as they build the index"
    if way.builds and facts.bytes > BUILD_BYTES_MAX:
        return "it is too large to build an index in one go"
    return None


def _praise(way: Shortcut) -> str:
    return {
        Method.INSTANT: "the server only changes its description of the table (ALGORITHM=INSTANT)",
        Method.INPLACE: "the server builds the index beside the traffic (ALGORITHM=INPLACE, LOCK=NONE)"
        if way.builds
        else "the server only changes its description of the table (ALGORITHM=INPLACE, LOCK=NONE)",
        Method.HIDE_INDEX: "the index is hidden from queries now and dropped when the revert window ends",
        Method.PARTITION: "the server adds or drops whole partitions",
        Method.SHADOW: "",
    }[way.method]


def _by(method: Method, flavor: Flavor, there: str, back: str | None) -> Shortcut:
    # MySQL does not take a LOCK with INSTANT; without it MariaDB would copy for some changes, under a lock.
    suffix = f", ALGORITHM={method.upper()}"
    if method is Method.INPLACE or flavor is Flavor.MARIADB:
        suffix += ", LOCK=NONE"
    return Shortcut(method, there + suffix, None if back is None else back + suffix)


def _clauses(before: Table, after: Table, renames: Mapping[str, str]) -> str | None:
    """Return the change as one ALTER TABLE without its head, None when it takes several or none."""
    found = delta(before, after, renames)
    renamings = [
        f"RENAME INDEX {quote_name(old.name)} TO {quote_name(new.name)}" for old, new in found.indexes_renamed
    ]
    names = {old.key: new.name for old, new in found.indexes_renamed}
    indexes = tuple(replace(index, name=names.get(index.key, index.name)) for index in before.indexes)
    halfway = replace(before, indexes=indexes)
    statements, _ = alter_table(halfway, after, renames)
    if len(statements) > 1:
        return None
    head = f"ALTER TABLE {quote_name(before.name)} "
    rest = [statement.removeprefix(head) for statement in statements]
    return ", ".join([*renamings, *rest]) or None


def _hiding(before: Table, found: Delta) -> Shortcut | None:
    """Return the way of hiding indexes, when nothing but ordinary indexes go that no foreign key needs."""
    gone = found.indexes_dropped
    if found.kinds != {"indexes_dropped"} or not all(map(_ordinary, gone)):
        return None
    if not all(index.visible for index in gone) or any(_needed(before, index) for index in gone):
        return None

    def shown(*, visible: bool) -> str:
        parts = (show_index(before, replace(index, visible=visible)).clause for index in gone)
        return ", ".join(parts) + ", ALGORITHM=INPLACE, LOCK=NONE"

    finish = ", ".join(drop_index(index).clause for index in gone) + ", ALGORITHM=INPLACE, LOCK=NONE"
    return Shortcut(Method.HIDE_INDEX, shown(visible=False), shown(visible=True), finish)


def _ordinary(index: Index) -> bool:
    return index.kind is IndexKind.PLAIN


def _needed(table: Table, index: Index) -> bool:
    """Whether a foreign key of the table may rest on the index."""
    starts = [tuple(name.lower() for name in key.columns) for key in table.foreign_keys]
    return any(set(start) & set(index.columns) for start in starts)


def _only_described(found: Delta) -> bool:
    """Whether nothing changes but what the server knows about the table: no row, no index entry."""
    allowed = {"indexes_renamed", "indexes_shown", "options", "columns_changed"}
    options = {"COMMENT", "STATS_AUTO_RECALC", "STATS_PERSISTENT", "STATS_SAMPLE_PAGES"}
    return (
        bool(found.kinds)
        and found.kinds <= allowed
        and set(found.options) <= options
        and all(_same_values(old, new) for old, new in found.columns_changed)
    )


def _same_values(old: Column, new: Column) -> bool:
    described = replace(old, default=new.default, comment=new.comment, invisible=new.invisible)
    if old.type.base == new.type.base == "varchar" and old.collation == new.collation:
        per_character = character_bytes(old.collation)
        lengths = [int(column.type.arguments or "0") for column in (old, new)]
        one_byte = [length * per_character <= 255 for length in lengths]
        if lengths[0] <= lengths[1] and one_byte[0] == one_byte[1]:
            described = replace(described, type=new.type)
    return replace(described, name=new.name) == new


def _partition_shortcuts(before: Table, after: Table, found: Delta) -> list[Shortcut]:
    if found.kinds != {"partitioning"} or before.partitioning is None or after.partitioning is None:
        return []
    old_head, old = _partitions(before.partitioning)
    new_head, new = _partitions(after.partitioning)
    if old_head != new_head or not old_head.startswith(("PARTITION BY RANGE", "PARTITION BY LIST")):
        return []
    prefix = "ALGORITHM=INPLACE, LOCK=NONE, " if before.flavor is Flavor.MYSQL else ""
    added, gone = [part for part in new if part not in old], [part for part in old if part not in new]
    if not gone and (new[: len(old)] == old or old_head.startswith("PARTITION BY LIST")):
        names = ", ".join(map(_partition_name, added))
        back = f"{prefix}DROP PARTITION {names}"
        guard = f"SELECT 1 FROM {{table}} PARTITION ({names}) LIMIT 1"
        return [Shortcut(Method.PARTITION, f"{prefix}ADD PARTITION ({', '.join(added)})", back, guard=guard)]
    if not added:
        names = ", ".join(map(_partition_name, gone))
        return [Shortcut(Method.PARTITION, f"{prefix}DROP PARTITION {names}", None)]
    return []


def _partitions(partitioning: Partitioning) -> tuple[str, list[str]]:
    """Take the server's text apart: what is before the list, and each partition; empty when it is nested."""
    head, _, body = partitioning.text.partition("\n(")
    if "SUBPARTITION" in partitioning.text or not body:
        return "", []
    return head, body.rstrip().removesuffix(")").split(",\n ")


def _partition_name(definition: str) -> str:
    name = definition.removeprefix("PARTITION ")
    return name[: name.index("`", 1) + 1] if name.startswith("`") else name.split(" ", 1)[0]
