from __future__ import annotations

import pytest

from migrator.schema.alter import alter_table
from migrator.schema.longest import longest_increasing
from migrator.schema.model import Table
from migrator.schema.parse import parse_create
from router.model import Flavor

TAIL = "\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci"


def table(*lines: str, tail: str = TAIL, flavor: Flavor = Flavor.MYSQL) -> Table:
    return parse_create("CREATE TABLE `t` (\n  " + ",\n  ".join(lines) + tail, flavor)


def clauses(before: Table, after: Table) -> list[str]:
    """Return the statements without the words every one of them begins with."""
    statements, _ = alter_table(before, after)
    return [statement.removeprefix("ALTER TABLE `t` ") for statement in statements]


A, B, C = "`a` int DEFAULT NULL", "`b` int DEFAULT NULL", "`c` int DEFAULT NULL"


def test_a_table_that_is_the_same_needs_nothing() -> None:
    assert clauses(table(A, B), table(A, B)) == []


def test_columns_at_the_end_need_no_place() -> None:
    assert clauses(table(A), table(A, B, C)) == [f"ADD COLUMN {B}, ADD COLUMN {C}"]


def test_columns_in_between_name_their_neighbour() -> None:
    assert clauses(table(B), table(A, C, B)) == [f"ADD COLUMN {A} FIRST, ADD COLUMN {C} AFTER `a`"]


def test_only_the_column_that_moved_is_moved() -> None:
    assert clauses(table(A, B, C), table(C, A, B)) == [f"MODIFY COLUMN {C} FIRST"]


def test_all_columns_can_be_replaced_at_once() -> None:
    assert clauses(table(A), table(B)) == [f"DROP COLUMN `a`, ADD COLUMN {B} FIRST"]


def test_a_new_spelling_is_a_change_of_name() -> None:
    assert clauses(table(A), table("`A` int DEFAULT NULL")) == ["CHANGE COLUMN `a` `A` int DEFAULT NULL"]


def test_virtual_columns_are_made_anew_with_their_indexes() -> None:
    before = table(A, "`g` int GENERATED ALWAYS AS ((`a` + 1)) VIRTUAL", "KEY `k` (`g`)")
    after = table(A, "`g` int GENERATED ALWAYS AS ((`a` + 1)) STORED", "KEY `k` (`g`)")
    assert clauses(before, after) == [
        "DROP INDEX `k`, DROP COLUMN `g`, "
        "ADD COLUMN `g` int GENERATED ALWAYS AS ((`a` + 1)) STORED, ADD KEY `k` (`g`)"
    ]


def test_a_default_that_is_never_the_same_is_set_afterwards() -> None:
    after = table(A, "`u` varchar(36) DEFAULT (uuid())")
    assert clauses(table(A), after) == [
        "ADD COLUMN `u` varchar(36)",
        "ALTER COLUMN `u` SET DEFAULT (uuid())",
    ]


def test_fulltext_indexes_are_added_one_by_one() -> None:
    text = "`x` text"
    after = table(text, "FULLTEXT KEY `f` (`x`)", "FULLTEXT KEY `g` (`x`)")
    assert clauses(table(text), after) == ["ADD FULLTEXT KEY `f` (`x`)", "ADD FULLTEXT KEY `g` (`x`)"]


@pytest.mark.parametrize(
    ("flavor", "printed", "clause"),
    [(Flavor.MYSQL, " /*!80000 INVISIBLE */", "INVISIBLE"), (Flavor.MARIADB, " IGNORED", "IGNORED")],
)
def test_an_index_is_hidden_in_place(flavor: Flavor, printed: str, clause: str) -> None:
    before, after = (
        table(A, "KEY `k` (`a`)", flavor=flavor),
        table(A, f"KEY `k` (`a`){printed}", flavor=flavor),
    )
    assert clauses(before, after) == [f"ALTER INDEX `k` {clause}"]


def test_the_order_of_indexes_and_the_counter_are_no_change() -> None:
    before = table(A, B, "KEY `k` (`a`)", "KEY `l` (`b`)")
    after = table(
        A, B, "KEY `l` (`b`)", "KEY `k` (`a`)", tail=TAIL.replace(" DEFAULT", " AUTO_INCREMENT=7 DEFAULT")
    )
    assert before.same_as(after)
    assert clauses(before, after) == []


def test_a_check_under_another_name_is_no_change() -> None:
    before, after = (
        table(A, "CONSTRAINT `x` CHECK ((`a` > 0))"),
        table(A, "CONSTRAINT `t_chk_1` CHECK ((`a` > 0))"),
    )
    assert before.same_as(after)


def test_a_check_is_switched_off_in_place() -> None:
    check = "CONSTRAINT `x` CHECK ((`a` > 0))"
    assert clauses(table(A, check), table(A, check + " /*!80016 NOT ENFORCED */")) == [
        "ALTER CHECK `x` NOT ENFORCED"
    ]


def test_a_foreign_key_makes_way_for_a_change_of_its_column_and_comes_back() -> None:
    key = "CONSTRAINT `f` FOREIGN KEY (`a`) REFERENCES `p` (`id`)"
    before, after = table(A, "KEY `k` (`a`)", key), table("`a` bigint DEFAULT NULL", "KEY `k` (`a`)", key)
    assert clauses(before, after) == [
        "DROP FOREIGN KEY `f`",
        "MODIFY COLUMN `a` bigint DEFAULT NULL",
        f"ADD {key}",
    ]


def test_partitions_come_last_and_without_a_comma() -> None:
    partitioned = TAIL + "\n/*!50100 PARTITION BY KEY (a)\nPARTITIONS 2 */"
    assert clauses(table(A), table(A, B, tail=partitioned)) == [
        f"ADD COLUMN {B} PARTITION BY KEY (a)\nPARTITIONS 2"
    ]
    assert clauses(table(A, B, tail=partitioned), table(A, B)) == ["REMOVE PARTITIONING"]


def test_an_option_that_goes_is_set_back() -> None:
    assert clauses(table(A, tail=TAIL + " ROW_FORMAT=COMPACT COMMENT='x'"), table(A)) == [
        "ROW_FORMAT=DEFAULT, COMMENT=''"
    ]


def test_what_is_lost_is_said() -> None:
    virtual = "`v` int GENERATED ALWAYS AS ((`a` + 1)) VIRTUAL"
    _, losses = alter_table(table(A, B, virtual), table(A))
    assert losses == ("every value of column 'b'",)


def test_the_longest_row_in_order_stays() -> None:
    assert longest_increasing([3, 0, 1, 2]) == {0, 1, 2}
    assert longest_increasing([]) == set()
