"""Keys are ordered, stored and written as the server would."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.engine.table.keys import KeySpec, key_column


def spec(*types: str) -> KeySpec:
    columns = [key_column(f"k{n}", each.split("(")[0].split(" ")[0], each) for n, each in enumerate(types)]
    assert all(columns)
    return KeySpec(tuple(column for column in columns if column))


@pytest.mark.parametrize("column_type", ["float", "double", "json", "text", "geometry", "time"])
def test_types_whose_values_have_no_exact_literal_or_no_whole_index_are_no_keys(column_type: str) -> None:
    assert key_column("k", column_type.split("(")[0], column_type) is None


def test_one_column_is_compared_plainly() -> None:
    assert spec("int").within("t", 3, 7) == "t.`k0` > 3 AND t.`k0` <= 7"
    assert spec("int").within("t", None, None) == "TRUE"
    assert spec("int").is_one_of("t", [1, -2]) == "t.`k0` IN (1, -2)"


def test_several_columns_are_compared_in_order_and_with_a_bound_on_the_first() -> None:
    assert spec("int", "varbinary(3)").within("t", (1, b"a"), None) == (
        "(t.`k0` >= 1 AND ((t.`k0` > 1) OR (t.`k0` = 1 AND t.`k1` > x'61')))"
    )
    assert spec("int", "binary(1)").is_one_of("t", [(1, b"a"), (2, b"b")]) == (
        "(t.`k0`, t.`k1`) IN ((1, x'61'), (2, x'62'))"
    )


def test_one_key_of_several_columns_is_written_so_that_every_server_finds_it_by_its_index() -> None:
    assert spec("int", "date").is_one_of("t", [(1, "2024-01-01")]) == "(t.`k0` = 1 AND t.`k1` = '2024-01-01')"


@given(st.integers(), st.binary(max_size=5), st.decimals(allow_nan=False, allow_infinity=False, places=4))
def test_stored_keys_come_back_the_same(number: int, data: bytes, decimal: Decimal) -> None:
    keys = spec("bigint", "varbinary(5)", "decimal(60,4)")
    assert keys.load(keys.dump((number, data, decimal))) == (number, data, decimal)
    assert keys.load(None) is None


def test_a_key_is_shown_to_people_by_name() -> None:
    assert spec("int").text(7) == "k0=7"
    assert spec("int", "binary(1)").text((7, b"\xff")) == "(k0, k1)=(7, x'ff')"


def test_a_text_is_written_in_its_character_set_and_collation_and_converted_away_from_home() -> None:
    column = key_column("k", "varchar", "varchar(9)", "latin1", "latin1_swedish_ci")
    assert column is not None
    assert column.literal(b"\xe9") == "_latin1 x'e9' COLLATE latin1_swedish_ci"
    away = replace(column, charset="utf8mb4", collation="utf8mb4_bin", home=("latin1", "latin1_swedish_ci"))
    assert away.literal(b"\xe9") == "CONVERT(_latin1 x'e9' USING utf8mb4) COLLATE utf8mb4_bin"
    assert KeySpec((away,)).is_one_of("t", [b"\xe9"]) == (
        "(t.`k` IN (CONVERT(_latin1 x'e9' USING utf8mb4) COLLATE utf8mb4_bin) AND "
        "CONVERT(t.`k` USING latin1) COLLATE latin1_swedish_ci IN (_latin1 x'e9' COLLATE latin1_swedish_ci))"
    )
    assert KeySpec((away,)).text(b"\xe9") == "k='é'"


def test_members_of_an_enum_are_listed_because_no_server_makes_a_range_of_them() -> None:
    assert spec("enum('a','b,''c','d')").within("t", 1, 2) == "t.`k0` IN (2, 3) AND t.`k0` IN (0, 1, 2)"
    assert spec("enum('a')", "int").is_one_of("t", [(1, 2), (1, 3)]) == (
        "((t.`k0` = 1 AND t.`k1` = 2) OR (t.`k0` = 1 AND t.`k1` = 3))"
    )
