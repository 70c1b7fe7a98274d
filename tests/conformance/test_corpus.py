"""Some cases of the corpus, each with the engine killed at a random moment; `make conformance` runs all."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from migrator.engine.ground.state import prepare_state
from router.database import Connection
from router.model import Flavor
from router.servers.process import LocalServer
from tests.conformance.__main__ import Outcome, run_one
from tests.conformance.compare import assert_equal_rows
from tests.conformance.corpus import Case, cases, script, transactions
from tests.conformance.engine import mother
from tests.conformance.scenario import Setting
from tests.conformance.traffic import Dice
from tests.support.servers import fresh_schema
from tests.support.time_limit import limit

CHOSEN = (
    *("autoinc-top-deleted", "binary-to-varbinary", "collation-to-binary", "compound-key-with-time"),
    *("decimal-key", "drop-column", "enum-reorder", "generated-in-unique", "int-narrower-refused"),
    *("json-values", "keys-that-move", "large-transactions", "latin1-to-utf8mb4", "many-columns"),
    *("odd-names", "one-row", "partitions-added", "rename-several", "savepoints", "spatial-index"),
    *("text-key", "timestamp-to-datetime", "unique-added", "unique-duplicates-arrive"),
    *("varbinary-key-odd-values", "varchar-too-long-arrives", "xa-transactions", "zero-dates"),
)
AT_ONCE = 4


def pytest_itemcollected(item: pytest.Item) -> None:
    limit(item, 240)


@asynccontextmanager
async def row_image(server: LocalServer, image: str) -> AsyncIterator[None]:
    async with await Connection.open(server.server) as admin:
        await admin.execute(f"SET GLOBAL binlog_row_image = '{image}'")
        try:
            yield
        finally:
            await admin.execute("SET GLOBAL binlog_row_image = 'FULL'")


async def test_changes_and_reverts_are_exact_although_the_engine_is_killed(server: LocalServer) -> None:
    await prepare_state(server.server)
    seed = random.SystemRandom().randint(1, 10**6)
    print(f"seed {seed}")
    chosen = [case for case in cases(CHOSEN) if case.runs_on(server.server.flavor)]
    outcome = Outcome()
    free = asyncio.Semaphore(AT_ONCE)

    async def one(case: Case, image: str, number: int) -> None:
        async with free:
            setting = Setting(1 + 3 * (number % 2), image, seed + number, kills=True)
            await run_one(server, engines, case, setting, outcome)

    async with mother() as engines:
        for start, image in enumerate(("FULL", "MINIMAL")):
            async with row_image(server, image), asyncio.TaskGroup() as tasks:
                for number, case in enumerate(chosen[start::2]):
                    tasks.create_task(one(case, image, number))
    assert not outcome.failures, "\n".join(outcome.failures)
    assert outcome.passed == len(chosen)


def test_every_folder_of_the_corpus_can_be_read_and_says_what_it_is() -> None:
    found = cases()
    assert len(found) >= 120
    for case in found:
        assert case.about, case.name
        assert case.create.statements, case.name
        assert case.alter.statements, case.name
        assert case.refusal is None or not case.fails_because, case.name
        assert case.runs_on(Flavor.MYSQL) or case.runs_on(Flavor.MARIADB)


async def test_a_row_that_differs_by_a_blank_is_noticed(server: LocalServer) -> None:
    async with fresh_schema(server) as here, await Connection.open(server.server, database=here) as admin:
        await admin.execute("CREATE TABLE a (id INT PRIMARY KEY, v VARCHAR(9))")
        await admin.execute("CREATE TABLE b LIKE a")
        await admin.execute("INSERT INTO a VALUES (1, 'x'), (2, NULL)")
        await admin.execute("INSERT INTO b VALUES (1, 'x '), (2, NULL)")
        with pytest.raises(AssertionError, match=r"1 rows too many and 1 missing.*id=1, v=7820"):
            await assert_equal_rows(admin, (here, "b"), (here, "a"), when="now")
        await assert_equal_rows(admin, (here, "b"), (here, "a"), without=["v"], when="now")


def test_one_transaction_speaks_of_the_same_rows_in_all_its_statements() -> None:
    fresh = iter(range(100, 200))
    dice = Dice(random.Random(1), 9, lambda: next(fresh))
    text = (
        "UPDATE t SET id = {new} WHERE id = {n};\nUPDATE t SET {a|b} = '{pick:x}{r:5..5}' WHERE id = {n};\n"
    )
    (transaction,) = transactions(text)
    first, second = dice.fill(transaction.statements)
    assert first.startswith("UPDATE t SET id = 100 WHERE id = ")
    assert second == "UPDATE t SET {a|b} = 'x5' WHERE id = " + first.rpartition(" ")[2]
    assert '{"a": 1}' in dice.fill(["SELECT '{\"a\": 1}'"])[0]


def test_comments_of_a_script_say_what_its_statements_cannot() -> None:
    text = "-- what it is\n-- session SET x = 1\nSELECT 1;\n-- rows 3\nINSERT INTO t VALUES\n  ({n});\n"
    read = script(text)
    assert [(each.sql, each.rows) for each in read.statements] == [
        ("SELECT 1", 0),
        ("INSERT INTO t VALUES\n  ({n})", 3),
    ]
    assert read.all("session") == ["SET x = 1"]


def test_the_page_names_every_case() -> None:
    page = (Path(__file__).parents[2] / "docs" / "conformance.md").read_text()
    missing = [case.name for case in cases() if f"| {case.name} |" not in page]
    assert not missing, "make conformance writes the page"
