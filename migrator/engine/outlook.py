"""I say before a deployment what a revert of it would not bring back, or what would stop it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from migrator.engine.direct.choose import Choice, Method
from migrator.schema.alter import NO_RENAMES
from migrator.schema.delta import delta
from migrator.schema.lossy import NO_DEFAULT, NO_PARENT, RENUMBERS, DataCheck, data_checks
from migrator.schema.model import Column, Table


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing to know about a revert.

    `errno` is how the server would refuse the row that stops it, None when nothing stops it; `loses` says
    that something written since is lost or altered then.
    """

    sentence: str
    errno: int | None = None
    loses: bool = False


def revert_outlook(
    before: Table | None,
    after: Table | None,
    choice: Choice | None = None,
    renames: Mapping[str, str] = NO_RENAMES,
) -> tuple[Remark, ...]:
    """List what to know before a change from `before` to `after` is deployed; nothing is the best."""
    if after is None:
        return ()
    if before is None:
        return (Remark("a revert removes the table with all rows written to it", loses=True),)
    if choice is not None and not choice.revertible:
        return (Remark(f"it cannot be reverted: {choice.reason}", loses=True),)
    found = delta(before, after, renames)
    remarks = [
        Remark(f"a revert loses what is written to the new column {column.name!r}", loses=True)
        for column in found.columns_added
        if column.generated is None
    ]
    if choice is not None and choice.method is not Method.SHADOW:
        if choice.way is not None and choice.way.guard is not None:
            remarks.append(
                Remark("a revert is refused while there are rows that only the new partitions take")
            )
        return tuple(remarks)
    remarks += [remark for column in found.columns_dropped if (remark := _dropped(column)) is not None]
    back = {new: old for old, new in renames.items()}
    checks = data_checks(after, before, "", "t", back)
    remarks += [_stopping(check) for check in checks if check.errno != RENUMBERS]
    return tuple(remarks)


def _dropped(column: Column) -> Remark | None:
    if column.generated is not None or column.auto_increment:
        return None
    given = column.nullable or column.default is not None or column.type.base == "enum"
    if not given:
        return Remark(
            f"a revert is refused as soon as one row is inserted: column {column.name!r} of the old table is "
            "NOT NULL and has no default, so that new rows cannot go back",
            errno=NO_DEFAULT,
        )
    value = "NULL" if column.default is None or column.default.upper() == "NULL" else "its default"
    return Remark(f"after a revert, rows inserted since have {value} in column {column.name!r}", loses=True)


def _stopping(check: DataCheck) -> Remark:
    if check.errno == NO_PARENT:
        return Remark(f"{check.subject}: after a revert there may be rows with {check.having}", loses=True)
    if check.silent:
        return Remark(f"{check.subject}: a revert alters, in rows written since, {check.having}", loses=True)
    return Remark(
        f"{check.subject}: a revert is refused once a row is written that has {check.having}",
        errno=check.errno,
    )
