"""I am what every driver must report of the steps that do not depend on the driver.

Ways that agree could agree on nonsense; that they do not is seen here.
"""

from __future__ import annotations

from typing import Any


class _Anything:
    def __repr__(self) -> str:
        return "anything"


ANYTHING = _Anything()

TEXT = "Grüße, 世界 🦆 \\ ' \" \t \0 end"

_GIVEN = (
    "-128|9223372036854775807|1.5|-12345.6789|a'b|0001FF275C|2024-02-29|2024-02-29 12:34:56.789012|-37:01:00"
)
BLOB_SHA256 = "d63729b428f8a84acab9fb0d2e13685f3001a797e48a6a396d3bb9accc461034"
_BEFORE, _INSIDE = [["2", "0"]], [["3", "7"]]
_ERRORS = (1146, 1062, 1064, 1054, 1048, 1406, 1452, 1242, 31234)
_ZONES = [
    [[f"+0{hour}:00", str(1999 + hour), f"1970-01-01 0{hour}:00:00", "SCHEMA"]] for hour in (1, 2, 3, 4)
]

STEPS: dict[str, Any] = {
    "connect": ["1", "SCHEMA", True, True],
    "connect_tls": [["1"]],
    "wrong_password": [1045, ...],
    "types": ANYTHING,
    "types_prepared": ANYTHING,
    "parameters": [1, 1, [_GIVEN, None]],
    "nulls": [[None, "1", None, "1"]],
    "utf8mb4": [[TEXT, "25", "34", TEXT.encode().hex().upper(), "🦆"]],
    "dates": ANYTHING,
    "zero_dates": ANYTHING,
    "blob": ["20971803", BLOB_SHA256, True, ...],
    "rows": [100_000, 4_999_950_000, 1_088_890],
    "prepared": [[["axby"]], [["a5bnull"]], [[None]], [["azb1.5"]], [["aagainbsame"]]],
    "transaction": [[_INSIDE, _BEFORE], [_BEFORE, _BEFORE], [_INSIDE, _BEFORE], [_INSIDE, _INSIDE]],
    "deadlock": [["1213", "ok"], [["1", "1"], ["2", "1"]]],
    "call": ANYTHING,
    "errors": [*([errno, ...] for errno in _ERRORS), [["1"]]],
    "counts": [[2, ANYTHING, ANYTHING, 1, 2], ANYTHING, [["12"]], [["Warning", "1292", ANYTHING]], ...],
    "cancel": [1317, [], [["1"]]],
    "taking_turns": [_ZONES] * 3,
    "session": [
        [["1"]],
        [1146, ...],
        [[None, "0"]],
        [["of this session", "ANSI_QUOTES", "1", "1"], ["of this session", "ANSI_QUOTES", "1", "2"]],
    ],
    "change_database": [
        [["information_schema", "0"]],
        [["SCHEMA", "100000"]],
        [ANYTHING, ...],
        [["SCHEMA"]],
    ],
    "cut_over": ANYTHING,
    "killed": [[["1"]], ["lost"], [["2"]]],
}


def surprises(results: dict[str, Any]) -> list[str]:
    """Say which steps of a driver's program are missing or did not do what they are for."""
    found = [f"{step} was not done" for step in STEPS if step not in results]
    for step, result in results.items():
        if isinstance(result, list) and result[:1] == ["unexpected"]:
            found.append(f"{step} failed: {result[1:]}")
        elif not matches(result, STEPS.get(step, ANYTHING)):
            found.append(f"{step} gave {result!r}, not {STEPS[step]!r}")
    return found


def matches(result: Any, expected: Any) -> bool:
    """Whether a result is as expected; a list that ends with ... may go on as it likes."""
    if expected is ANYTHING:
        return True
    if isinstance(expected, list) and isinstance(result, list):
        if expected[-1:] == [...]:
            expected, result = expected[:-1], result[: len(expected) - 1]
        return len(result) == len(expected) and all(map(matches, result, expected))
    return bool(result == expected)
