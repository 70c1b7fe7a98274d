"""What somebody has said may be lived with does not count, unless it cannot be carried out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from migrator.deploy.errors import DeployError
from migrator.deploy.suppressions import SuppressionStore
from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.suppression import suppress
from router.state import open_state

CHARSET = Finding("INVALID_CHARSET", Level.ERROR, "t", "…", element="column a")
OTHER = Finding("INVALID_CHARSET", Level.ERROR, "u", "…", element="column a")
HARD = Finding("NO_UNIQUE_KEY", Level.ERROR, "t", "…", hard=True)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SuppressionStore]:
    engine = open_state(tmp_path / "state.db")
    made = SuppressionStore(engine)
    await made.prepare()
    yield made
    await engine.dispose()


async def test_a_suppression_holds_for_a_table_an_element_a_request_or_all(store: SuppressionStore) -> None:
    for_table = await store.add("shop", "invalid_charset", "old data", "ann", subject="t")
    assert (for_table.code, for_table.author, for_table.reason) == ("INVALID_CHARSET", "ann", "old data")
    found = suppress([CHARSET, OTHER, HARD], await store.all("shop"))
    assert [finding.suppressed for finding in found] == ["old data (ann)", "", ""]
    assert [finding.blocks for finding in found] == [False, True, True]
    assert await store.all("other") == []

    await store.remove("shop", for_table.id)
    await store.add("shop", "INVALID_CHARSET", "for once", "bob", number=7)
    assert [each.suppressed for each in suppress([CHARSET], await store.all("shop"), 8)] == [""]
    assert [each.suppressed for each in suppress([CHARSET], await store.all("shop"), 7)] == ["for once (bob)"]

    await store.add("shop", "INVALID_CHARSET", "that one", "bob", subject="u", element="column b")
    assert [each.suppressed for each in suppress([OTHER], await store.all("shop"))] == [""]


@pytest.mark.parametrize(
    ("code", "reason", "element", "said"),
    [
        ("NO_UNIQUE_KEY", "because", "", "cannot be suppressed"),
        ("NO_SUCH_RULE", "because", "", "headgate lint rules"),
        ("INVALID_CHARSET", " ", "", "--reason"),
        ("INVALID_CHARSET", "because", "column a", "--table"),
    ],
)
async def test_what_makes_no_sense_is_refused(
    store: SuppressionStore, code: str, reason: str, element: str, said: str
) -> None:
    with pytest.raises(DeployError, match=said):
        await store.add("shop", code, reason, "ann", element=element)
    assert await store.all("shop") == []


async def test_only_what_is_there_can_be_taken_back(store: SuppressionStore) -> None:
    with pytest.raises(DeployError, match="headgate lint list shop"):
        await store.remove("shop", "nothing")
