"""I say what somebody has changed on production besides deploy requests, and leave out what is no change.

AUTO_INCREMENT counters, partitions that come and go by time, indexes that the server keeps for foreign keys
and tables that the engine works with are nobody's change.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from migrator.schema.diff import unified_diff
from migrator.schema.model import Code, CodeKind, OpaqueTable, Partitioning, Schema, Table
from migrator.schema.reconcile import reconciled

_ROTATED = ("PARTITION BY RANGE", "PARTITION BY LIST")


@dataclass(frozen=True, slots=True)
class Drift:
    """What differs: tables by name, everything else by kind and name, and all of it as +/- text."""

    tables: tuple[str, ...]
    programs: tuple[str, ...]
    diff: Mapping[str, str]

    @property
    def names(self) -> frozenset[str]:
        """The names of everything that differs, without kinds."""
        return frozenset({*self.tables, *(name.rpartition(" ")[2] for name in self.programs)})

    @property
    def digest(self) -> str:
        """What tells this drift from any other that looks otherwise."""
        shown = json.dumps([self.tables, self.programs, sorted(self.diff.items())])
        return hashlib.sha256(shown.encode()).hexdigest()[:16]


def find_drift(known: Schema, found: Schema) -> Drift | None:
    """Return what differs between production as it should be and as it is, None when nothing does."""
    tables = tuple(
        name
        for name in sorted({*known.tables, *known.opaque, *found.tables, *found.opaque})
        if not _same_table(_table(known, name), _table(found, name))
    )
    old, new = _code(known), _code(found)
    changed = [key for key in dict.fromkeys([*old, *new]) if old.get(key) != new.get(key)]
    programs = tuple(f"{kind.lower()} {name}" for kind, name in changed)
    if not tables and not programs:
        return None
    texts = unified_diff(known, found)
    return Drift(tables, programs, {name: texts.get(name, "") for name in (*tables, *programs)})


def with_parts(known: Schema, found: Schema, names: Collection[str]) -> Schema:
    """Return what is known with the tables, and all else, of these names as they were found."""

    def tables(former: Mapping[str, Table], now: Mapping[str, Table]) -> dict[str, Table]:
        kept = {name: table for name, table in former.items() if name not in names}
        return kept | {name: table for name, table in now.items() if name in names}

    def opaque(former: Mapping[str, OpaqueTable], now: Mapping[str, OpaqueTable]) -> dict[str, OpaqueTable]:
        kept = {name: table for name, table in former.items() if name not in names}
        return kept | {name: table for name, table in now.items() if name in names}

    kept = [code for code in known.code if not _named(code, names)]
    code = (*kept, *(code for code in found.code if _named(code, names)))
    return replace(
        known,
        version=found.version,
        tables=tables(known.tables, found.tables),
        opaque=opaque(known.opaque, found.opaque),
        code=code,
    )


def _named(code: Code, names: Collection[str]) -> bool:
    return code.name in names or (bool(code.table) and code.table in names)


def _table(schema: Schema, name: str) -> Table | OpaqueTable | None:
    return schema.tables.get(name) or schema.opaque.get(name)


def _same_table(known: Table | OpaqueTable | None, found: Table | OpaqueTable | None) -> bool:
    if isinstance(known, Table) and isinstance(found, Table):
        if _rotated(known, found):
            known = replace(known, partitioning=found.partitioning)
        return reconciled(found, known) is not None
    return known == found


def _rotated(known: Table, found: Table) -> bool:
    """Whether both are cut by ranges or lists of the same thing, whatever these are now."""
    heads = [_head(table.partitioning) for table in (known, found)]
    return heads[0] == heads[1] and heads[0].startswith(_ROTATED)


def _head(partitioning: Partitioning | None) -> str:
    return "" if partitioning is None else partitioning.text.partition("\n(")[0]


def _code(schema: Schema) -> dict[tuple[CodeKind, str], Code]:
    return {(code.kind, code.name): code for code in schema.code}
