"""A table and its triggers change at one moment, there and back and there again."""

from __future__ import annotations

import pytest

from conf.settings import MigratorSettings, ThrottleSettings
from migrator.engine.companions.triggers import TriggerPlan, TriggerTarget
from migrator.engine.migration import OnlineAlter
from migrator.errors import SourceChanged
from migrator.schema.model import Code, CodeKind
from migrator.throttle.throttler import Throttle
from router.database import Connection
from router.servers.process import LocalServer
from tests.migrator.engine.ledger import OpenGate, target_of
from tests.migrator.engine.test_triggers import NAMES, texts

TABLE = "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(60) NOT NULL DEFAULT '')"
MODE = "STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION"


def trigger(name: str, word: str) -> Code:
    text = f"CREATE TRIGGER `{name}` BEFORE INSERT ON `t` FOR EACH ROW SET NEW.v = CONCAT(NEW.v, '{word}')"
    return Code(CodeKind.TRIGGER, name, text, MODE, collation_connection="utf8mb4_general_ci", table="t")


# `kept` stays, `gone` goes, `other` fires something else, and `first` comes before all.
PLAN = TriggerPlan(
    (
        TriggerTarget("first", trigger("first", "F")),
        TriggerTarget("kept"),
        TriggerTarget("other", trigger("other", "N")),
    ),
    ("gone",),
)


def altering(server: LocalServer, database: str, target: str, plan: TriggerPlan = PLAN) -> OnlineAlter:
    settings = MigratorSettings(garbage_hold_s=0)
    throttle = Throttle(ThrottleSettings(enabled=False))
    place = f"op-{database}", server.server, database, "t", target
    return OnlineAlter(*place, OpenGate(), throttle, settings, triggers=plan)


async def prepared(connection: Connection, database: str) -> str:
    await connection.execute(TABLE)
    for name, word in (("kept", "K"), ("gone", "G"), ("other", "O")):
        await connection.execute(trigger(name, word).text)
    return await target_of(connection, database, TABLE.replace("60", "80"))


async def written(connection: Connection, number: int) -> str:
    await connection.execute("INSERT INTO t (id) VALUES (%s)", number)
    return str(await connection.fetch_value("SELECT v FROM t WHERE id = %s", number))


async def test_a_table_meets_its_triggers_before_after_reverted_and_redone(
    server: LocalServer, database: str, connection: Connection
) -> None:
    operation = altering(server, database, await prepared(connection, database))
    before = await texts(connection, ["kept", "gone", "other"])
    try:
        assert await written(connection, 1) == "KGO"
        await operation.prepare()
        assert await written(connection, 2) == "KGO"
        await operation.cut_over()
        assert await written(connection, 3) == "FKN"
        await operation.revert()
        assert await written(connection, 4) == "KGO"
        await operation.redo()
        assert await written(connection, 5) == "FKN"
        await operation.finalize()
        assert await written(connection, 6) == "FKN"
        names = [str(row[0]) for row in await connection.fetch_all(NAMES, database)]
        assert names == ["first", "kept", "other"]
        assert await texts(connection, ["kept"]) == before[:1]
        values = [row[0] for row in await connection.fetch_all("SELECT v FROM t ORDER BY id")]
        assert values == ["KGO", "KGO", "FKN", "KGO", "FKN", "FKN"]
    finally:
        await operation.close()


async def test_the_triggers_that_come_back_are_those_that_were(
    server: LocalServer, database: str, connection: Connection
) -> None:
    operation = altering(server, database, await prepared(connection, database))
    before = await texts(connection, ["kept", "gone", "other"])
    try:
        await operation.prepare()
        await operation.cut_over()
        await operation.revert()
        await operation.finalize()
        assert await texts(connection, ["kept", "gone", "other"]) == before
        assert await written(connection, 1) == "KGO"
    finally:
        await operation.close()


async def test_a_plan_for_other_triggers_is_refused(
    server: LocalServer, database: str, connection: Connection
) -> None:
    target = await prepared(connection, database)
    operation = altering(server, database, target, TriggerPlan((TriggerTarget("kept"),), ("gone",)))
    try:
        with pytest.raises(SourceChanged, match="other triggers than those"):
            await operation.prepare()
        await operation.cancel()
    finally:
        await operation.close()
