"""Who may call a routine by a right on that routine alone."""

from __future__ import annotations

import pytest

from migrator.schema.model import CodeKind
from router.model import Flavor
from tests.migrator.engine.test_program import Bench, bench

__all__ = ["bench"]


@pytest.mark.parametrize("kind", [CodeKind.PROCEDURE, CodeKind.FUNCTION])
async def test_rights_on_a_routine_stay(bench: Bench, kind: CodeKind, request: pytest.FixtureRequest) -> None:
    if bench.server.server.flavor is Flavor.MYSQL:
        reason = "DROP takes the rights with it, and MySQL has no OR REPLACE"
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))
    app = f"app_{bench.database}@localhost"
    await bench.connection.execute(f"CREATE USER {app}")
    try:
        await bench.made(kind)
        await bench.connection.execute(f"GRANT EXECUTE ON {kind} {bench.database}.p TO {app}")
        before = await bench.connection.fetch_all(f"SHOW GRANTS FOR {app}")
        operation = bench.changing(kind, await bench.target(kind))
        try:
            await operation.prepare()
            await operation.cut_over()
            assert await bench.connection.fetch_all(f"SHOW GRANTS FOR {app}") == before
            await operation.revert()
            assert await bench.connection.fetch_all(f"SHOW GRANTS FOR {app}") == before
        finally:
            await operation.close()
    finally:
        await bench.connection.execute(f"DROP USER {app}")
