"""I run one table through the engine, top to bottom: shadow, copy, follow, verify, cut over, and back."""

from __future__ import annotations

import asyncio
import json
import time

import structlog

from conf.settings import MigratorSettings
from migrator.engine.checks import preflight
from migrator.engine.checks.inspection import refuse_losses
from migrator.engine.companions.companions import Names
from migrator.engine.companions.rehearsal import rehearse
from migrator.engine.companions.stock import take_stock
from migrator.engine.companions.triggers import TriggerPlan
from migrator.engine.ground.definers import MIGRATING, Definers
from migrator.engine.ground.failpoints import reach
from migrator.engine.ground.journal import Record, read_server_identity
from migrator.engine.ground.operation import Phase, Status
from migrator.engine.ground.owned import Told
from migrator.engine.ground.progress import COPYING, VERIFYING, Progress, stalled
from migrator.engine.rows.again import Again
from migrator.engine.rows.beginning import log_place, prepared_are_over, where_to_begin
from migrator.engine.rows.building import build_indexes
from migrator.engine.rows.checksum import Checksum
from migrator.engine.rows.copier import Copier
from migrator.engine.rows.follow import Follower
from migrator.engine.rows.followed import read_followed
from migrator.engine.rows.ranges import Ranges, ranges_of
from migrator.engine.rows.span import Span, copied_up_to, key_span
from migrator.engine.swap.cutover import TrafficGate
from migrator.engine.swap.part import Way
from migrator.engine.swap.sentry import remove_sentry
from migrator.engine.swap.swapped import UTC, Swapped
from migrator.engine.table import statements
from migrator.engine.table.deferred import may_be_deferred, split
from migrator.engine.table.identity import identity_of
from migrator.engine.table.pair import Pair, Renames, check_new_columns, inverse, match, renamed
from migrator.engine.table.shadow import create_shadow, free_names, raise_counter
from migrator.engine.table.shape import Shape, fingerprint, read_shape, show_create
from migrator.errors import (
    MigratorError,
    NotNow,
    SourceChanged,
    WrongPhase,
)
from migrator.throttle.throttler import Throttle
from router.database import Connection, quote_name
from router.errors import ConnectionLost
from router.model import Server

log = structlog.get_logger()


class OnlineAlter(Swapped):
    """One table's change by a shadow table; an Operation.

    `target_sql` is the canonical CREATE TABLE of the new definition, under the table's own name. The state is
    on the server, so any process may go on with an operation of the same `id` after this one is gone. How the
    tables change places is inherited. With `triggers`, its triggers change at the same moment, and belong to
    whom `definers` say.
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
        *,
        renames: Renames | None = None,
        allow_lossy: bool = False,
        triggers: TriggerPlan | None = None,
        definers: Definers = MIGRATING,
    ) -> None:
        super().__init__(id, server, schema, table, target_sql, gate, settings)
        self._triggers, self._definers = triggers, definers
        self._renames: Renames = dict(renames or {})
        self._throttle = throttle
        self._copier: Copier | None = None
        self._checksum: Checksum | None = None
        self._progress = Progress(0, 0)
        self._span: Span | None = None
        self._copied_before = 0
        self._allow_lossy = allow_lossy
        self._again = Again(settings.verify_again_s, self._compare_again, self._differs)

    async def prepare(self) -> None:
        """Go on from whatever was persisted and return when READY, or at once when already past it."""
        async with Told(self):
            record = await self._open()
            record = await self._resolved(record)
            if record.phase is Phase.PENDING:
                record = await self._make_shadow(record)
            if record.phase is Phase.FAILED:
                raise WrongPhase(record.failure or "this operation has failed", hint="cancel it")
            if record.phase in (Phase.COPYING, Phase.READY):
                await self._copy_and_verify(record)
            elif record.phase is Phase.REVERTIBLE:
                await self._follow_former(record)
                await self._must_follow().catch_up()
            elif record.phase is Phase.REVERTED:
                await self._keep_current(record)
            elif record.phase in (Phase.FINALIZED, Phase.CANCELLED):
                await self._drop_leftovers(record)

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
            record = await self._resolved(await self._open())
            if record.phase not in (
                *(Phase.PENDING, Phase.COPYING, Phase.READY, Phase.FAILED, Phase.CANCELLED),
            ):
                raise WrongPhase(f"the operation is {record.phase} and cannot be cancelled", hint="revert it")
            await self._stop_following()
            if record.phase is not Phase.CANCELLED:
                if record.old:
                    await remove_sentry(self.journal, self._swap_of(record, Way.FORTH))
                record = await self._save(phase=Phase.CANCELLED, old="")
            await self._drop_leftovers(record)

    def status(self) -> Status:
        """Say what is going on, from memory."""
        record, follower, copier = self._record, self._follower, self._copier
        phase = record.phase if record else Phase.PENDING
        copied = copier.rows if copier else self._copied_before
        if phase in (Phase.READY, Phase.CUTTING, Phase.REVERTIBLE):
            copied = max(copied, self._rows_total)
        verified = self._checksum.rows if self._checksum else 0
        place = copied_up_to(follower.ranges, self._span) if follower else None
        seen = self._progress.look(time.monotonic(), self._activity, copied, verified, place)
        throttled = self._throttle.explain() if phase is Phase.COPYING else None
        failure = self._failure or (record.failure if record else None)
        if follower is not None and follower.background.failure is not None:
            failure = str(follower.background.failure)
        return Status(
            phase=phase,
            rows_copied=copied,
            rows_total=seen.rows_total if self._activity == COPYING else max(self._rows_total, copied),
            rows_per_s=seen.rows_per_s,
            eta_s=seen.eta_s,
            pending_keys=follower.pending if follower else 0,
            stream_lag_s=follower.lag_s if follower else 0.0,
            activity=copier.activity if copier and self._activity == "copying" else self._activity,
            throttled=throttled,
            failure=failure,
            revert_blocked=self._revert_blocked(),
            rows_verified=verified,
            bytes_copied=seen.bytes_done,
            bytes_total=seen.bytes_total,
            eta_low_s=seen.eta_low_s,
            eta_high_s=seen.eta_high_s,
            stalled=stalled(seen, throttled or self._activity),
        )

    # --- steps -------------------------------------------------------------------------------------------

    async def _make_shadow(self, record: Record) -> Record:
        """Check everything, then make the shadow table and fix where following begins."""
        self._activity = "preparing"
        async with await Connection.open(self._server, setup=statements.session(self._server.flavor)) as link:
            source = await self._shape(link, self._table)
            await preflight.check_table(link, source, self._target_sql)
            await prepared_are_over(link)
            stock = await self._take_stock(link)
            definition = fingerprint(await show_create(link, self._schema, self._table))
            if record.definition and record.definition != definition:
                raise self._changed("while it waited for its turn")
            if not record.shadow:
                shadow, old = await free_names(link, self._schema, self._table)
                record = await self._save(shadow=shadow, old=old, companions=stock)
                reach("shadow-named")
            await self._drop(record.shadow)  # of an interrupted attempt
            now_sql = self._target_sql
            if not self._throttle.enabled and await may_be_deferred(link):
                now_sql, _ = split(now_sql)
            await create_shadow(link, self.id, self._schema, self._table, record.shadow, now_sql)
            await raise_counter(link, self.id, self._schema, self._table, record.shadow)
            reach("shadow-created")
            try:
                pair = match(source, await self._shape(link, record.shadow), renames=self._renames)
                check_new_columns(pair)
                names = Names(self._schema, self._table, record.shadow, record.old)
                complete = await rehearse(link, self.id, names, stock)
                for each in (pair, pair.reversed()):
                    await preflight.check_row_image(link, each.source_index == "PRIMARY")
                self._activity = "looking for rows that do not fit"
                await refuse_losses(self._server, pair, self._throttle, allow_lossy=self._allow_lossy)
                if pair.helper:
                    await link.execute(f"{pair.add_helper} /* {statements.tag(self.id)} */")
            except MigratorError:
                await self._drop(record.shadow)
                raise
            table = await identity_of(link, self._schema, self._table)
            identity = await read_server_identity(link)
            start = await log_place(link)
            unread = await prepared_are_over(link)
            # What somebody changed before this place the log will not tell.
            changed = definition != fingerprint(await show_create(link, self._schema, self._table))
            if changed or stock != await self._take_stock(link):
                raise self._changed("while the deployment was prepared")
        return await self._save(
            phase=Phase.COPYING,
            start=start.position,
            start_gtid=None if start.gtids is None else str(start.gtids),
            definition=definition,
            server_identity=identity,
            old_identity=table,
            companions=complete,
            key_columns=json.dumps(pair.key.names),
            options=json.dumps(
                {
                    **json.loads(record.options or "{}"),
                    "renames": dict(self._renames),
                    "unread": [unread.file, unread.offset],
                }
            ),
        )

    async def _take_stock(self, link: Connection) -> str:
        place = self._schema, self._table, self._target_sql
        return await take_stock(link, *place, self._triggers, self._definers)

    def _changed(self, when: str) -> SourceChanged:
        return SourceChanged(
            f"the definition of {self._schema}.{self._table} changed {when}",
            hint="cancel this deployment and start a new one",
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
            self._again.start()
            return
        copier = Copier(follower, self._throttle, self.settings, zone=self._zone, copied=self._copied_before)
        self._copier, self._activity = copier, COPYING
        await follower.background.alongside(copier.run())
        reach("copied")
        self._rows_total = copier.rows
        self._activity = "building indexes"
        building = build_indexes(self._server, self.id, self._schema, record.shadow, self._target_sql)
        await follower.background.alongside(building)
        reach("indexes-built")
        self._activity = "catching up"
        await follower.background.alongside(self._settle(follower))
        self._activity = "analyzing"
        # Written to the log, so that replicas have statistics of the new table too.
        await self.journal.execute(
            f"ANALYZE TABLE {quote_name(self._schema)}.{quote_name(record.shadow)} "
            f"/* {statements.tag(self.id)} */"
        )
        self._activity = VERIFYING
        self._checksum = Checksum(follower, self._throttle, self.settings, zone=self._zone)
        await follower.background.alongside(self._checksum.run())
        if not self._allow_lossy:
            # Values written meanwhile may have been rounded without a word.
            await refuse_losses(
                self._server, follower.pair, self._throttle, allow_lossy=False, silent_only=True
            )
        await follower.background.alongside(self._settle(follower))
        await self._save(phase=Phase.READY, verified=1)
        self._activity = "following"
        self._again.start()
        reach("ready")

    async def _stop_comparing(self) -> None:
        await self._again.stop()

    async def _compare_again(self) -> None:
        follower = self._must_follow()
        await Checksum(follower, self._throttle, self.settings, zone=self._zone).run()

    async def _differs(self, error: MigratorError) -> None:
        """Hold the cut-over: what was the same is not any more, and nobody has looked at it."""
        log.error("verification.failed", operation=self.id, table=self._table, reason=str(error))
        self._failure = str(error)
        await self._save(phase=Phase.FAILED, failure=self._failure)

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
        await self.journal.renew()
        async with await Connection.open(self._server, setup=statements.session(self._server.flavor)) as link:
            start = await where_to_begin(link, self.journal, back=False)
            source, target = await self._shape(link, self._table), await self._shape(link, record.shadow)
            wanted = tuple(json.loads(record.key_columns or "[]"))
            pair = match(source, target, prefer=wanted, renames=self._renames_of(record))
            self._zone = await self._choose_zone(link, pair)
            self._rows_total = source.rows
            self._span = await key_span(link, pair)
            self._progress = Progress(source.rows, source.row_bytes, self._span)
            rows = await link.fetch_all(
                f"SELECT low_key, high_key, row_count FROM {statements.STATE}.chunk WHERE id = %s", self.id
            )
        done = [(pair.key.load(low), pair.key.load(high)) for low, high, _ in rows]
        self._copied_before = sum(int(count) for _, _, count in rows)
        follower = Follower(
            self.journal, pair, ranges_of(pair.key, done), start, zone=self._zone, throttle=self._throttle
        )
        follower.start()
        self._follower = follower
        return follower

    async def _follow_former(self, record: Record) -> Follower:
        """Keep the table that is not in use current from the moment of the swap on."""
        if self._follower is not None:
            return self._follower
        back = record.phase is Phase.REVERTIBLE
        await self.journal.renew()
        async with await Connection.open(self._server, setup=statements.session(self._server.flavor)) as link:
            start = await where_to_begin(link, self.journal, back=True)
            followed = await read_followed(link, self.id)
            record = self._record_now
            # What goes with the table in use must be gone from the other before it is written to.
            await self._tidy(record, Way.FORTH if back else Way.BACK, happened=True)
            source = await self._shape(link, self._table)
            target = await self._shape(link, record.old if back else record.shadow)
            renames = self._renames_of(record)
            wanted = tuple(json.loads(record.key_columns or "[]"))
            if back:
                renames, wanted = inverse(renames), renamed(wanted, renames)
            pair = match(source, target, prefer=wanted, renames=renames)
            self._zone = await self._choose_zone(link, pair)
            self._rows_total = source.rows
            if back and not record.new_identity:
                identity = await identity_of(link, self._schema, self._table)
                record = await self._save(new_identity=identity)
        follower = Follower(
            *(self.journal, pair, Ranges.copied(), start),
            zone=self._zone,
            lenient=True,
            followed=followed,
            throttle=self._throttle,
        )
        await follower.load_quarantine()
        follower.start()
        self._follower = follower
        self._activity = f"keeping the {'old' if back else 'new'} table current"
        return follower

    def _renames_of(self, record: Record) -> Renames:
        """Return what was asked for when the operation began, whoever goes on with it."""
        stored = json.loads(record.options or "{}").get("renames")
        return self._renames if stored is None else dict(stored)

    async def _shape(self, link: Connection, table: str) -> Shape:
        shape = await read_shape(link, self._schema, table)
        if shape is None:
            raise MigratorError(f"there is no table {self._schema}.{table}")
        return shape

    async def _choose_zone(self, link: Connection, pair: Pair) -> str:
        """Convert between TIMESTAMP and anything else in the server's own time zone, as ALTER TABLE would."""
        source, target = pair.source, pair.target
        crossing = any(
            (a := source.column(each.source)) is not None
            and (b := target.column(each.target)) is not None
            and (a.data_type == "timestamp") != (b.data_type == "timestamp")
            for each in pair.converted
        )
        if not crossing:
            return UTC
        if any(column.data_type == "timestamp" for column in pair.key.columns):
            raise MigratorError(
                f"{source.name} has a TIMESTAMP in its key and converts another one",
                hint="make the two changes one after the other",
            )
        return str(await link.fetch_value("SELECT @@GLOBAL.time_zone"))
