"""Who may call a routine by a right on that routine alone."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from migrator.engine.direct.program import ChangeProgram
from migrator.engine.ground.operation import Phase
from migrator.errors import Refused
from migrator.schema.model import CodeKind
from router.model import Account, Flavor
from tests.migrator.engine.program_victim import Orders
from tests.migrator.engine.test_program import Bench, bench
from tests.migrator.engine.victims import killed

__all__ = ["bench"]

ROUTINES = [CodeKind.PROCEDURE, CodeKind.FUNCTION]

# MariaDB takes no rights away when a routine is replaced.
ON_MYSQL = pytest.mark.parametrize("server", [Flavor.MYSQL], indirect=True, ids=str)


@contextlib.asynccontextmanager
async def granted(bench: Bench, kind: CodeKind, *, automatic: bool = True) -> AsyncIterator[str]:
    """An account that may call the routine, on a server that takes that away with the routine or not."""
    app = f"app_{bench.database}@localhost"
    await bench.connection.execute(f"SET GLOBAL automatic_sp_privileges = {int(automatic)}")
    await bench.connection.execute(f"CREATE USER {app}")
    try:
        await bench.made(kind)
        await bench.connection.execute(f"GRANT EXECUTE ON {kind} {bench.database}.p TO {app}")
        yield app
    finally:
        await bench.connection.execute(f"DROP USER {app}")
        await bench.connection.execute("SET GLOBAL automatic_sp_privileges = 0")


async def grants(bench: Bench, app: str) -> list[object]:
    return list(await bench.connection.fetch_all(f"SHOW GRANTS FOR {app}"))


@pytest.mark.parametrize("automatic", [True, False], ids=["taken", "left"])
@pytest.mark.parametrize("kind", ROUTINES)
async def test_rights_on_a_routine_stay(bench: Bench, kind: CodeKind, automatic: bool) -> None:
    async with granted(bench, kind, automatic=automatic) as app:
        before = await grants(bench, app)
        operation = bench.changing(kind, await bench.target(kind))
        try:
            await operation.prepare()
            await operation.cut_over()
            assert await grants(bench, app) == before
            # What is given while it can be reverted stays, too.
            await bench.connection.execute(f"GRANT ALTER ROUTINE ON {kind} {bench.database}.p TO {app}")
            now = await grants(bench, app)
            assert now != before
            await operation.revert()
            assert await grants(bench, app) == now
        finally:
            await operation.close()


@pytest.mark.parametrize("kind", ROUTINES)
async def test_a_routine_that_comes_back_brings_its_rights(bench: Bench, kind: CodeKind) -> None:
    # MariaDB replaces a routine without touching them, but dropping it is another matter.
    mysql = bench.server.server.flavor is Flavor.MYSQL
    async with granted(bench, kind, automatic=mysql) as app:
        before = await grants(bench, app)
        operation = bench.changing(kind, None)
        try:
            await operation.prepare()
            await operation.cut_over()
            await operation.revert()
            assert await grants(bench, app) == before
        finally:
            await operation.close()


@ON_MYSQL
async def test_a_process_that_is_killed_before_it_gives_them_again_does_so_later(bench: Bench) -> None:
    kind, server = CodeKind.PROCEDURE, bench.server.server
    async with granted(bench, kind) as app:
        before = await grants(bench, app)
        code = await bench.target(kind)
        orders = Orders(server=server, schema=bench.database, code=code, steps=["prepare", "cut_over"])
        await killed(orders, "program-made")
        assert await grants(bench, app) != before
        operation = ChangeProgram(f"program-{code.name}", server, bench.database, kind, "p", code)
        try:
            await operation.prepare()
            assert operation.status().phase is Phase.REVERTIBLE
            assert await grants(bench, app) == before
        finally:
            await operation.close()
            await bench.connection.execute("DELETE FROM _headgate.operation WHERE id = %s", operation.id)


@ON_MYSQL
async def test_rights_that_cannot_be_given_again_are_not_taken(bench: Bench) -> None:
    kind, engine = CodeKind.PROCEDURE, Account("no_grants", "secret of the tests")
    await bench.connection.execute(f"CREATE USER no_grants IDENTIFIED BY '{engine.password}'")
    await bench.connection.execute("GRANT ALL ON *.* TO no_grants")
    server = replace(bench.server.server, account=engine)
    try:
        async with granted(bench, kind) as app:
            before = await grants(bench, app)
            operation = ChangeProgram(
                *(f"program-{bench.database}", server, bench.database, kind, "p", await bench.target(kind))
            )
            try:
                with pytest.raises(Refused, match="automatic_sp_privileges = OFF") as refused:
                    await operation.prepare()
                assert f"GRANT EXECUTE ON PROCEDURE `{bench.database}`.`p` TO" in str(refused.value)
                assert operation.status().phase is Phase.FAILED
                await operation.cancel()
            finally:
                await operation.close()
            assert await grants(bench, app) == before
            counting = "SELECT COUNT(*) FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = %s"
            assert await bench.connection.fetch_value(counting, bench.database) == 1
    finally:
        await bench.connection.execute("DROP USER no_grants")
