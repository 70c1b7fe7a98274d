from __future__ import annotations

import pytest

from migrator.schema.shapes import TableUse, Use
from migrator.schema.usage import use_of


def use(reads: str = "", writes: str = "", **others: object) -> TableUse:
    return TableUse(frozenset(reads.split()), frozenset(writes.split()), **others)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("shape", "tables"),
    [
        ("SELECT A FROM t WHERE id = ?", {"t": use("a id")}),
        (
            "SELECT * FROM t USE INDEX (By_A) WHERE b = ?",
            {"t": use("b", whole=True, indexes=frozenset({"by_a"}))},
        ),
        ("SELECT COUNT(*) FROM shop.t", {"t": use()}),
        ("WITH x AS (SELECT a FROM t) SELECT a FROM x", {"t": use("a")}),
        ("SELECT a FROM (SELECT a, b FROM t) d WHERE d.b = ?", {"t": use("a b")}),
        ("TABLE t", {"t": use(whole=True)}),
        ("INSERT INTO t VALUES (?, ?)", {"t": use(inserts=())}),
        ("INSERT IGNORE INTO t (a) VALUES (?)", {"t": use(writes="a", inserts=("a",), lenient=True)}),
        ("REPLACE INTO t SET a = ?", {"t": use(writes="a", inserts=("a",), lenient=True)}),
        (
            "INSERT INTO t (a, b) VALUES (?, ?) ON DUPLICATE KEY UPDATE c = c + ?",
            {"t": use("c", "a b c", inserts=("a", "b"), lenient=True)},
        ),
        ("UPDATE t SET a = ? WHERE b = ? LIMIT ?", {"t": use("b", "a")}),
        ("DELETE FROM t WHERE a = ?", {"t": use("a")}),
    ],
)
def test_what_a_statement_uses(shape: str, tables: dict[str, TableUse]) -> None:
    assert use_of(shape) == Use(tables)


def test_columns_that_are_compared_are_joins_and_unqualified_ones_may_be_anybodys() -> None:
    found = use_of("SELECT o.total FROM users u JOIN orders o ON o.user_id = u.id WHERE email = ?")
    assert found.joins == (("orders", "user_id", "users", "id"),)
    assert found.tables == {"users": use("id email"), "orders": use("user_id total email")}


def test_an_assignment_is_no_join() -> None:
    found = use_of("UPDATE t, u SET t.a = u.b WHERE t.id = u.id")
    assert found.joins == (("t", "id", "u", "id"),)
    assert found.tables == {"t": use("id", "a"), "u": use("id b")}


@pytest.mark.parametrize(
    ("shape", "tables"),
    [
        ("LOAD DATA INFILE ? INTO TABLE shop.`t` (a, b)", {"t"}),
        ("SELECT a FROM t, shop.u WHERE (((", {"t", "u"}),
        ("INSERT LOW_PRIORITY t SELECT ((", {"t"}),
        ("CALL p(?)", set()),
    ],
)
def test_what_cannot_be_parsed_uses_every_name(shape: str, tables: set[str]) -> None:
    found = use_of(shape)
    assert not found.understood
    assert found.tables.keys() == tables
    for one in found.tables.values():
        assert one.whole
        assert "a" in one.columns or "(a" not in shape
