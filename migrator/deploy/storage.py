"""I say how many bytes of disk a deploy request needs on production, and whether there are as many."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from migrator.deploy.request import DeployRequest, OperationKind, OperationRecord
from migrator.engine.direct.choose import Method
from migrator.schema.lint.finding import Finding, Level

LEFT_OVER = 0.1
"""The share of what is free that should stay free: others write, too."""


@dataclass(frozen=True, slots=True)
class TableSize:
    """How large a table is: the server's own estimates."""

    rows: int
    data_bytes: int
    index_bytes: int


@dataclass(frozen=True, slots=True)
class Disk:
    """The disk with production's files: bytes that are free, None when we cannot see it, and why not."""

    free_bytes: int | None
    why_unknown: str = ""


@dataclass(frozen=True, slots=True)
class StorageNeed:
    """What each table that is copied needs, and what there is."""

    tables: Mapping[str, int]
    disk: Disk

    @property
    def bytes_needed(self) -> int:
        """Bytes that are needed in all."""
        return sum(self.tables.values())

    @property
    def enough(self) -> bool:
        """Whether nothing speaks against it: what is not known does not."""
        free = self.disk.free_bytes
        return free is None or self.bytes_needed <= free * (1 - LEFT_OVER)

    @property
    def sentence(self) -> str:
        """Say it for people."""
        if not self.tables:
            return "no table is copied, so no room is needed"
        need = f"the copy needs about {size_text(self.bytes_needed)} on production's disk"
        if self.disk.free_bytes is None:
            return f"{need}; how much is free there is not known: {self.disk.why_unknown}"
        free = f"{size_text(self.disk.free_bytes)} are free there"
        if self.enough:
            return f"{need}, and {free}"
        return f"{need}, but only {free}: a full disk would stop production"


def storage_need(
    request: DeployRequest,
    operations: Sequence[OperationRecord],
    sizes: Mapping[str, TableSize],
    disk: Disk,
) -> StorageNeed:
    """Return what the operations that copy a table need, until the end of the revert window.

    A copy is as large as its table with all indexes, and the binary log takes its rows once more.
    """
    copied = [operation.table for operation in operations if _copies(request, operation)]
    return need_of(copied, sizes, disk)


def need_of(copied: Iterable[str], sizes: Mapping[str, TableSize], disk: Disk) -> StorageNeed:
    """Return what copies of these tables need."""
    tables = {
        name: size.data_bytes + size.index_bytes + size.data_bytes
        for name in copied
        if (size := sizes.get(name)) is not None
    }
    return StorageNeed(tables, disk)


def findings(need: StorageNeed) -> tuple[Finding, ...]:
    """Return a warning when there is too little room."""
    if need.enough:
        return ()
    return (
        Finding(
            "STORAGE_SHORT",
            Level.WARNING,
            "",
            need.sentence,
            "Free or add room on production's disk before it is deployed.",
            facts={"storage_bytes_needed": need.bytes_needed, "free_bytes": need.disk.free_bytes},
        ),
    )


def _copies(request: DeployRequest, operation: OperationRecord) -> bool:
    if operation.kind is not OperationKind.ALTER or not operation.of_table:
        return False
    choice = request.choice(operation)
    return choice is None or choice.method is Method.SHADOW


def size_text(count: int) -> str:
    """Return a number of bytes for people."""
    size = float(count)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
