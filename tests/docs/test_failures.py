"""docs/failures.md names tests that exist, one for each row at least."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "failures.md").read_text()
ROW = re.compile(r"^\| (\d+) \|.*$", re.MULTILINE)
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def test_every_row_of_the_matrix_is_there_and_names_a_test() -> None:
    rows = ROW.findall(PAGE)
    assert [int(number) for number in rows] == list(range(1, 41))
    for row in ROW.finditer(PAGE):
        assert NAMED.search(row[0]), f"row {row[1]} names no test"


def test_every_test_that_is_named_exists() -> None:
    for file, name in NAMED.findall(PAGE):
        text = (ROOT / file).read_text()
        assert re.search(rf"^(async )?def {name}\(", text, re.MULTILINE), f"{file} has no {name}"
