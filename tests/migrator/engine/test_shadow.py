"""The shadow's definition is the target's, but for names that may exist only once."""

from __future__ import annotations

import pytest

from migrator.engine.table.shadow import names_beside, shadow_sql
from migrator.errors import MigratorError


def test_names_sort_after_the_tables_own_however_long_it_is() -> None:
    for table in ("t", "z" * 64, "a" * 60, "é" * 64, "t$x", "Tab le"):
        for name in names_beside(table, 12):
            assert len(name) <= 64
            assert name > table


def test_check_constraints_get_names_of_their_own() -> None:
    target = (
        "CREATE TABLE `t` (\n  `id` int,\n  CONSTRAINT `t_chk_1` CHECK ((`id` > 0)),\n"
        "  CONSTRAINT `taken` CHECK ((`id` > 1)),\n  CONSTRAINT `free` CHECK ((`id` > 2))\n)"
    )
    sql = shadow_sql(target, "shop", "t", "t__hg3_new", "3", frozenset({"", "taken", "t_chk_1"}))
    assert sql == (
        "CREATE TABLE `shop`.`t__hg3_new` (\n  `id` int,\n  CHECK ((`id` > 0)),\n"
        "  CONSTRAINT `taken__hg3` CHECK ((`id` > 1)),\n  CONSTRAINT `free` CHECK ((`id` > 2))\n)"
    )


def test_where_names_are_per_table_nothing_is_renamed() -> None:
    target = "CREATE TABLE `t` (\n  CONSTRAINT `c` CHECK (`id` > 0)\n)"
    assert "`c`" in shadow_sql(target, "shop", "t", "t__hg1_new", "1", frozenset())


def test_a_definition_of_another_table_is_not_taken() -> None:
    with pytest.raises(MigratorError):
        shadow_sql("CREATE TABLE `u` (id int)", "shop", "t", "t__hg1_new", "1", frozenset())
