from __future__ import annotations

from dataclasses import replace

import pytest

from migrator.schema.model import Schema
from migrator.schema.parse import parse_create
from migrator.schema.renames import NONE, Renames, fold
from router.model import Flavor

EMPTY = Schema(Flavor.MYSQL, "9.7.4", "utf8mb4_0900_ai_ci")


def schema(**tables: str) -> Schema:
    """Return a schema with these tables, each given by its columns."""
    parsed = {
        name: parse_create(
            f"CREATE TABLE `{name}` (\n  "
            + ",\n  ".join(f"`{column}` int DEFAULT NULL" for column in columns.split())
            + "\n) ENGINE=InnoDB",
            Flavor.MYSQL,
        )
        for name, columns in tables.items()
    }
    return replace(EMPTY, tables=parsed)


def columns_of(*statements: str, before: str, after: str) -> dict[str, str]:
    """Return the renames of columns in one table `t`."""
    found = fold(statements, schema(t=before), schema(t=after))
    assert not found.tables
    return dict(found.columns.get("t", {}))


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE t RENAME COLUMN a TO b",
        "alter table `t` rename column `a` to `b`;",
        "ALTER TABLE shop.t CHANGE a b BIGINT NOT NULL DEFAULT ?",
        "ALTER TABLE `shop` . `t` CHANGE COLUMN A b VARCHAR(20) COMMENT 'RENAME TO x, DROP b'",
        "ALTER ONLINE IGNORE TABLE IF EXISTS t WAIT 5 RENAME COLUMN IF EXISTS a TO b",
        'ALTER TABLE "t" RENAME COLUMN "a" TO "b"',
        "ALTER TABLE t ADD x INT, RENAME COLUMN a TO b, ADD KEY k (x, b), DROP x2",
        "/* note */ ALTER /*!50000 TABLE */ t RENAME COLUMN a TO b -- ALTER TABLE t DROP b",
        "ALTER TABLE T RENAME COLUMN a TO b",
    ],
)
def test_a_renamed_column_is_found_however_it_is_written(statement: str) -> None:
    assert columns_of(statement, before="a x2", after="b x") == {"a": "b"}


def test_chains_are_folded() -> None:
    statements = ["ALTER TABLE t RENAME COLUMN a TO tmp", "ALTER TABLE t CHANGE tmp Final INT"]
    assert columns_of(*statements, before="a", after="Final") == {"a": "Final"}


def test_there_and_back_is_no_renaming() -> None:
    statements = ["ALTER TABLE t RENAME COLUMN a TO b", "ALTER TABLE t RENAME COLUMN b TO a"]
    assert columns_of(*statements, before="a", after="a") == {}


def test_only_another_case_is_no_renaming() -> None:
    assert columns_of("ALTER TABLE t RENAME COLUMN a TO A", before="a", after="A") == {}


@pytest.mark.parametrize(
    "statements",
    [
        ["ALTER TABLE t RENAME COLUMN a TO b, RENAME COLUMN b TO a"],
        ["ALTER TABLE t CHANGE a b INT, CHANGE b a INT"],
        [
            "ALTER TABLE t RENAME COLUMN a TO x",
            "ALTER TABLE t RENAME COLUMN b TO a",
            "ALTER TABLE t RENAME COLUMN x TO b",
        ],
    ],
)
def test_exchanged_names_are_found(statements: list[str]) -> None:
    assert columns_of(*statements, before="a b", after="a b") == {"a": "b", "b": "a"}


def test_a_name_that_moves_on_makes_room_for_another() -> None:
    statements = ["ALTER TABLE t RENAME COLUMN b TO c", "ALTER TABLE t RENAME COLUMN a TO b"]
    assert columns_of(*statements, before="a b", after="b c") == {"a": "b", "b": "c"}


def test_what_the_schemas_do_not_show_does_not_count() -> None:
    # Dropped again, added anew under the old name, or changed by somebody whom the proxy did not see.
    rename = "ALTER TABLE t RENAME COLUMN a TO b"
    assert columns_of(rename, "ALTER TABLE t DROP COLUMN b", before="a x", after="x") == {}
    assert columns_of(rename, "ALTER TABLE t ADD a INT", before="a", after="a b") == {}
    assert columns_of(rename, before="a x", after="a x") == {}
    assert columns_of(rename, before="a b", after="b") == {}


def test_a_column_that_was_dropped_and_added_is_another() -> None:
    statements = ["ALTER TABLE t DROP a, ADD (b INT, KEY (b)), ADD COLUMN IF NOT EXISTS b INT"]
    assert columns_of(*statements, before="a x", after="x b") == {}


def test_renamed_tables_are_found_with_their_columns() -> None:
    found = fold(
        [
            "RENAME TABLE t TO shop.u, v NOWAIT TO w",
            "ALTER TABLE u RENAME COLUMN a TO b",
            "ALTER TABLE w RENAME AS x, ADD n INT",
        ],
        schema(t="a", v="c"),
        schema(u="b", x="c n"),
    )
    assert found == Renames({"t": {"a": "b"}}, {"t": "u", "v": "x"})


def test_exchanged_tables_are_found() -> None:
    found = fold(
        ["RENAME TABLE a TO swap, b TO a, swap TO b"],
        schema(a="one", b="two"),
        schema(a="two", b="one"),
    )
    assert found == Renames({}, {"a": "b", "b": "a"})


def test_a_table_made_anew_is_another() -> None:
    statements = [
        "CREATE TABLE IF NOT EXISTS t (x INT)",
        "DROP TABLE IF EXISTS nowhere, t",
        "CREATE TABLE u (a INT)",
        "ALTER TABLE u RENAME COLUMN a TO b",
    ]
    assert fold(statements, schema(t="a"), schema(u="b")) == NONE
    assert not NONE


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE t RENAME COLUMN a TO b /* never ends",
        "ALTER TABLE nowhere RENAME COLUMN a TO b",
        "ALTER TABLE t",
        "ALTER TABLE",
        "RENAME TABLE t",
        "CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW SET NEW.a = 1; ALTER TABLE t RENAME COLUMN a TO b",
        "ALTER TABLE t RENAME INDEX a TO b, RENAME KEY c TO d, DROP PRIMARY KEY, DROP CHECK a",
        "",
    ],
)
def test_what_cannot_be_read_is_passed_over(statement: str) -> None:
    assert columns_of(statement, before="a", after="b") == {}
