"""I run a driver's program on each way to a server and compare what came of its steps."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from control.certificate import ensure_certificate
from router.accounts import TRAFFIC_RIGHTS
from router.database import Connection
from router.model import Account, Address, Flavor, PoolMode, Server, ServerTls, TlsMode
from router.servers.process import LocalServer
from tests.drivers.tables import CUT_OVER, make_numbers, make_tables, server_options
from tests.support.proxy import PASSWORD, production, running_proxy, user
from tests.support.servers import free_port, fresh_schema, running_server

PROGRAM_S = 300.0
APP = Account("app", PASSWORD)

DIRECT = "direct"

# Few connections to the server, so that clients must share them where the mode lets them.
SETTINGS = {PoolMode.SESSION: {}, PoolMode.TRANSACTION: {"HEADGATE_PROXY_MAX_BACKEND_CONNECTIONS": "3"}}

Results = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Mask:
    """What may differ between the ways, and why: a pattern in the results of some steps (none: of all)."""

    reason: str
    pattern: str
    by: str = ""
    steps: tuple[str, ...] = ()
    flavors: tuple[Flavor, ...] = tuple(Flavor)


_METADATA = (
    "MariaDB tells clients of its own kind which columns hold JSON, UUIDs or points (its extended metadata); "
    "Headgate does not offer that, so Node's mysql2 gives JSON as text"
)

MASKS = (
    Mask("each way has a schema of its own on the same server", r"drivers_\d+_\d+", "SCHEMA"),
    Mask(
        "which error a driver gives for a connection that was killed depends on whether it was still writing",
        r'\["lost", .*?\]',
        '["lost"]',
        ("killed",),
    ),
    Mask(_METADATA, r" \((format|type)=\w+\)", "", ("types",), (Flavor.MARIADB,)),
    Mask(
        _METADATA,
        r'"Object \{\\"a\\":\[1,2\.5,null,\\"ß\\"\]\}"',
        r'"String {\\"a\\": [1, 2.5, null, \\"ß\\"]}"',
        ("types", "types_prepared"),
        (Flavor.MARIADB,),
    ),
)


@dataclass(frozen=True, slots=True)
class Way:
    """One way to the server, with a schema that no other way uses."""

    name: str
    port: int
    schema: str


@dataclass(frozen=True, slots=True)
class Ways:
    """The ways to one server, and the certificate that all of them show."""

    server: LocalServer
    ways: tuple[Way, ...]
    certificate: Path

    @property
    def version(self) -> str:
        """The server's version, without what distributions add."""
        return self.server.programs.version.split("-")[0]


@contextlib.asynccontextmanager
async def open_ways(flavor: Flavor, folder: Path, modes: Sequence[PoolMode]) -> AsyncIterator[Ways]:
    """Run a server and one worker for each pool mode in front of it."""
    certificate, key = ensure_certificate(folder / "tls")
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        port = free_port()
        options = server_options(flavor, str(certificate), str(key))
        local = await enter(running_server(flavor, folder / "server", port=port, options=options))
        names = [DIRECT, *modes]
        schemas = {name: await enter(fresh_schema(local, "drivers")) for name in names}
        await _fill(local, list(schemas.values()))
        server = Server(flavor, local.server.version, Address("127.0.0.1", port), APP)
        # Once the server has seen the password, logins without TLS need no key of the server's.
        tls = ServerTls(TlsMode.VERIFY_IDENTITY, str(certificate))
        await (await Connection.open(replace(server, tls=tls))).close()
        ways = [Way(DIRECT, port, schemas[DIRECT])]
        for mode in modes:
            schema = schemas[mode]
            shutil.copytree(folder / "tls", folder / mode / "state" / "tls")
            branch = replace(production(server, schema, database=schema), pool_mode=mode)
            settings = SETTINGS[mode]
            users = [user(APP.user, database=schema)]
            proxy = await enter(running_proxy(folder / mode, [branch], users, environment=settings))
            ways.append(Way(mode, proxy.port, schema))
        yield Ways(local, tuple(ways), certificate)


async def run_ways(ways: Ways, command: Sequence[str], environment: Mapping[str, str]) -> dict[str, Results]:
    """Run a program on all ways at once; return its masked results by way."""

    async def one(way: Way) -> Results:
        async with await Connection.open(ways.server.server, database=way.schema) as admin:
            await make_tables(admin)

            async def do(what: str) -> None:
                assert what == "cut over"
                await admin.execute(CUT_OVER)

            given = {
                **environment,
                "DRIVER_HOST": "127.0.0.1",
                "DRIVER_PORT": str(way.port),
                "DRIVER_USER": APP.user,
                "DRIVER_PASSWORD": APP.password,
                "DRIVER_DATABASE": way.schema,
                "DRIVER_CA": str(ways.certificate),
            }
            return masked(await run_program(command, given, do), ways.server.programs.flavor)

    async with asyncio.TaskGroup() as group:
        tasks = {way.name: group.create_task(one(way)) for way in ways.ways}
    return {name: task.result() for name, task in tasks.items()}


async def run_program(
    command: Sequence[str], environment: Mapping[str, str], do: Callable[[str], Awaitable[None]]
) -> Results:
    """Run a program to its end, doing what it asks for; return what it said of its steps."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, **environment},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=1 << 24,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    results: Results = {}
    errors = asyncio.ensure_future(process.stderr.read())
    try:
        async with asyncio.timeout(PROGRAM_S):
            async for line in process.stdout:
                said = json.loads(line)
                if "ask" in said:
                    await do(said["ask"])
                    process.stdin.write(b"done\n")
                else:
                    results[said["step"]] = said["result"]
            await process.wait()
    except TimeoutError:
        raise AssertionError(f"the program is stuck after {list(results)}") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        said_last = (await errors).decode(errors="replace").strip()
    assert process.returncode == 0, f"the program ended with {process.returncode}:\n{said_last[-3000:]}"
    return results


def masked(results: Results, flavor: Flavor) -> Results:
    """Return the results with what may differ between the ways replaced."""
    found = {}
    for step, result in results.items():
        text = json.dumps(result, ensure_ascii=False)
        for mask in MASKS:
            if flavor in mask.flavors and (not mask.steps or step in mask.steps):
                text = re.sub(mask.pattern, mask.by, text)
        found[step] = json.loads(text)
    return found


def differences(direct: Results, through: Results) -> list[str]:
    """Say where the results of two ways differ, step by step."""
    found = []
    for step in sorted({*direct, *through}):
        if direct.get(step) != through.get(step):
            for path, ours, theirs in _where(through.get(step), direct.get(step), step):
                found.append(f"{path}:\n    direct:  {theirs!r}\n    through: {ours!r}")
    return found


def _where(ours: Any, theirs: Any, path: str) -> list[tuple[str, Any, Any]]:
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        return [
            place
            for number, (a, b) in enumerate(zip(ours, theirs, strict=True))
            for place in _where(a, b, f"{path}[{number}]")
        ]
    return [] if ours == theirs else [(path, ours, theirs)]


async def _fill(local: LocalServer, schemas: Sequence[str]) -> None:
    """Make the tables that stay, and one account for all ways: the server's errors name it."""
    async with await Connection.open(local.server) as admin:
        await admin.execute("CREATE USER %s@%s IDENTIFIED BY %s", APP.user, "%", APP.password)
        for schema in schemas:
            await admin.execute(f"GRANT {TRAFFIC_RIGHTS} ON `{schema}`.* TO %s@%s", APP.user, "%")
    for schema in schemas:
        async with await Connection.open(local.server, database=schema) as admin:
            await make_numbers(admin)
