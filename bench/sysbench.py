"""I run sysbench, from Debian's package, and read its figures."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.peers import ACCOUNT, SCHEMA, Certificate, Way
from router.servers.programs import find_program, launch

POINT_SELECT: Final = "points"
READ_WRITE: Final = "oltp_read_write"

TEXT, PREPARED = "text", "prepared"
PS_MODE: Final = {TEXT: "disable", PREPARED: "auto"}

POINT_SELECT_SCRIPT = """\
require("oltp_common")
function prepare_statements()
   sysbench.opt.point_selects = 1
   prepare_point_selects()
end
function thread_init()
   drv = sysbench.sql.driver()
   local attempts, connected = 0, false
   repeat
      attempts = attempts + 1
      connected, con = pcall(drv.connect, drv)
   until connected or attempts == 10
   stmt, param = {}, {}
   for t = 1, sysbench.opt.tables do
      stmt[t], param[t] = {}, {}
   end
   prepare_statements()
end
function event()
   execute_point_selects()
end
"""
"""sysbench's own oltp_point_select, but for a client that comes again when it is not let in.

MySQL Router 9.7, where it ends TLS, refuses one in some fifty logins of several at once as malformed.
"""


@dataclass(frozen=True, slots=True)
class Figures:
    """What one run did; `errors` are those the script was told to overlook, deadlocks among them."""

    queries: int
    queries_per_s: float
    events: int
    events_per_s: float
    p95_ms: float
    errors: int
    reconnects: int


class Sysbench:
    """The unpacked program, and a folder with the files it expects where it runs."""

    def __init__(self, root: Path, folder: Path, shown: Certificate) -> None:
        self._root = root
        self._folder = folder / "sysbench"
        self._folder.mkdir()
        (self._folder / f"{POINT_SELECT}.lua").write_text(POINT_SELECT_SCRIPT)
        # The names are its own; servers do not ask for the client's certificate, but the file must be there.
        for name, source in (
            ("cacert.pem", shown.certificate),
            ("client-cert.pem", shown.certificate),
            ("client-key.pem", shown.key),
        ):
            shutil.copy(source, self._folder / name)

    async def prepare(self, way: Way, *, rows: int, tables: int) -> None:
        """Make the tables of the scripts."""
        await self._run(
            POINT_SELECT, way.port, f"--table-size={rows}", f"--tables={tables}", "--threads=2", "prepare"
        )

    async def run(
        self,
        script: str,
        way: Way,
        *options: str,
        clients: int,
        seconds: float,
        mode: str = TEXT,
        tls: bool = False,
    ) -> Figures:
        """Run a script for some seconds. Raises RuntimeError when it was stopped by an error."""
        output = await self._run(
            script,
            way.tls_port if tls else way.port,
            f"--db-ps-mode={PS_MODE[mode]}",
            f"--threads={clients}",
            f"--time={max(1, round(seconds))}",
            f"--mysql-ssl={'on' if tls else 'off'}",
            *options,
            "run",
        )
        return _figures(output)

    async def _run(self, script: str, port: int, *options: str) -> str:
        scripts = self._root / "usr/share/sysbench"
        plugins = next(self._root.glob("usr/lib/*/libmariadb3/plugin"))
        own = self._folder / f"{script}.lua"
        argv = [
            *launch(self._root, find_program(self._root, "sysbench")),
            str(own if own.exists() else scripts / f"{script}.lua"),
            "--db-driver=mysql",
            "--mysql-host=127.0.0.1",
            f"--mysql-port={port}",
            f"--mysql-user={ACCOUNT.user}",
            f"--mysql-password={ACCOUNT.password}",
            f"--mysql-db={SCHEMA}",
            *options,
        ]
        environment = {"LUA_PATH": f"{scripts}/?.lua;;", "MARIADB_PLUGIN_DIR": str(plugins)}
        process = await asyncio.create_subprocess_exec(
            *argv,
            cwd=self._folder,
            env={**os.environ, **environment},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            output, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            raise RuntimeError(f"sysbench {script} failed: {output.decode(errors='replace')[-2000:]}")
        return output.decode()


def _figures(output: str) -> Figures:
    def found(pattern: str) -> list[str]:
        match = re.search(pattern, output)
        if match is None:
            raise RuntimeError(f"sysbench wrote no {pattern!r}: {output[-2000:]}")
        return list(match.groups())

    queries, rate = found(r"queries:\s+(\d+)\s+\(([\d.]+) per sec")
    events, event_rate = found(r"transactions:\s+(\d+)\s+\(([\d.]+) per sec")
    (p95,) = found(r"95th percentile:\s+([\d.]+)")
    (errors,) = found(r"ignored errors:\s+(\d+)")
    (reconnects,) = found(r"reconnects:\s+(\d+)")
    return Figures(
        int(queries),
        float(rate),
        int(events),
        float(event_rate),
        float(p95),
        int(errors),
        int(reconnects),
    )
