from __future__ import annotations

from datetime import UTC, datetime

import pytest

from migrator.schema.deploy_order import deploy_order
from migrator.schema.model import Table
from migrator.schema.order import (
    Observed,
    Order,
    Refused,
    TableChange,
    Tried,
    ViewChanged,
)
from migrator.schema.parse import parse_create
from migrator.schema.shapes import SeenShape
from migrator.schema.usage import use_of
from router.model import Flavor

AT = datetime(2026, 1, 2, tzinfo=UTC)
GONE = Refused(1054, "Unknown column 'c' in 'field list'")


def table(*lines: str) -> Table:
    body = ",\n  ".join(("`id` int NOT NULL", *lines))
    return parse_create(f"CREATE TABLE `t` (\n  {body}\n) ENGINE=InnoDB", Flavor.MYSQL)


def changed(before: Table | None, after: Table | None, **others: object) -> TableChange:
    return TableChange("t", before, after, **others)  # type: ignore[arg-type]


def seen(text: str, *, on_branch: bool = False) -> SeenShape:
    return SeenShape(text, 7, 0, AT, AT, ("app",), on_branch, use_of(text))


C, D = "`c` int DEFAULT NULL", "`d` int DEFAULT NULL"


@pytest.mark.parametrize(
    ("change", "order"),
    [
        (changed(None, table()), Order.SCHEMA_FIRST),
        (changed(table(), None), Order.CODE_FIRST),
        (changed(table(), table(C)), Order.SCHEMA_FIRST),
        (changed(table(), table("`c` int NOT NULL")), Order.SPLIT),
        (changed(table(C), table()), Order.CODE_FIRST),
        (changed(table("`c` int NOT NULL"), table()), Order.SPLIT),
        (changed(table(C), table(D)), Order.SPLIT),
        (changed(table(C), table(D), renamed={"c": "d"}), Order.NEITHER),
        (changed(table(), table(), renamed_from="u"), Order.NEITHER),
        (changed(table(C), table("`c` bigint DEFAULT NULL")), Order.SCHEMA_FIRST),
        (changed(table(C), table("`c` smallint DEFAULT NULL")), Order.CODE_FIRST),
        (changed(table(C), table("`c` int NOT NULL DEFAULT '0'")), Order.CODE_FIRST),
        (changed(table("`c` int NOT NULL DEFAULT '0'"), table(C)), Order.SCHEMA_FIRST),
        (changed(table("`c` varchar(9)"), table("`c` varchar(10)")), Order.SCHEMA_FIRST),
        (changed(table("`c` enum('a','b')"), table("`c` enum('a')")), Order.CODE_FIRST),
        (changed(table(C), table(C, "UNIQUE KEY `k` (`c`)")), Order.CODE_FIRST),
        (changed(table(C), table(C, "CONSTRAINT `k` CHECK ((`c` > 0))")), Order.CODE_FIRST),
        (changed(table(C), table(C, "KEY `k` (`c`)")), Order.EITHER),
        (changed(table(C, "KEY `k` (`c`)"), table(C)), Order.EITHER),
    ],
)
def test_without_traffic_the_kind_of_change_decides(change: TableChange, order: Order) -> None:
    found = deploy_order([change])
    assert found.order is order
    assert bool(found.reasons) == (order is not Order.EITHER)
    assert "no traffic observed" in found.sentence


def test_traffic_without_a_statement_that_breaks_refutes_what_was_feared() -> None:
    found = deploy_order([changed(table(C), table())], observed=Observed(3.5))
    assert found.order is Order.EITHER
    assert found.sentence == "safe in either order (3.5 days of observed traffic)"


@pytest.mark.parametrize(
    ("minutes", "said"), [(3, "3 min"), (119, "119 min"), (120, "2 h"), (2879, "48 h"), (2880, "2.0 days")]
)
def test_it_is_said_for_how_long_traffic_was_observed(minutes: int, said: str) -> None:
    found = deploy_order([changed(table(C), table())], observed=Observed(minutes / 1440))
    assert found.sentence.endswith(f"({said} of observed traffic)")


def test_traffic_refutes_nothing_about_rows_it_cannot_show() -> None:
    narrowed = changed(table(C), table("`c` int NOT NULL DEFAULT '0'"))
    assert deploy_order([narrowed], observed=Observed(3.5)).order is Order.CODE_FIRST


def test_a_statement_that_breaks_must_be_gone_first() -> None:
    tried = Tried(seen("SELECT c FROM t"), None, GONE)
    found = deploy_order([changed(table(C), table())], observed=Observed(1.0, (tried,), 2))
    assert found.order is Order.CODE_FIRST
    [evidence] = found.evidence
    assert (evidence.query, evidence.errno, evidence.count, evidence.users) == (
        "SELECT c FROM t",
        1054,
        7,
        ("app",),
    )
    assert (found.tried, found.untried, found.days) == (1, 2, 1.0)


def test_a_statement_of_the_branch_that_only_works_there_must_wait() -> None:
    waits = Tried(seen("SELECT d FROM t", on_branch=True), GONE, None)
    breaks = Tried(seen("SELECT c FROM t"), None, GONE)
    foreign = Tried(seen("SELECT d FROM t"), GONE, None)
    change = changed(table(C), table(D))
    assert deploy_order([], observed=Observed(1.0, (waits,))).order is Order.SCHEMA_FIRST
    assert deploy_order([], observed=Observed(1.0, (foreign,))).order is Order.EITHER
    assert deploy_order([change], observed=Observed(1.0, (waits, breaks))).order is Order.SPLIT


def test_inserts_that_leave_a_column_out_and_those_that_lean_on_a_key_are_told() -> None:
    insert = Tried(seen("INSERT INTO t (id) VALUES (?)"), None, None)
    [reason] = deploy_order(
        [changed(table(), table("`c` int NOT NULL"))], observed=Observed(1.0, (insert,))
    ).reasons
    assert "1 kinds of INSERT that were seen do so" in reason.sentence
    upsert = Tried(seen("INSERT IGNORE INTO t (id) VALUES (?)"), None, None)
    unique = table(C, "UNIQUE KEY `k` (`c`)")
    [reason] = deploy_order([changed(unique, table(C))], observed=Observed(1.0, (upsert,))).reasons
    assert reason.order is Order.CODE_FIRST


def test_views_come_first_and_go_last() -> None:
    assert deploy_order([], [ViewChanged("v", comes=True, goes=False)]).order is Order.SCHEMA_FIRST
    assert deploy_order([], [ViewChanged("v", comes=False, goes=True)]).order is Order.CODE_FIRST
    assert deploy_order([], [ViewChanged("v", comes=False, goes=False)]).order is Order.EITHER
