"""I run one case on one server: change, compare, revert, compare, change again, compare, and clean up."""

from __future__ import annotations

import random
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from migrator.engine.migration import OnlineAlter
from router.database import Connection, quote_name
from router.errors import DatabaseError
from router.servers.process import LocalServer
from tests.conformance.compare import assert_equal_rows, counter, definition, tables
from tests.conformance.corpus import Case, Script
from tests.conformance.engine import Engine, Mother, Orders, StepFailed, new_line
from tests.conformance.traffic import Traffic
from tests.support.servers import fresh_schema

LENIENT = "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'"
STATE_OF = ("chunk", "stream_position", "followed", "quarantine", "fence")
BATCH = 500
WRITES = 12
NO_DATA = re.compile(r"(INSERT|UPDATE|DELETE|CREATE TRIGGER|CREATE DEFINER|CREATE VIEW)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Setting:
    """How a case is run; `seed` decides everything that is random, `kills` that the engine is killed once."""

    copiers: int
    row_image: str
    seed: int
    kills: bool = False

    def __str__(self) -> str:
        return f"{self.copiers} copiers, {self.row_image}, seed {self.seed}{', killed' if self.kills else ''}"


class Scenario:
    """One run."""

    def __init__(
        self, local: LocalServer, mother: Mother, case: Case, setting: Setting, names: tuple[str, str, str]
    ) -> None:
        self._local, self._mother, self._case, self._setting = local, mother, case, setting
        self.schema, self.twin, self.native = names
        self._chance = random.Random(setting.seed)
        self.told = ""

    async def run(self) -> None:
        """Do it all; raises AssertionError with what is wrong."""
        local, case = self._local, self._case
        async with await Connection.open(
            local.server, setup=[LENIENT, "SET SESSION foreign_key_checks = 0", *case.settings]
        ) as admin:
            for schema in (self.schema, self.twin):
                await self._load(admin, schema, case.create)
            orders = await self._orders(admin)
            kill_after_s = self._chance.uniform(0.02, 4.0) if self._setting.kills else None
            engine = Engine(self._mother, orders, kill_after_s)
            traffic = Traffic(local.server, self.schema, self.twin, case, self._setting.seed)
            traffic.start()
            try:
                await traffic.more(WRITES)
                refusal = case.expected_refusal(self._setting.row_image)
                if refusal is not None:
                    await self._refused(admin, engine, traffic, refusal)
                else:
                    await self._there_and_back(admin, engine, traffic)
            finally:
                engine.forget_kill()
                if self._setting.kills:
                    self.told = f"killed after {kill_after_s:.2f} s in {engine.killed_in or 'no step'}"
                await engine.end()
                await traffic.stop()
            await self._nothing_left(admin, orders.id)

    async def _there_and_back(self, admin: Connection, engine: Engine, traffic: Traffic) -> None:
        await engine.do("prepare")
        await engine.do("cut_over")
        await traffic.more(WRITES)
        await traffic.stop()
        await self._is_changed(admin, traffic, "after the change")
        traffic.start()
        await traffic.more(WRITES)
        await engine.do("revert")
        await traffic.more(WRITES)
        await traffic.stop()
        await self._is_as_before(admin, traffic, "after the revert")
        redone = hasattr(OnlineAlter, "redo")
        if redone:
            traffic.start()
            await engine.do("redo")
            await traffic.more(WRITES)
            await traffic.stop()
            await self._is_changed(admin, traffic, "after the second change")
        await engine.do("finalize")
        native = self.native if redone else self.twin
        ours, theirs = (
            await definition(admin, self.schema, "t", ours=True),
            await definition(admin, native, "t"),
        )
        assert ours == theirs, f"at the end: another definition:\n{ours}\nand not\n{theirs}"

    async def _refused(self, admin: Connection, engine: Engine, traffic: Traffic, reason: str) -> None:
        """The change must be refused, or end, with this reason, and the table stay as it is."""
        said = ""
        try:
            for step in ("prepare", "cut_over"):
                await engine.do(step)
        except StepFailed as failed:
            said = str(failed)
        assert reason in said, f"refused for another reason: {said}" if said else "not refused"
        await engine.do("cancel")
        await traffic.stop()
        await self._is_as_before(admin, traffic, "after the refusal")

    async def _is_changed(self, admin: Connection, traffic: Traffic, when: str) -> None:
        """Compare with what the server itself makes of the twin by ALTER TABLE."""
        case = self._case
        await self._make_native(admin, from_twin=True)
        await assert_equal_rows(
            admin, (self.schema, "t"), (self.native, "t"), without=case.ignored, when=when
        )
        ours = await definition(admin, self.schema, "t")
        theirs = await definition(admin, self.native, "t")
        assert ours == theirs, f"{when}: another definition:\n{ours}\nand not\n{theirs}"
        await self._others(admin, when)
        await self._numbers(admin, traffic, when)

    async def _is_as_before(self, admin: Connection, traffic: Traffic, when: str) -> None:
        """Compare with the twin, which nobody changed."""
        await assert_equal_rows(
            admin, (self.schema, "t"), (self.twin, "t"), without=self._case.forgotten, when=when
        )
        ours, theirs = await definition(admin, self.schema, "t"), await definition(admin, self.twin, "t")
        assert ours == theirs, f"{when}: another definition:\n{ours}\nand not\n{theirs}"
        await self._others(admin, when)
        await self._numbers(admin, traffic, when)

    async def _others(self, admin: Connection, when: str) -> None:
        """Tables that triggers and foreign keys write to are the same, too."""
        for name in await tables(admin, self.twin):
            if name != "t":
                await assert_equal_rows(admin, (self.schema, name), (self.twin, name), when=f"{when}, {name}")

    async def _numbers(self, admin: Connection, traffic: Traffic, when: str) -> None:
        following = await counter(admin, self.schema, "t")
        assert following is None or following > traffic.last_given, f"{when}: a number would be given again"

    async def _nothing_left(self, admin: Connection, operation: str) -> None:
        extra = set(await tables(admin, self.schema)) - set(await tables(admin, self.twin))
        assert not extra, f"left behind: {extra}"
        for name in STATE_OF:
            found = await admin.fetch_value(
                f"SELECT 1 FROM _headgate.{name} WHERE id = %s LIMIT 1", operation
            )
            assert not found, f"left behind in _headgate.{name}"

    async def _load(self, admin: Connection, schema: str, script: Script) -> None:
        """Run create.sql in a schema."""
        await admin.execute(f"USE {quote_name(schema)}")
        for statement in script.statements:
            if not statement.rows:
                await self._run(admin, statement.sql)
                continue
            head, _, values = statement.sql.rpartition("VALUES")
            for start in range(1, statement.rows + 1, BATCH):
                numbers = range(start, min(start + BATCH, statement.rows + 1))
                made = ", ".join(values.replace("{n}", str(number)) for number in numbers)
                await self._run(admin, f"{head}VALUES {made}")

    async def _run(self, admin: Connection, sql: str) -> None:
        try:
            await admin.execute(sql)
        except DatabaseError as error:
            raise AssertionError(f"{sql[:200]}: {error}") from error

    async def _make_native(self, admin: Connection, *, from_twin: bool) -> None:
        """Make the tables without triggers in a schema of their own, with the twin's rows or without.

        Then alter them; nobody needs to read that in the log.
        """
        await admin.execute("SET SESSION sql_log_bin = 0")
        await admin.execute(f"DROP DATABASE IF EXISTS {quote_name(self.native)}")
        await admin.execute(f"CREATE DATABASE {quote_name(self.native)}")
        await admin.execute(f"USE {quote_name(self.native)}")
        for statement in self._case.create.statements:
            if not NO_DATA.match(statement.sql.lstrip()):
                await self._run(admin, statement.sql)
        if from_twin:
            columns = [
                quote_name(str(row[0]))
                for row in await admin.fetch_all(
                    "SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s AND "
                    "TABLE_NAME = 't' AND COALESCE(GENERATION_EXPRESSION, '') = ''",
                    self.twin,
                )
            ]
            names = ", ".join(columns)
            await self._run(admin, f"INSERT INTO t ({names}) SELECT {names} FROM {quote_name(self.twin)}.t")
        for statement in self._case.alter.statements:
            await self._run(admin, statement.sql)
        await admin.execute("SET SESSION sql_log_bin = 1")

    async def _orders(self, admin: Connection) -> Orders:
        """Let the server make the new definition of an empty table."""
        await self._make_native(admin, from_twin=False)
        row = await admin.fetch_one("SHOW CREATE TABLE t")
        assert row is not None
        server = self._local.server
        return Orders(
            line=new_line(),
            flavor=str(server.flavor),
            version=server.version,
            socket=str(server.address.socket),
            user=server.account.user,
            password=server.account.password,
            id=f"op-{self.schema}",
            schema=self.schema,
            target=str(row[1]),
            renames=self._case.renames,
            copiers=self._setting.copiers,
            rows=200,
        )


@asynccontextmanager
async def scenario(
    local: LocalServer, mother: Mother, case: Case, setting: Setting
) -> AsyncIterator[Scenario]:
    """Make the schemas of a run, and drop them."""
    async with fresh_schema(local, "c") as schema, fresh_schema(local, "w") as twin:
        native = f"{schema}_native"
        try:
            yield Scenario(local, mother, case, setting, (schema, twin, native))
        finally:
            async with await Connection.open(local.server) as admin:
                await admin.execute("SET SESSION sql_log_bin = 0")
                await admin.execute("SET SESSION foreign_key_checks = 0")
                await admin.execute(f"DROP DATABASE IF EXISTS {quote_name(native)}")
