"""Keys are ordered, stored and written as the server would."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.engine.keys import KeySpec, key_column


def spec(*types: str) -> KeySpec:
    columns = [key_column(f"k{n}", each.split("(")[0].split(" ")[0], each) for n, each in enumerate(types)]
    assert all(columns)
    return KeySpec(tuple(column for column in columns if column))


@pytest.mark.parametrize(
    "column_type", ["varchar(5)", "char(1)", "float", "double", "enum('a')", "json", "text"]
)
def test_types_whose_order_python_does_not_know_are_no_keys(column_type: str) -> None:
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
