"""How findings are printed, and that the rules can be listed without a server."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from control.cli.lint import print_finding
from control.cli.main import app
from migrator.schema.lint.lint import rules


def finding(**changes: Any) -> dict[str, Any]:
    usual = {
        "level": "warning",
        "lint_error": "FLOAT_MONEY",
        "sentence": "table 't': column 'price' is double, which rounds",
        "advice": "Take DECIMAL.",
        "suppressed": None,
    }
    return {**usual, **changes}


def test_a_finding_is_printed_with_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    print_finding(finding())
    shown = " ".join(capsys.readouterr().out.split())
    assert shown == "warning FLOAT_MONEY table 't': column 'price' is double, which rounds Take DECIMAL."
    print_finding(finding(suppressed="an estimate (ann)"))
    assert "lived with: an estimate (ann)" in capsys.readouterr().out


def test_the_rules_are_listed_with_their_levels() -> None:
    answer = CliRunner().invoke(app, ["--format", "json", "lint", "rules"])
    assert answer.exit_code == 0
    listed = {entry["code"]: entry for entry in json.loads(answer.stdout)}
    assert listed.keys() == {rule.code for rule in rules()}
    assert listed["NO_UNIQUE_KEY"]["suppressible"] is False
    assert listed["DROP_TABLE"]["number"] == "C01"
