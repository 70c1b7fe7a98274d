from __future__ import annotations

from dataclasses import replace

import pytest

from migrator.deploy.request import OperationKind, OperationRecord
from migrator.deploy.storage import Disk, TableSize, findings, size_text, storage_need
from migrator.engine.direct.choose import Choice, Method, Strategy
from migrator.schema.lint.finding import Level
from tests.migrator.deploy.test_store import request

GIB = 2**30
ALTER = OperationRecord("a", OperationKind.ALTER, "orders", ("ALTER …",), "CREATE …")
SIZES = {"orders": TableSize(1000, 3 * GIB, GIB), "notes": TableSize(5, 100, 100)}


def test_a_copy_needs_its_table_again_and_its_rows_in_the_log() -> None:
    need = storage_need(request(), [ALTER], SIZES, Disk(8 * GIB))
    assert need.tables == {"orders": 7 * GIB}
    assert need.enough
    assert need.sentence == "the copy needs about 7.0 GiB on production's disk, and 8.0 GiB are free there"


def test_what_is_not_copied_needs_nothing() -> None:
    at_once = replace(ALTER, choices={Strategy.REVERTIBLE: Choice(Method.INSTANT, "it can", revertible=True)})
    view = replace(ALTER, table="v", view=True)
    others = [replace(ALTER, kind=kind) for kind in (OperationKind.CREATE, OperationKind.DROP)]
    need = storage_need(request(), [at_once, view, *others], SIZES, Disk(0))
    assert (need.bytes_needed, need.enough, need.sentence) == (
        0,
        True,
        "no table is copied, so no room is needed",
    )


def test_a_tenth_of_what_is_free_stays_free() -> None:
    short = storage_need(request(), [ALTER], SIZES, Disk(7 * GIB))
    assert not short.enough
    [finding] = findings(short)
    assert (finding.code, finding.level) == ("STORAGE_SHORT", Level.WARNING)
    assert "a full disk would stop production" in finding.sentence
    assert findings(storage_need(request(), [ALTER], SIZES, Disk(8 * GIB))) == ()


def test_what_cannot_be_seen_is_said_to_be_unknown() -> None:
    need = storage_need(request(), [ALTER], SIZES, Disk(None, "the server is on another machine (db:3306)"))
    assert need.enough
    assert need.sentence.endswith("is not known: the server is on another machine (db:3306)")


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (2048, "2.0 KiB"), (5 * 2**40, "5.0 TiB"), (5000 * 2**40, "5000.0 TiB")],
)
def test_sizes_are_written_for_people(size: int, text: str) -> None:
    assert size_text(size) == text
