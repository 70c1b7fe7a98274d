"""I keep the demo's status on the terminal until Ctrl-C."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from conf.settings import Settings
from control.cli.deploy_request import progress_text
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
    proxy = stage.settings.proxy
    shell = f"mysql -h {proxy.host} -P {proxy.port} -u {APPLICATION} -p{stage.password} {stage.database}"
    lines = [
        "Production, as applications see it (direct DDL is refused here):",
        f"  {shell}",
        "",
        "In another terminal:",
        f"  headgate branch create {stage.database} add-phone",
        f"  headgate deploy-request create {stage.database} add-phone",
        f"  headgate deploy-request deploy {stage.database} 1 --wait",
        f"  headgate deploy-request revert {stage.database} 1",
        "",
        f"HTTP API: http://{stage.settings.control.host}:{stage.settings.control.port}/docs",
        f"Logs: {stage.settings.state_dir / 'logs'}",
        "Ctrl-C stops everything; the data stay for the next start.",
    ]
    return Panel(Text("\n".join(lines)), title="Headgate demo", expand=False)


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
