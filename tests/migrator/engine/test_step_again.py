"""A change by one statement is made again when the rest of its deployment could not be undone."""

from __future__ import annotations

import pytest

from migrator.engine.ground.operation import Phase
from migrator.schema.model import CodeKind
from tests.migrator.engine.test_program import KINDS, Bench, bench

__all__ = ["bench"]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_program_that_was_put_back_is_changed_again(bench: Bench, kind: CodeKind) -> None:
    former = await bench.made(kind)
    operation = bench.changing(kind, await bench.target(kind))
    try:
        await operation.prepare()
        await operation.cut_over()
        changed = await bench.there(kind)
        await operation.revert()
        assert (await bench.there(kind)).digest == former.digest
        await operation.again()
        await operation.again()
        assert operation.status().phase is Phase.REVERTIBLE
        assert (await bench.there(kind)).digest == changed.digest
        await operation.revert()
        assert await bench.there(kind) == former
    finally:
        await operation.close()


async def test_killed_before_it_is_changed_again_it_is_as_it_was_put_back(bench: Bench) -> None:
    kind = CodeKind.PROCEDURE
    former = await bench.made(kind)
    operation = bench.changing(kind, await bench.target(kind))
    await operation.prepare()
    await operation.cut_over()
    await operation.revert()
    await operation._save(phase=Phase.REDOING)
    await operation.close()
    operation = bench.changing(kind, await bench.target(kind))
    try:
        await operation.prepare()
        assert operation.status().phase is Phase.REVERTED
        assert await bench.there(kind) == former
        await operation.again()
        assert operation.status().phase is Phase.REVERTIBLE
    finally:
        await operation.close()
