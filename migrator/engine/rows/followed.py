"""I record up to where in the log the old table's rows have followed those that changed their keys.

Writing a row once more is harmless, moving it once more is not: after two rows exchanged their keys, nobody
can tell from the tables whether they did. So the record is written in the transaction that moves them.
"""

from __future__ import annotations

from migrator.engine.log.events import Position
from migrator.engine.log.gtid import Gtids, gtids_of
from migrator.engine.log.moves import Stretch
from migrator.engine.log.place import SOMEWHERE
from migrator.engine.table.statements import STATE
from router.database import Connection

TABLE = "followed"


async def moves_done(connection: Connection, operation: str, stretch: Stretch) -> int:
    """Return how many of a stretch's moves transactions did of which nothing was heard."""
    sql = f"SELECT file, offset_ FROM {STATE}.{TABLE} WHERE id = %s"
    row = await connection.fetch_one(sql, operation)
    return 0 if row is None else stretch.done_up_to(Position.of(str(row[0]), int(row[1])))


async def record(connection: Connection, operation: str, stretch: Stretch) -> None:
    """Record the stretch's end in the transaction that follows it."""
    await connection.execute(
        f"INSERT INTO {STATE}.{TABLE} (id, file, offset_, gtid) VALUES (%s, %s, %s, %s) ON DUPLICATE KEY "
        "UPDATE file = VALUES(file), offset_ = VALUES(offset_), gtid = VALUES(gtid)",
        *(operation, stretch.end.file, stretch.end.offset, stretch.gtids),
    )


async def forget_position(connection: Connection, operation: str) -> None:
    """Another server has taken over: on this one only the GTIDs of the record mean something."""
    sql = f"UPDATE {STATE}.{TABLE} SET file = '', offset_ = 0 WHERE id = %s"
    await connection.execute(sql, operation)


async def read_followed(link: Connection, operation: str) -> tuple[Position, Gtids | None]:
    """Return up to where rows have followed: a position, or GTIDs where no position is known."""
    sql = f"SELECT file, offset_, gtid FROM {STATE}.{TABLE} WHERE id = %s"
    row = await link.fetch_one(sql, operation)
    if row is None:
        return SOMEWHERE, None
    position = Position.of(str(row[0]), int(row[1]))
    by_name = position == SOMEWHERE and row[2] is not None
    return position, gtids_of(link.server.flavor, str(row[2])) if by_name else None
