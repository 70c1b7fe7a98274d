"""What people are shown of a deploy request, and told to do next."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console
from rich.text import Text

from control.cli.next_step import next_steps
from control.cli.output import lay_out, people
from control.cli.show_request import picture
from migrator.deploy.lifecycle import State

NOW = datetime(2026, 8, 20, 12, tzinfo=UTC)
ADA = {"type": "ServiceToken", "id": "uqdnst54gya9", "display_name": "ada", "avatar_url": ""}


def finding(level: str, code: str, **changes: Any) -> dict[str, Any]:
    usual = {
        "lint_error": code,
        "level": level,
        "subject": "customers",
        "element": "column phone",
        "sentence": f"the sentence of {code} [bold]",
        "advice": f"the advice of {code}",
        "confirmed": False,
        "suppressed": None,
    }
    return usual | changes


def operation(**changes: Any) -> dict[str, Any]:
    usual: dict[str, Any] = {
        "operation_name": "ALTER",
        "table_name": "customers",
        "state": "in_progress",
        "activity": "copying",
        "progress_percentage": 37,
        "rows_copied": 370,
        "rows_total": 1000,
        "rows_verified": 0,
        "bytes_total": 0,
        "rows_per_second": 12,
        "eta_seconds": 52,
        "eta_low_seconds": 40,
        "eta_high_seconds": 90,
        "stalled": None,
        "throttled_reason": None,
        "ddl_method_reason": "it must be copied",
        "losses": ["column fax"],
        "revert_forecast": [],
        "deploy_errors": None,
    }
    return usual | changes


def request(state: str = "ready", **deployment: Any) -> dict[str, Any]:
    usual: dict[str, Any] = {
        "findings": [],
        "lint_errors": [],
        "warnings": [],
        "reviews": [],
        "approvals_missing": None,
        "unconfirmed": [],
        "queue_position": None,
        "queue_paused": False,
        "strategy": "serial",
        "preceding_deployments": [],
        "waits_for": None,
        "deploy_operations": [],
        "order_hints": [],
        "deployment_revert_request": None,
        "redo_until": None,
        "revert_blocked": None,
        "problem": None,
    }
    return {
        "number": 12,
        "state": "open",
        "deployment_state": state,
        "branch": "add-phone",
        "into_branch": "main",
        "notes": "Phone numbers [for] delivery",
        "actor": ADA,
        "created_at": "2026-08-20T10:00:00.000Z",
        "deployment": usual | deployment,
    }


def printed(shown: dict[str, Any], changes: Any = (), *, color: bool = False) -> str:
    out = io.StringIO()
    console = Console(file=out, width=120, force_terminal=color, color_system="standard" if color else None)
    console.print(picture(shown, changes, "shop", Text("32 KiB"), NOW))
    return out.getvalue()


def test_a_request_says_what_it_is_and_what_to_do_next() -> None:
    text = printed(request())
    assert "Deploy request 12  add-phone → main  ready  by ada, 2 h ago" in text
    assert "Phone numbers [for] delivery" in text
    assert "headgate deploy-request deploy shop 12 --wait" in text
    assert "Checks" not in text
    assert "Takes\n  32 KiB" in text


def test_findings_are_counted_and_the_most_serious_come_first() -> None:
    found = [
        finding("info", "LATER"),
        finding("error", "NO_UNIQUE_KEY"),
        finding("confirm", "DROPS", confirmed=True),
    ]
    found += [finding("warning", "CHARSET", suppressed="old debt")]
    text = printed(request("error", findings=found))
    assert "1 blocks  1 to be confirmed  1 warning  1 to know" in text
    order = [text.index(code) for code in ("NO_UNIQUE_KEY", "DROPS", "CHARSET", "LATER")]
    assert order == sorted(order)
    assert "the sentence of DROPS [bold]" in text
    assert "suppressed: old debt" in text
    assert re.search(r"DROPS +customers column phone +confirmed", text)


def test_warnings_and_why_nothing_goes_on_are_told_once() -> None:
    text = printed(request("error", warnings=["was it renamed?"], problem="it could not be checked"))
    assert "was it renamed?" in text
    assert "it could not be checked" in text
    blocking = [finding("error", "CONFLICT")]
    text = printed(request("error", findings=blocking, lint_errors=blocking, problem="the same again"))
    assert "the same again" not in text
    assert "why it failed" in printed(request("complete_error", problem="why it failed"))


def test_changes_are_coloured() -> None:
    changes = [{"name": "customers", "raw": " CREATE TABLE `customers` (\n-  `fax` int\n+  `phone` int\n )"}]
    text = printed(request(), changes, color=True)
    assert "\x1b[32m+  `phone` int" in text
    assert "\x1b[31m-  `fax` int" in text


def test_progress_reviews_queue_and_windows_are_told() -> None:
    reviews = [
        {"state": "approved", "body": "", "dismissed_at": "2026-08-20T11:00:00.000Z", "actor": ADA},
        {"state": "commented", "body": "why?", "dismissed_at": None, "actor": ADA},
    ]
    text = printed(
        request(
            "queued",
            reviews=reviews,
            approvals_missing="it needs an approval",
            queue_position=2,
            queue_paused=True,
            preceding_deployments=[{"deploy_request_number": 11, "state": "pending_cutover"}],
            waits_for="deploy request 11 waits for its cut-over",
            deploy_operations=[operation()],
        )
    )
    assert "approved by ada, dismissed when the change changed" in text
    assert "commented by ada: why?" in text
    assert "number 2 in the queue" in text
    assert "after deploy request 11 (pending cutover)" in text
    assert "deploy request 11 waits for its cut-over" in text
    assert "37 % copying, 370 of 1,000 rows" in text
    assert "column fax is gone when the revert window ends" in text
    window = {"waiting_period_end_at": "2026-08-20T12:30:00.000Z"}
    text = printed(
        request("complete_pending_revert", deployment_revert_request=window, revert_blocked="a row")
    )
    assert "can be reverted until 12:30:00 UTC (in 30 min)" in text
    assert "not now: a row" in text


@pytest.mark.parametrize("state", list(State), ids=str)
def test_every_state_has_a_next_step_or_is_one_that_waits_or_has_ended(state: State) -> None:
    steps = next_steps(request(str(state), redo_until="2026-08-20T12:30:00.000Z"), "shop")
    waits = {State.PENDING, State.IN_PROGRESS_CANCEL, State.IN_PROGRESS_REVERT, State.IN_PROGRESS_REDO}
    assert bool(steps) is (state not in {*waits, State.COMPLETE})
    for _, command in steps:
        assert command.startswith("headgate deploy-request ")
        assert " shop 12" in command


def test_what_is_missing_before_a_deploy_comes_first() -> None:
    steps = next_steps(request(approvals_missing="an approval", unconfirmed=["DROPS:customers:"]), "shop")
    assert [command.split()[2] for _, command in steps] == ["review", "confirm", "deploy"]


def test_a_conflict_is_mended_by_a_rebase() -> None:
    steps = next_steps(request("error", lint_errors=[finding("error", "CONFLICT")]), "shop")
    assert steps[0][1] == "headgate branch rebase shop add-phone"


def test_what_is_closed_and_over_has_no_next_step() -> None:
    for state in ("complete", "ready", "error", "complete_revert"):
        assert next_steps({**request(state), "state": "closed"}, "shop") == []
    assert next_steps({**request("complete_pending_revert"), "state": "closed"}, "shop")


def test_a_narrow_terminal_shows_every_word_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people, "width", 50)
    words = [f"word{number}" for number in range(60)]
    found = finding("warning", "NOTE", sentence=" ".join(words), advice="do this")
    lay_out(picture(request(findings=[found], warnings=[" ".join(words)]), (), "shop", at=NOW))
    lines = capsys.readouterr().out.splitlines()
    assert [word for line in lines for word in line.split() if word.startswith("word")] == words
    assert max(map(len, lines)) <= 50
