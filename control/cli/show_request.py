"""I show a deploy request to people: what was found, what it changes, how far it is, what may be done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from control.cli.next_step import next_steps
from control.cli.progress import progress_text
from control.cli.times import ago, until
from migrator.deploy.lifecycle import State

LEVELS: Final = {
    "error": ("red", "blocks"),
    "confirm": ("magenta", "to be confirmed"),
    "warning": ("yellow", "warning"),
    "info": ("cyan", "to know"),
}
GOOD: Final = frozenset({State.READY, State.COMPLETE, State.COMPLETE_PENDING_REVERT})
BAD: Final = frozenset({State.ERROR, State.COMPLETE_ERROR, State.COMPLETE_REVERT_ERROR})
SIGNS: Final = {"+": "green", "-": "red"}


def picture(
    request: Any, changes: Any, database: str, takes: Text | None = None, at: datetime | None = None
) -> RenderableType:
    """Return all of a deploy request, for a terminal: `changes` is its diff, `takes` what it will take."""
    at = at or datetime.now(UTC)
    deployment = request["deployment"]
    parts: list[RenderableType] = [_head(request, at)]
    if request["notes"]:
        parts.append(_indented(Text(request["notes"])))
    for title, found in (
        ("Checks", [*findings(deployment["findings"]), *_remarks(request, deployment)]),
        ("Reviews", list(_reviews(deployment))),
        ("Queue", list(_queue(deployment))),
        ("Operations", list(_operations(deployment))),
        ("Changes", list(difference(changes))),
        ("Deploy order", [Text(line) for line in deployment["order_hints"]]),
        ("Takes", [takes] if takes else []),
        ("Times", list(_times(request, deployment, at))),
        ("Next", [_steps(steps)] if (steps := next_steps(request, database)) else []),
    ):
        if found:
            parts += [Text(), Text(title, style="bold underline"), *map(_indented, found)]
    return Group(*parts)


def findings(found: Any) -> Iterator[RenderableType]:
    """Yield what checks say, the most serious first, with how many there are of each level."""
    if not found:
        return
    counted = Counter(each["level"] for each in found)
    summary = Text()
    for level, (style, meaning) in LEVELS.items():
        if counted[level]:
            summary.append("  " if summary else "").append(f"{counted[level]} {meaning}", style=style)
    yield summary
    for level, (style, _) in LEVELS.items():
        for each in found:
            if each["level"] == level:
                yield _finding(each, style)


def difference(changes: Any) -> Iterator[RenderableType]:
    """Yield what changes, added lines green and removed ones red."""
    for change in changes:
        yield Text(change["name"], style="bold")
        for line in change["raw"].splitlines():
            yield Text(line, style=SIGNS.get(line[:1], "dim"))


def _head(request: Any, at: datetime) -> Text:
    state = request["deployment_state"]
    style = "green" if state in GOOD else "red" if state in BAD else "yellow"
    head = Text.assemble(
        (f"Deploy request {request['number']}  ", "bold"),
        f"{request['branch']} → {request['into_branch']}  ",
        (state.replace("_", " "), f"bold {style}"),
    )
    if request["state"] == "closed":
        head.append("  closed", style="dim")
    head.append(f"  by {request['actor']['display_name']}, {ago(request['created_at'], at)}", style="dim")
    return head


def _remarks(request: Any, deployment: Any) -> Iterator[RenderableType]:
    """Yield what is to be said beside the findings, and why nothing goes on, unless a finding says that."""
    told = {each["sentence"] for each in deployment["findings"]}
    for warning in deployment["warnings"]:
        if warning not in told:
            yield Text(warning, style="yellow")
    blocked = request["deployment_state"] == State.ERROR and deployment["lint_errors"]
    if deployment["problem"] and not blocked:
        yield Text(deployment["problem"], style="red")


def _indented(shown: RenderableType) -> RenderableType:
    return Padding(shown, (0, 0, 0, 2), expand=False)


def _finding(finding: Any, style: str) -> RenderableType:
    head = Text.assemble((finding["level"], style), "  ", (finding["lint_error"], f"bold {style}"))
    about = " ".join(part for part in (finding["subject"], finding["element"]) if part)
    if about:
        head.append(f"  {about}")
    if finding["suppressed"]:
        head.append(f"  suppressed: {finding['suppressed']}", style="dim")
    elif finding["confirmed"]:
        head.append("  confirmed", style="green")
    lines: list[RenderableType] = [head, _indented(Text(finding["sentence"]))]
    if finding["advice"]:
        lines.append(_indented(Text(finding["advice"], style="dim")))
    return Group(*lines)


def _reviews(deployment: Any) -> Iterator[RenderableType]:
    for review in deployment["reviews"]:
        style = "green" if review["state"] == "approved" and not review["dismissed_at"] else "dim"
        said = Text.assemble((review["state"], style), f" by {review['actor']['display_name']}")
        if review["dismissed_at"]:
            said.append(", dismissed when the change changed", style="yellow")
        if review["body"]:
            said.append(f": {review['body']}")
        yield said
    if deployment["approvals_missing"]:
        yield Text(deployment["approvals_missing"], style="yellow")


def _queue(deployment: Any) -> Iterator[RenderableType]:
    if deployment["queue_position"] is not None:
        lane = ", in the parallel lane" if deployment["strategy"] == "parallel" else ""
        yield Text(f"number {deployment['queue_position']} in the queue{lane}")
    for other in deployment["preceding_deployments"]:
        state = other["state"].replace("_", " ")
        yield Text(f"after deploy request {other['deploy_request_number']} ({state})")
    if deployment["waits_for"]:
        style = "yellow" if deployment["queue_paused"] else ""
        yield Text(deployment["waits_for"], style=style)


def _operations(deployment: Any) -> Iterator[RenderableType]:
    for operation in deployment["deploy_operations"]:
        bar = Table.grid(padding=(0, 1))
        bar.add_row(
            Text(f"{operation['operation_name']} {operation['table_name']}", style="bold"),
            ProgressBar(100, operation["progress_percentage"], width=30),
            Text(f"{operation['progress_percentage']} %"),
            Text(progress_text(operation), style="dim"),
        )
        yield bar
        if operation["ddl_method_reason"]:
            yield _indented(Text(operation["ddl_method_reason"], style="dim"))
        for loss in operation["losses"]:
            yield _indented(Text(f"{loss} is gone when the revert window ends", style="yellow"))
        for remark in operation["revert_forecast"]:
            yield _indented(Text(remark["sentence"], style="yellow"))
        if operation["deploy_errors"]:
            yield _indented(Text(operation["deploy_errors"], style="red"))


def _times(request: Any, deployment: Any, at: datetime) -> Iterator[RenderableType]:
    window = deployment["deployment_revert_request"]
    if request["deployment_state"] == State.COMPLETE_PENDING_REVERT and window:
        yield Text(f"can be reverted until {until(window['waiting_period_end_at'], at)}")
    if deployment["redo_until"]:
        yield Text(f"the revert can be taken back until {until(deployment['redo_until'], at)}")
    if deployment["revert_blocked"]:
        yield Text(f"not now: {deployment['revert_blocked']}", style="yellow")


def _steps(steps: list[tuple[str, str]]) -> Table:
    table = Table.grid(padding=(0, 2))
    for said, command in steps:
        table.add_row(Text(command, style="bold"), Text(said, style="dim"))
    return table
