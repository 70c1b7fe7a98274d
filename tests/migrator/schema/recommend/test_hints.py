from __future__ import annotations

import pytest

from migrator.schema.recommend.hints import hinted_indexes


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("SELECT * FROM t USE INDEX (a, `B c`) WHERE x = 1", {"a", "b c"}),
        ("select * from t force key for order by (PRIMARY)", {"primary"}),
        ("SELECT * FROM t IGNORE INDEX FOR JOIN (a)", {"a"}),
        (
            "SELECT /*+ INDEX(t by_name, by_age) NO_ICP(t by_x) */ * FROM t",
            {"t", "by_name", "by_age", "by_x"},
        ),
        ("SELECT index_a FROM t WHERE used = 1", set()),
    ],
)
def test_names_in_hints_are_found(text: str, names: set[str]) -> None:
    assert hinted_indexes([text]) == names
