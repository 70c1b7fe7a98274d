"""What others have written can do nothing in the terminal of who reads it."""

from __future__ import annotations

import pytest

from control.cli.output import Format, Output
from control.client import harmless


def test_names_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    Output(Format.HUMAN).table([{"name": "[/x]"}, {"name": "[bold]b"}], {"name": "name"})
    shown = capsys.readouterr().out
    assert "[/x]" in shown
    assert "[bold]b" in shown


def test_what_a_terminal_obeys_is_shown_instead() -> None:
    answer = {"raw": "+ a '\x1b[2K\x1b[1A'\r\n\tb\u202ec\x85", "rows": ["\x07", 1, None, True]}
    assert harmless(answer) == {
        "raw": "+ a '\\u001b[2K\\u001b[1A'\n\tb\\u202ec\\u0085",
        "rows": ["\\u0007", 1, None, True],
    }
