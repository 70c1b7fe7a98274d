"""The page about lint explains every rule and no other, with its levels as they are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from migrator.schema.lint.finding import PAGE, Finding, Level
from migrator.schema.lint.lint import rules
from migrator.schema.lint.rule import Rule

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / PAGE).read_text()
SECTIONS = dict(re.findall(r"^### `(\w+)`$(.*?)(?=^##|\Z)", TEXT, re.MULTILINE | re.DOTALL))


def test_the_page_has_a_section_for_each_rule() -> None:
    assert sorted(SECTIONS) == [rule.code for rule in rules()]


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.code)
def test_a_section_says_how_serious_why_what_for_example_and_what_to_do(rule: Rule) -> None:
    head, why, example = re.match(
        r"\s*\*(.*?)\*\n\n(.*?)\n\n```sql\n(.*?)```", SECTIONS[rule.code], re.S
    ).groups()  # type: ignore[union-attr]
    levels = set(re.split(r" or |, ", head.removeprefix(f"{rule.number} · ").split(" · ")[0]))
    assert levels == set(rule.levels)
    assert ("cannot be suppressed" in head) == rule.hard
    assert rule.number in head
    assert len(why) > 30
    assert example.strip()
    assert "**What to do:** " in SECTIONS[rule.code]


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.code)
def test_a_rule_is_a_sentence_and_an_advice_in_a_file_of_its_name(rule: Rule) -> None:
    file = ROOT / "migrator" / "schema" / "lint" / "rules" / f"{rule.code.lower()}.py"
    assert file.read_text().startswith('"""I ')
    assert rule.advice.endswith(".")


def test_a_finding_leads_to_its_section() -> None:
    finding = Finding("NO_UNIQUE_KEY", Level.ERROR, "t", "…")
    assert finding.docs == "docs/lint.md#no_unique_key"
