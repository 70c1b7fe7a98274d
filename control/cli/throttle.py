"""I am `headgate database throttle` and `headgate deploy-request throttle`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.text import Text

from control.cli.context import Context
from control.cli.output import people
from control.cli.times import clock

Ratio = Annotated[
    int | None,
    typer.Option("--ratio", min=0, max=95, help="How much copying is slowed: 0 not at all, 95 most."),
]
Paused = Annotated[
    bool | None, typer.Option("--pause/--resume", help="Stop copying, or let it go on.", show_default=False)
]
For = Annotated[
    float | None, typer.Option("--for", min=1, help="Seconds for which this holds; otherwise always.")
]
Clear = Annotated[bool, typer.Option("--clear", help="Take back what was set.")]

BARS = " ▁▂▃▄▅▆▇█"
WIDTH = 60
MINUTES = 10


def throttle(
    here: Context, path: str, *, ratio: int | None, paused: bool | None, for_s: float | None, clear: bool
) -> None:
    """Show the throttle at a path of the API, after changing it if anything is given."""
    change: dict[str, Any] = {}
    if clear:
        change["ratio"] = None
    if ratio is not None:
        change["ratio"] = ratio
    if paused is not None:
        change["paused"] = paused
    if for_s is not None:
        change["expires_in"] = for_s
    path = f"{path}/throttler"
    state = here.client.patch(path, change) if change else here.client.get(path)
    if here.output.is_json:
        here.output.json(state)
        return
    people.print(Text(sentence(state)))
    draw(here, state["keyspaces"][0])


def sentence(state: Any) -> str:
    """Say how a throttle is."""
    until = f" until {clock(state['expires_at'], datetime.now(UTC))}" if state["expires_at"] else ""
    if state["paused"]:
        said = f"Copying is paused{until}."
    elif state["ratio"]:
        said = f"The ratio is {state['ratio']}{until}: copying takes {100 - state['ratio']} % at most."
    else:
        said = "No ratio is set."
    held = state["held"]
    if held and not state["paused"]:
        said += f" Held back for {held['seconds']:.0f} s by {held['signal']}: {held['reason']}."
    elif state["share"] > 0:
        said += f" Copying takes {100 * state['share']:.0f} % of the time."
    return said


def draw(here: Context, database: str) -> None:
    """Draw what copying took of the last minutes, and how many rows, if there was any."""
    points = here.client.get(f"databases/{database}/throttler/history?seconds={MINUTES * 60}&points={WIDTH}")[
        "data"
    ]
    if not points:
        return
    fastest = max(point["rows_per_second"] for point in points)
    people.print(Text(f"  share  {sparkline([point['share'] for point in points], 1.0)}"))
    rows = sparkline([point["rows_per_second"] for point in points], fastest)
    people.print(Text(f"  rows/s {rows}  at most {fastest:,}"))


def sparkline(values: list[float], highest: float) -> str:
    """Draw values as a line of bars, the highest as the tallest; nothing at all is a blank."""
    steps = len(BARS) - 1
    scale = steps / highest if highest > 0 else 0.0
    return "".join(BARS[min(steps, max(0 if value <= 0 else 1, round(value * scale)))] for value in values)
