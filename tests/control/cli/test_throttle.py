"""How the throttle is drawn and told to people."""

from __future__ import annotations

from control.cli.progress import progress_text
from control.cli.throttle import sentence, sparkline


def test_a_line_of_bars_shows_what_is_little_and_leaves_blank_what_is_nothing() -> None:
    assert sparkline([0.0, 0.01, 0.5, 1.0], 1.0) == " ▁▄█"
    assert sparkline([0.0, 0.0], 0.0) == "  "
    assert sparkline([], 1.0) == ""


def state(**changes: object) -> dict[str, object]:
    calm = {"ratio": 0, "paused": False, "expires_at": None, "share": 0.0, "held": None}
    return {**calm, **changes}


def test_the_throttle_is_told_in_a_sentence() -> None:
    assert sentence(state()) == "No ratio is set."
    assert sentence(state(share=0.25)) == "No ratio is set. Copying takes 25 % of the time."
    held = {"signal": "replica_lag", "reason": "a replica is 5.0 s behind, more than 2.0 s", "seconds": 12.4}
    assert sentence(state(held=held)).endswith(
        "Held back for 12 s by replica_lag: a replica is 5.0 s behind, more than 2.0 s."
    )
    assert sentence(state(paused=True, held=held)) == "Copying is paused."


def operation(**changes: object) -> dict[str, object]:
    calm = {
        "activity": "copying",
        "state": "in_progress",
        "rows_copied": 1000,
        "rows_total": 5000,
        "rows_verified": 0,
        "bytes_total": 2_000_000,
        "rows_per_second": 100,
        "eta_seconds": 60,
        "eta_low_seconds": 30,
        "eta_high_seconds": 90,
        "stalled": None,
        "throttled_reason": None,
    }
    return {**calm, **changes}


def test_progress_is_told_with_how_sure_it_is() -> None:
    told = "copying, 1,000 of 5,000 rows, 2 MB in all, 100 rows/s, 60 s left (30 to 90)"
    assert progress_text(operation()) == told
    assert progress_text(operation(throttled_reason="lag")) == f"{told}, held back: lag"
    assert progress_text(operation(stalled="stalled for 40 s: lag", throttled_reason="lag")) == (
        f"{told}, stalled for 40 s: lag"
    )
    assert "700 compared" in progress_text(operation(activity="verifying", rows_verified=700))
