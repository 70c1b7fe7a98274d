"""I keep the demo's status on the terminal until Ctrl-C."""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from conf.settings import Settings
from control.cli.progress import progress_text
from control.client import ApiRefused, Unreachable
from control.demo.stage import APPLICATION, Stage, staged

REFRESH_S = 0.5


async def show_demo(settings: Settings, config: str) -> None:
    """Run the demo and show it."""
    console = Console(highlight=False)
    with console.status("starting") as status:

        def say(text: str) -> None:
            status.update(text)
            console.print(f"[dim]{text}[/dim]")

        async with staged(settings, config, say) as stage:
            status.stop()
            console.print(_how_to_connect(stage))
            with Live(console=console, refresh_per_second=4, transient=True) as live:
                before, queries = time.monotonic(), stage.load.queries
                while True:
                    await asyncio.sleep(REFRESH_S)
                    moment = time.monotonic()
                    rate = (stage.load.queries - queries) / (moment - before)
                    before, queries = moment, stage.load.queries
                    live.update(await asyncio.to_thread(_status, stage, rate))


def _how_to_connect(stage: Stage) -> RenderableType:
    """Return commands that can be copied as they stand."""
    proxy, control = stage.settings.proxy, stage.settings.control
    program = "headgate" if shutil.which("headgate") else str(Path(sys.argv[0]).absolute())
    database = stage.database
    lines = (
        "",
        "Production, as applications see it (direct DDL is refused here):",
        f"  mysql -h {proxy.host} -P {proxy.port} -u {APPLICATION} -p{stage.password} {database}",
        "",
        f"In another terminal{_environment(stage.settings)}:",
        f"  {program} branch create {database} add-phone",
        f"  {program} deploy-request create {database} add-phone",
        f"  {program} deploy-request deploy {database} 1 --wait",
        f"  {program} deploy-request revert {database} 1",
        "",
        f"In a browser: http://{control.host}:{control.port} (log in with what this prints: "
        f"{program} service-token create me --access admin)",
        "The HTTP API is at the same address (/openapi.json), logs are in "
        f"{stage.settings.state_dir / 'logs'}.",
        "Ctrl-C stops everything; the data stay for the next start.",
        "",
    )
    return Text("\n".join(lines))


def _environment(settings: Settings) -> str:
    """Say which variables the other terminal needs, when the demo does not run with the defaults."""
    usual = Settings()
    variables = {
        "HEADGATE_STATE": (settings.state, usual.state),
        "HEADGATE_CONTROL_HOST": (settings.control.host, usual.control.host),
        "HEADGATE_CONTROL_PORT": (settings.control.port, usual.control.port),
    }
    needed = " ".join(f"{name}={value}" for name, (value, default) in variables.items() if value != default)
    return f" (first: export {needed})" if needed else ""


def _status(stage: Stage, rate: float) -> RenderableType:
    seen = stage.load.counters
    traffic = Table.grid(padding=(0, 2))
    traffic.add_row("application", f"{rate:,.0f} statements/s, {seen.queries:,} in all")
    traffic.add_row("errors", Text(str(seen.errors), style="red" if seen.errors else "green"))
    if seen.last_error:
        traffic.add_row("last error", Text(seen.last_error, style="red"))
    traffic.add_row("acknowledged writes", f"{seen.acknowledged:,}")
    traffic.add_row("longest stall", f"{seen.longest_stall_ms:,.0f} ms")
    try:
        branches = stage.client.get(f"databases/{stage.database}/branches")["data"]
        requests = stage.client.get(f"databases/{stage.database}/deploy-requests")["data"]
    except (Unreachable, ApiRefused) as error:
        return Group(traffic, Text(f"control: {error}", style="yellow"))
    names = ", ".join(f"{branch['name']} ({branch['state']})" for branch in branches)
    traffic.add_row("branches", Text(names))
    return Group(traffic, *(_request(request) for request in requests[:3]))


def _request(request: Any) -> RenderableType:
    lines = [Text(f"deploy request {request['number']} ({request['branch']}): {request['deployment_state']}")]
    if not request["closed_at"] or request["deployment_state"] == "complete_pending_revert":
        for operation in request["deployment"]["deploy_operations"]:
            title = f"{operation['operation_name']} {operation['table_name']}"
            lines.append(Text(f"  {title}: {progress_text(operation)}"))
    return Group(*lines)
