"""I say where reading of the log begins: where it ended, on the same server or on one that took its place.

A file and an offset mean something on one server only. GTIDs mean the same on all, so with them the work
goes on where a replica was promoted: it must have everything that we have seen, and still have logged all
that we have not. What it lacks of our own writes it lacks in our tables, too, since those are on it.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, replace

import structlog

from migrator.engine.ground.journal import Change, Journal, Record, read_server_identity
from migrator.engine.ground.operation import Phase
from migrator.engine.log.events import Position
from migrator.engine.log.gtid import Gtids, MariadbGtids, covers, gtids_of
from migrator.engine.log.place import SOMEWHERE
from migrator.engine.rows.followed import forget_position
from migrator.engine.table.identity import identity_of
from migrator.engine.table.statements import STATE
from migrator.errors import LogGone, MigratorError, StreamBroken
from router.database import Connection
from router.errors import ConnectionLost, DatabaseError
from router.model import Flavor

log = structlog.get_logger()

MYSQL_KNOWS = (
    "SELECT GTID_SUBSET(%s, @@GLOBAL.gtid_executed), GTID_SUBSET(@@GLOBAL.gtid_purged, %s), "
    "@@GLOBAL.gtid_mode"
)
MARIADB_KNOWS = "SELECT @@GLOBAL.gtid_binlog_state"
PREPARED_S = 10.0
PREPARED_POLL_S = 0.02
REWRITTEN = "cancel this deployment and start a new one"


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a server's log; `gtids` are transactions before it, None on a server that has no GTIDs.

    XA transactions that were prepared before it are all committed, and can be seen, at `unread`; None says
    that they do not concern us, wherever they are committed.
    """

    position: Position
    gtids: Gtids | None = None
    unread: Position | None = SOMEWHERE

    def or_later(self, other: Place) -> Place:
        """Return the later of two places of one history."""
        if self.position == SOMEWHERE or other.position == SOMEWHERE:
            if self.gtids is not None and other.gtids is not None:
                return self if covers(self.gtids, other.gtids) else other
            return self if other.position == SOMEWHERE else other
        return max(self, other, key=lambda place: place.position)


async def log_end(link: Connection) -> Position:
    """Return where the server's log ends now."""
    mysql = link.server.flavor is Flavor.MYSQL
    modern = mysql and tuple(int(n) for n in link.server.version.split(".")[:2]) >= (8, 2)
    row = await link.fetch_one("SHOW BINARY LOG STATUS" if modern else "SHOW MASTER STATUS")
    if row is None:
        raise MigratorError("the server writes no binary log", hint="start it with log_bin")
    return Position.of(str(row[0]), int(row[1]))


async def log_place(link: Connection) -> Place:
    """Return where the server's log ends now, by GTIDs too; MariaDB reads its log to find them."""
    executed: object = None
    if link.server.flavor is Flavor.MARIADB:
        position = await log_end(link)
        executed = await link.fetch_value("SELECT BINLOG_GTID_POS(%s, %s)", position.file, position.offset)
    else:
        if await link.fetch_value("SELECT @@GLOBAL.gtid_mode") == "ON":
            # Before the position: what is visible now is in the log before it.
            executed = await link.fetch_value("SELECT @@GLOBAL.gtid_executed")
        position = await log_end(link)
    return Place(position, None if executed is None else gtids_of(link.server.flavor, str(executed)))


async def prepared_are_over(link: Connection) -> Position:
    """Wait until XA transactions that are prepared now are ended, and return where the log ends then.

    Raises MigratorError when one stays prepared for long. Without the right to see them it cannot be waited
    for; reading such a commit ends the deployment later.
    """
    until = time.monotonic() + PREPARED_S
    waiting = await _prepared(link)
    while waiting:
        if time.monotonic() > until:
            raise MigratorError(
                f"{len(waiting)} XA transactions are prepared on the server and not yet committed",
                hint="wait until they are committed or rolled back (XA RECOVER lists them)",
            )
        await asyncio.sleep(PREPARED_POLL_S)
        waiting &= await _prepared(link)
    return await log_end(link)


async def _prepared(link: Connection) -> set[tuple[object, ...]]:
    try:
        return set(await link.fetch_all("XA RECOVER"))
    except ConnectionLost:
        raise
    except DatabaseError:
        return set()


async def where_to_begin(link: Connection, journal: Journal, *, back: bool) -> Place:
    """Return from where on the log must be read: forward, or after a swap from it on.

    Raises LogGone or StreamBroken when nobody can tell what happened since. From then on the journal lets
    nobody write on any other server.
    """
    record = journal.record
    assert record is not None
    place = await _recorded(link, journal.operation, record, back=back)
    identity = await read_server_identity(link)
    if identity != record.server_identity:
        place = await _taken_over(link, journal, record, place, identity)
    elif place.gtids is not None:
        await _must_know(link, place.gtids, by_gtid=False)
    journal.stay_on(identity)
    return place


async def _recorded(link: Connection, operation: str, record: Record, *, back: bool) -> Place:
    flavor = link.server.flavor
    # None that was prepared when the tables were swapped had written to them: its locks would have held us.
    unread = None if back else _unread(record)

    def place(position: Position | None, gtids: object) -> Place:
        return Place(position or SOMEWHERE, None if gtids is None else gtids_of(flavor, str(gtids)), unread)

    origin = place(record.flip, record.flip_gtid) if back else place(record.start, record.start_gtid)
    row = await link.fetch_one(
        f"SELECT file, offset_, gtid FROM {STATE}.stream_position WHERE id = %s", operation
    )
    if row is None:
        return origin
    saved = place(Position.of(str(row[0]), int(row[1])), row[2])
    return origin.or_later(saved) if back else saved


def _unread(record: Record) -> Position:
    found = json.loads(record.options or "{}").get("unread")
    return Position.of(str(found[0]), int(found[1])) if found else SOMEWHERE


async def _taken_over(
    link: Connection, journal: Journal, record: Record, place: Place, identity: str
) -> Place:
    """Go on at another server, if it knows what we have seen; the record is then of this server."""
    if place.gtids is None:
        raise StreamBroken(
            "this is not the server on which the operation began: its binary log has other positions, and "
            "without GTIDs nobody can tell where to go on",
            hint=f"{REWRITTEN}; with gtid_mode=ON a deployment survives a fail-over",
        )
    await _must_know(link, place.gtids, by_gtid=True)
    texts: dict[str, str | int | None] = {
        "server_identity": identity,
        "lock_connections": "",
        "start_file": "",
        "start_offset": 0,
        "flip_file": "",
        "flip_offset": 0,
    }
    texts |= await _identities(link, record)

    async def take_over(connection: Connection) -> None:
        await journal.write(connection, Change(texts))
        await connection.execute(
            f"INSERT INTO {STATE}.stream_position (id, file, offset_, gtid) VALUES (%s, '', 0, %s) "
            "ON DUPLICATE KEY UPDATE file = '', offset_ = 0, gtid = VALUES(gtid)",
            *(journal.operation, str(place.gtids)),
        )
        await forget_position(connection, journal.operation)

    await journal.guarded(take_over)
    log.warning("stream.taken_over", operation=journal.operation, server=identity, gtids=str(place.gtids))
    # A place on the former server means nothing here.
    return replace(place, position=SOMEWHERE, unread=place.unread and SOMEWHERE)


async def _identities(link: Connection, record: Record) -> dict[str, str]:
    """Return the numbers that the tables have on this server, by the record's columns.

    Whether one is the table that was changed, its rows' keys will tell.
    """
    names = {"old_identity": record.table_name}
    if record.phase is Phase.REVERTIBLE:
        names = {"old_identity": record.old, "new_identity": record.table_name}
    elif record.phase is Phase.REVERTED:
        names |= {"new_identity": record.shadow}
    return {
        column: await identity_of(link, record.table_schema, table) if table else ""
        for column, table in names.items()
    }


async def _must_know(link: Connection, gtids: Gtids, *, by_gtid: bool) -> None:
    if isinstance(gtids, MariadbGtids):
        known = str(await link.fetch_value(MARIADB_KNOWS))
        here, purged_only_known, mode = _mariadb_knows(known, gtids), True, "ON"
    else:
        row = await link.fetch_one(MYSQL_KNOWS, str(gtids), str(gtids))
        assert row is not None
        here, purged_only_known, mode = bool(row[0]), bool(row[1]), str(row[2])
    if not here:
        raise StreamBroken(
            "the server does not have all transactions that this change has seen: it was restored from a "
            "backup, or took over without having received them",
            hint=REWRITTEN,
        )
    if by_gtid and mode != "ON":
        raise StreamBroken(
            f"another server answers, and its gtid_mode is {mode}: nobody can tell where to go on",
            hint=REWRITTEN,
        )
    if by_gtid and not purged_only_known:
        raise LogGone(
            "another server answers, and it has deleted binary logs that were still to be read",
            hint=f"{REWRITTEN}; keep binary logs for longer than a deployment takes",
        )


def _mariadb_knows(state: str, gtids: MariadbGtids) -> bool:
    """Whether a server's gtid_binlog_state, the last of every server in every domain, goes as far."""
    last: dict[tuple[str, str], int] = {}
    for part in filter(None, state.replace(" ", "").split(",")):
        domain, server, number = part.split("-")
        last[domain, server] = int(number)
    wanted = (part.split("-") for part in str(gtids).split(",") if part)
    return all(last.get((domain, server), -1) >= int(number) for domain, server, number in wanted)
