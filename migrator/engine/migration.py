"""I run one table through the engine, top to bottom: shadow, copy, follow, verify, cut over, and back."""

from __future__ import annotations

import asyncio
import json
import time

import structlog

from conf.settings import MigratorSettings
from migrator.engine import preflight, statements
from migrator.engine.checksum import Checksum
from migrator.engine.copier import Copier
from migrator.engine.cutover import (
    CutOverAttempt,
    Swap,
    TrafficGate,
    has_happened,
    patience_s,
    remove_sentry,
)
from migrator.engine.events import Position
from migrator.engine.failpoints import reach
from migrator.engine.follow import Follower, log_position
from migrator.engine.journal import Record, read_server_identity
from migrator.engine.operation import CutOver, Phase, Status
from migrator.engine.owned import BACKOFF_S, Owned, Told
from migrator.engine.pair import Pair, check_new_columns, match
from migrator.engine.ranges import Ranges
from migrator.engine.shadow import create_shadow, free_names, raise_counter
from migrator.engine.shape import Shape, fingerprint, read_shape, show_create
from migrator.errors import (
    DataConflict,
    MigratorError,
    NotNow,
    StreamBroken,
    WrongPhase,
)
from migrator.throttle.throttler import Throttle
from router.database import Connection, quote_name
from router.errors import ConnectionLost, DatabaseError
from router.model import Server

log = structlog.get_logger()

UTC = "+00:00"


class OnlineAlter(Owned):
    """One table's change by a shadow table; an Operation.

    `target_sql` is the canonical CREATE TABLE of the new definition, under the table's own name. The state is
    on the server, so any process may go on with an operation of the same `id` after this one is gone.
    """

    kind = "alter"

    def __init__(
        self,
        id: str,  # noqa: A002 - what an Operation calls it
        server: Server,
        schema: str,
        table: str,
        target_sql: str,
        gate: TrafficGate,
        throttle: Throttle,
        settings: MigratorSettings,
    ) -> None:
        super().__init__(id, server, schema, table, target_sql)
        self._gate, self._throttle, self._settings = gate, throttle, settings
        self._follower: Follower | None = None
        self._copier: Copier | None = None
        self._checksum: Checksum | None = None
        self._rows_total = 0
        self._copy_started_s = 0.0
        self._copied_before = 0
        self._zone = UTC

    async def prepare(self) -> None:
        """Go on from whatever was persisted and return when READY, or at once when already past it."""
        async with Told(self):
            record = await self._open()
            if record.phase in (Phase.CUTTING, Phase.REVERTING):
                record = await self._resolve(record)
            if record.phase is Phase.PENDING:
                record = await self._make_shadow(record)
            if record.phase is Phase.FAILED:
                raise WrongPhase(record.failure or "this operation has failed", hint="cancel it")
            if record.phase in (Phase.COPYING, Phase.READY):
                await self._copy_and_verify(record)
            elif record.phase is Phase.REVERTIBLE:
                await self._follow_back(record)
                await self._must_follow().catch_up()
            elif record.phase in (Phase.FINALIZED, Phase.CANCELLED):
                await self._drop_leftovers(record)

    async def cut_over(self) -> CutOver:
        """Put the new table in place, trying again with growing pauses; returns when REVERTIBLE."""
        async with Told(self):
            record = await self._known(Phase.READY, Phase.CUTTING, Phase.REVERTIBLE)
            if record.phase is Phase.CUTTING:
                record = await self._resolve(record)
            if record.phase is Phase.REVERTIBLE:
                await self._follow_back(record)
                return CutOver(0.0, 0)
            if self._follower is None:
                await self._copy_and_verify(record)
            result = await self._swap(Swap(self._schema, self._table, record.shadow, record.old))
            await self._follow_back(self._record_now)
            return result

    async def revert(self) -> CutOver:
        """Put the old table back with everything written since; REVERTIBLE becomes REVERTED."""
        async with Told(self):
            record = await self._known(Phase.REVERTIBLE, Phase.REVERTING, Phase.REVERTED)
            if record.phase is Phase.REVERTING:
                record = await self._resolve(record)
            if record.phase is Phase.REVERTED:
                return CutOver(0.0, 0)
            await self._follow_back(record)
            result = await self._swap(Swap(self._schema, self._table, record.old, record.shadow))
            await self._stop_following()
            return result

    async def finalize(self) -> None:
        """Drop the old table, or after a revert the new one; ends in FINALIZED."""
        async with Told(self):
            record = await self._known(Phase.REVERTIBLE, Phase.REVERTED, Phase.FINALIZED)
            await self._stop_following()
            if record.phase is not Phase.FINALIZED:
                # Only one of the names is a table that nobody uses; the other is not there.
                if record.phase is Phase.REVERTED:
                    record = await self._save(phase=Phase.FINALIZED, old="")
                else:
                    record = await self._save(phase=Phase.FINALIZED, shadow="")
                reach("finalized")
            await self._drop_leftovers(record)

    async def cancel(self) -> None:
        """Give up before the cut-over and leave nothing behind; ends in CANCELLED."""
        async with Told(self):
            record = await self._open()
            if record.phase is Phase.CUTTING:
                record = await self._resolve(record)
            if record.phase not in (
                *(Phase.PENDING, Phase.COPYING, Phase.READY, Phase.FAILED, Phase.CANCELLED),
            ):
                raise WrongPhase(f"the operation is {record.phase} and cannot be cancelled", hint="revert it")
            await self._stop_following()
            if record.phase is not Phase.CANCELLED:
                if record.old:
                    await remove_sentry(
                        self._journal, Swap(self._schema, self._table, record.shadow, record.old)
                    )
                record = await self._save(phase=Phase.CANCELLED, old="")
            await self._drop_leftovers(record)

    def status(self) -> Status:
        """Say what is going on, from memory."""
        record, follower, copier = self._record, self._follower, self._copier
        phase = record.phase if record else Phase.PENDING
        copied = copier.rows if copier else self._copied_before
        if phase in (Phase.READY, Phase.CUTTING, Phase.REVERTIBLE):
            copied = max(copied, self._rows_total)
        rate = eta_s = None
        if copier is not None and phase is Phase.COPYING:
            elapsed_s = max(time.monotonic() - self._copy_started_s, 0.001)
            rate = (copied - self._copied_before) / elapsed_s
            if rate > 0:
                eta_s = max(self._rows_total - copied, 0) / rate
        failure = self._failure or (record.failure if record else None)
        if follower is not None and follower.background.failure is not None:
            failure = str(follower.background.failure)
        return Status(
            phase=phase,
            rows_copied=copied,
            rows_total=max(self._rows_total, copied),
            rows_per_s=rate or 0.0,
            eta_s=eta_s,
            pending_keys=follower.pending if follower else 0,
            stream_lag_s=follower.lag_s if follower else 0.0,
            activity=copier.activity if copier and self._activity == "copying" else self._activity,
            throttled=self._throttle.explain() if phase is Phase.COPYING else None,
            failure=failure,
            revert_blocked=self._revert_blocked(),
        )

    # --- steps -------------------------------------------------------------------------------------------

    async def _make_shadow(self, record: Record) -> Record:
        """Check everything, then make the shadow table and fix where following begins."""
        self._activity = "preparing"
        async with await Connection.open(self._server, setup=statements.session(self._server.flavor)) as link:
            source = await self._shape(link, self._table)
            await preflight.check_table(link, source, self._target_sql)
            await preflight.check_prepared(link)
            if not record.shadow:
                shadow, old = await free_names(link, self._schema, self._table)
                record = await self._save(shadow=shadow, old=old)
                reach("shadow-named")
            await self._drop(record.shadow)  # of an interrupted attempt
            await create_shadow(link, self.id, self._schema, self._table, record.shadow, self._target_sql)
            await raise_counter(link, self.id, self._schema, self._table, record.shadow)
            reach("shadow-created")
            try:
                pair = match(source, await self._shape(link, record.shadow))
                check_new_columns(pair)
                await preflight.check_row_image(link, pair.source_index == "PRIMARY")
            except MigratorError:
                await self._drop(record.shadow)
                raise
            definition = fingerprint(await show_create(link, self._schema, self._table))
            identity = await read_server_identity(link)
        start = await log_position(self._journal, self._server.version)
        return await self._save(
            phase=Phase.COPYING,
            start=start,
            definition=definition,
            server_identity=identity,
            key_columns=json.dumps(pair.key.names),
        )

    async def _copy_and_verify(self, record: Record) -> None:
        try:
            await self._copy_and_verify_with(record)
        except BaseException:
            # A chunk that was cut off may yet be committed: only a fresh start knows what is copied.
            await self._stop_following()
            raise

    async def _copy_and_verify_with(self, record: Record) -> None:
        follower = self._follower or await self._follow_forward(record)
        if record.phase is Phase.READY:
            return
        copier = Copier(follower, self._throttle, self._settings, zone=self._zone, copied=self._copied_before)
        self._copier, self._copy_started_s, self._activity = copier, time.monotonic(), "copying"
        await follower.background.alongside(copier.run())
        reach("copied")
        self._rows_total = copier.rows
        self._activity = "catching up"
        await follower.background.alongside(self._settle(follower))
        self._activity = "analyzing"
        # Written to the log, so that replicas have statistics of the new table too.
        await self._journal.execute(
            f"ANALYZE TABLE {quote_name(self._schema)}.{quote_name(record.shadow)} "
            f"/* {statements.tag(self.id)} */"
        )
        self._activity = "verifying"
        self._checksum = Checksum(follower, self._throttle, self._settings, zone=self._zone)
        await follower.background.alongside(self._checksum.run())
        await follower.background.alongside(self._settle(follower))
        await self._save(phase=Phase.READY, verified=1)
        self._activity = "following"
        reach("ready")

    async def _settle(self, follower: Follower) -> None:
        """Return when nearly nothing is waiting."""
        while True:
            try:
                await follower.catch_up()
                await follower.flush()
                if follower.pending < 500:
                    return
            except (NotNow, ConnectionLost) as error:
                log.info("operation.settling", operation=self.id, reason=str(error))
                await asyncio.sleep(0.2)

    async def _follow_forward(self, record: Record) -> Follower:
        await self._journal.renew()
        async with await Connection.open(self._server, setup=statements.session(self._server.flavor)) as link:
            await self._check_server_unchanged(link, record)
            source, target = await self._shape(link, self._table), await self._shape(link, record.shadow)
            wanted = tuple(json.loads(record.key_columns or "[]"))
            pair = match(source, target, prefer=wanted)
            self._zone = await self._choose_zone(link, pair)
            self._rows_total = source.rows
            rows = await link.fetch_all(
                f"SELECT low_key, high_key, row_count FROM {statements.STATE}.chunk WHERE id = %s", self.id
            )
            start = await self._position(link, record.start)
        done = [(pair.key.load(low), pair.key.load(high)) for low, high, _ in rows]
        self._copied_before = sum(int(count) for _, _, count in rows)
        done.sort(key=lambda bounds: (bounds[0] is not None, bounds[0]))
        follower = Follower(self._journal, pair, Ranges(done), start, zone=self._zone)
        follower.start()
        self._follower = follower
        return follower

    async def _follow_back(self, record: Record) -> Follower:
        """Keep the old table current from the moment of the swap on."""
        if self._follower is not None:
            return self._follower
        await self._journal.renew()
        async with await Connection.open(self._server, setup=statements.session(self._server.flavor)) as link:
            await self._check_server_unchanged(link, record)
            source, target = await self._shape(link, self._table), await self._shape(link, record.old)
            pair = match(source, target, prefer=tuple(json.loads(record.key_columns or "[]")))
            self._zone = await self._choose_zone(link, pair)
            self._rows_total = source.rows
            assert record.flip is not None
            start = max(record.flip, await self._position(link, record.flip))
        follower = Follower(self._journal, pair, Ranges.copied(), start, zone=self._zone, lenient=True)
        await follower.load_quarantine()
        follower.start()
        self._follower, self._activity = follower, "keeping the old table current"
        return follower

    def _must_follow(self) -> Follower:
        assert self._follower is not None
        return self._follower

    async def _stop_following(self) -> None:
        if self._follower is not None:
            follower, self._follower = self._follower, None
            await follower.stop()

    async def _position(self, link: Connection, otherwise: Position | None) -> Position:
        row = await link.fetch_one(
            f"SELECT file, offset_ FROM {statements.STATE}.stream_position WHERE id = %s", self.id
        )
        if row is not None:
            return Position.of(str(row[0]), int(row[1]))
        assert otherwise is not None
        return otherwise

    async def _check_server_unchanged(self, link: Connection, record: Record) -> None:
        if await read_server_identity(link) != record.server_identity:
            raise StreamBroken(
                "this is not the server on which the operation began: its binary log has other positions",
                hint="cancel this deployment and start a new one",
            )

    async def _swap(self, swap: Swap) -> CutOver:
        """Try until it is done; each attempt either has no effect or is told apart by the names."""
        forward = swap.incoming == self._record_now.shadow
        ahead, done = (Phase.CUTTING, Phase.REVERTIBLE) if forward else (Phase.REVERTING, Phase.REVERTED)
        before = Phase.READY if forward else Phase.REVERTIBLE
        for attempts in _count():
            follower = self._must_follow()
            follower.background.check()
            if not forward and (blocked := self._revert_blocked()):
                raise DataConflict(blocked, hint="correct these rows, or keep the new table")
            self._activity = "cutting over" if forward else "reverting"
            attempt = CutOverAttempt(
                follower,
                swap,
                self._gate,
                zone=self._zone,
                lock_wait_ms=self._settings.lock_wait_ms,
                definition=await self._live_definition(),
                write_ahead=lambda position: self._write_ahead(ahead, position),
                locked_max_s=patience_s(attempts),
            )
            try:
                lock_ms = await attempt.run()
            except (NotNow, DatabaseError) as error:
                if attempt.written_ahead and await self._ask_names(swap):
                    lock_ms = 0.0
                else:
                    if attempt.written_ahead:
                        await self._save(phase=before)
                    pause_s = BACKOFF_S[min(attempts, len(BACKOFF_S)) - 1]
                    self._activity = f"trying again in {pause_s:g} s: {error}"
                    log.info("cutover.postponed", operation=self.id, reason=str(error), attempt=attempts)
                    await asyncio.sleep(pause_s)
                    continue
            await self._stop_following()
            await self._save(phase=done)
            reach("swapped" if forward else "reverted")
            return CutOver(lock_ms, attempts)
        raise AssertionError("unreachable")

    async def _write_ahead(self, phase: Phase, position: Position) -> None:
        if phase is Phase.CUTTING:
            await self._save(phase=phase, flip=position)
        else:
            await self._save(phase=phase)

    async def _live_definition(self) -> str:
        if self._record_now.phase is Phase.READY:
            return self._record_now.definition
        async with await Connection.open(self._server, setup=statements.session(self._server.flavor)) as link:
            return fingerprint(await show_create(link, self._schema, self._table))

    async def _ask_names(self, swap: Swap) -> bool:
        """After an interrupted swap: wait until nobody can do it any more, then see what happened."""
        happened: list[bool] = []

        async def ask(connection: Connection) -> None:
            happened.append(await has_happened(connection, swap))

        await self._journal.end_lock_connections()
        await self._journal.using(ask)
        await remove_sentry(self._journal, swap)
        return happened[-1]

    async def _resolve(self, record: Record) -> Record:
        """Find out whether a swap that was about to happen did."""
        forward = record.phase is Phase.CUTTING
        incoming, outgoing = (record.shadow, record.old) if forward else (record.old, record.shadow)
        happened = await self._ask_names(Swap(self._schema, self._table, incoming, outgoing))
        if forward:
            phase = Phase.REVERTIBLE if happened else Phase.READY
        else:
            phase = Phase.REVERTED if happened else Phase.REVERTIBLE
        if happened:
            await self._stop_following()
        log.info("operation.resolved", operation=self.id, table=self._table, phase=str(phase))
        return await self._save(phase=phase)

    async def _shape(self, link: Connection, table: str) -> Shape:
        shape = await read_shape(link, self._schema, table)
        if shape is None:
            raise MigratorError(f"there is no table {self._schema}.{table}")
        return shape

    async def _choose_zone(self, link: Connection, pair: Pair) -> str:
        """Convert between TIMESTAMP and anything else in the server's own time zone, as ALTER TABLE would."""
        source, target = pair.source, pair.target
        crossing = any(
            (a := source.column(name)) is not None
            and (b := target.column(name)) is not None
            and (a.data_type == "timestamp") != (b.data_type == "timestamp")
            for name in pair.converted
        )
        if not crossing:
            return UTC
        if any(column.data_type == "timestamp" for column in pair.key.columns):
            raise MigratorError(
                f"{source.name} has a TIMESTAMP in its key and converts another one",
                hint="make the two changes one after the other",
            )
        return str(await link.fetch_value("SELECT @@GLOBAL.time_zone"))

    def _revert_blocked(self) -> str | None:
        follower = self._follower
        if follower is None or not follower.quarantined:
            return None
        key = follower.pair.key
        shown = ", ".join(key.text(each) for each in list(follower.quarantined)[:5])
        error = next(iter(follower.quarantined.values()))
        return (
            f"{len(follower.quarantined)} rows written since do not fit the old definition: {shown} "
            f"({error.message})"
        )


def _count() -> range:
    return range(1, 1_000_000)
