from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.schema.errors import SchemaError
from migrator.schema.masks import parse_mask
from migrator.schema.model import OpaqueTable, Schema
from migrator.schema.parse import parse_create
from migrator.schema.seed import Amount, Link, Plan, Wish, plan_seed
from migrator.schema.seed_statements import (
    among,
    behind,
    ends_of,
    insert_rows,
    missing_parents,
    places,
    select_rows,
    within,
)
from router.model import Flavor

TABLES = {
    "b": "CREATE TABLE `b` (\n  `id` int NOT NULL,\n  `a` int DEFAULT NULL,\n  PRIMARY KEY (`id`),\n"
    "  KEY `a` (`a`),\n  CONSTRAINT `k` FOREIGN KEY (`a`) REFERENCES `z` (`id`)\n) ENGINE=InnoDB",
    "z": "CREATE TABLE `z` (\n  `id` int NOT NULL,\n  `f` float DEFAULT NULL,\n"
    "  `at` datetime DEFAULT NULL,\n  `e` enum('x') DEFAULT NULL,\n"
    "  `twice` int GENERATED ALWAYS AS ((`id` * 2)) VIRTUAL,\n"
    "  PRIMARY KEY (`id`)\n) ENGINE=InnoDB",
    "p": "CREATE TABLE `p` (\n  `e` enum('x') NOT NULL,\n  `100%` varchar(9) NOT NULL,\n  `n` int NOT NULL,\n"
    "  PRIMARY KEY (`e`),\n  UNIQUE KEY `u` (`100%`,`n`)\n) ENGINE=InnoDB",
}


def planned(wish: Wish) -> Plan:
    tables = {name: parse_create(text, Flavor.MYSQL) for name, text in TABLES.items()}
    opaque = {"odd": OpaqueTable("odd", "", "nobody knows it")}
    return plan_seed(Schema(Flavor.MYSQL, "9.7.0", "utf8mb4_bin", tables, opaque), wish)


def test_parents_come_first_and_what_cannot_be_copied_is_told() -> None:
    plan = planned(Wish(Amount.ALL))
    assert [table.name for table in plan.tables] == ["p", "z", "b"]
    assert plan.links == (Link("b", ("a",), "z", ("id",)),)
    assert plan.left_out == ("the rows of 'odd' are left out: nobody knows it",)


def test_values_are_read_so_that_they_arrive_as_they_are_and_computed_ones_are_not_read() -> None:
    (z,) = [table for table in planned(Wish(Amount.ALL)).tables if table.name == "z"]
    assert [source.expression for source in z.sources] == [
        *("`id`", "CAST(`f` AS DOUBLE)", "CAST(`at` AS CHAR)", "`e` + 0")
    ]
    assert (z.key, z.numeric) == (("id",), True)


def test_the_key_is_one_whose_order_is_that_of_its_values() -> None:
    (p,) = [table for table in planned(Wish(Amount.ALL)).tables if table.name == "p"]
    assert (p.key, p.key_at, p.numeric) == (("100%", "n"), (1, 2), False)
    text, arguments = select_rows(p, [behind(p, ["x", 3])], 10)
    assert text.endswith(
        "WHERE ((`100%%` > %s) OR (`100%%` = %s AND `n` > %s)) ORDER BY `100%%`, `n` LIMIT %s"
    )
    assert arguments == ["x", "x", 3, 10]
    assert text % tuple(arguments)


def test_statements_hold_bytes_themselves_and_everything_else_as_arguments() -> None:
    (b,) = [table for table in planned(Wish(Amount.ALL)).tables if table.name == "b"]
    assert insert_rows(b, [[1, b"\x00\xff"], [2, None]]) == (
        "INSERT INTO `b` (`id`, `a`) VALUES (%s, x'00ff'), (%s, %s)",
        [1, 2, None],
    )
    assert among(("a", "c"), [(1, "x")]) == ("(`a`, `c`) IN ((%s, %s))", [1, "x"])
    assert within(b, 1, 9) == ("`id` BETWEEN %s AND %s", [1, 9])
    assert ends_of(b) == "SELECT MIN(`id`), MAX(`id`) FROM `b`"
    text, arguments = missing_parents(Link("b", ("a",), "z", ("id",)), (7,))
    assert "LEFT JOIN `z` p ON p.`id` = c.`a`" in text
    assert "((c.`a` > %s))" in text
    assert arguments[0] == 7


def test_masks_stay_with_their_columns() -> None:
    plan = planned(Wish(Amount.SAMPLE, masks=(parse_mask("Z.F=number:5"),)))
    (z,) = [table for table in plan.tables if table.name == "z"]
    assert [source.column for source in z.sources if source.mask] == ["f"]


@given(st.integers(-(10**6), 10**6), st.integers(0, 10**6), st.integers(1, 5000))
def test_places_cover_the_range_without_overlap_and_hold_the_rows(low: int, length: int, rows: int) -> None:
    found = places(low, low + length, rows)
    assert found[0][0] == low
    assert found[-1][1] == low + length
    assert all(before[1] + 1 == after[0] for before, after in pairwise(found))
    assert all(start <= end for start, end, _ in found)
    assert sum(share for _, _, share in found) == rows


def test_a_wish_says_how_many_rows_a_sample_has() -> None:
    assert Wish(Amount.ALL).rows_of(10) is None
    assert Wish(Amount.SAMPLE).rows_of(10) == 1000
    assert Wish(Amount.SAMPLE, rows=7).rows_of(10) == 7
    assert Wish(Amount.SAMPLE, percent=25).rows_of(1000) == 250
    assert Wish(Amount.SAMPLE, percent=0.1).rows_of(10) == 1


def test_a_mask_is_for_the_table_of_exactly_that_name() -> None:
    names = ("Users", "users")
    texts = {
        name: f"CREATE TABLE `{name}` (\n  `id` int NOT NULL,\n  `email` varchar(9) DEFAULT NULL,\n"
        "  PRIMARY KEY (`id`)\n) ENGINE=InnoDB"
        for name in names
    }
    tables = {name: parse_create(text, Flavor.MYSQL) for name, text in texts.items()}
    schema = Schema(Flavor.MYSQL, "9.7.0", "utf8mb4_bin", tables)
    for name in names:
        plan = plan_seed(schema, Wish(Amount.ALL, masks=(parse_mask(f"{name}.email=null"),)))
        masked = {table.name for table in plan.tables if any(source.mask for source in table.sources)}
        assert masked == {name}
    with pytest.raises(SchemaError, match="there is no such column"):
        plan_seed(schema, Wish(Amount.ALL, masks=(parse_mask("USERS.email=null"),)))
