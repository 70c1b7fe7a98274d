from __future__ import annotations

import pytest

from router.classify import KIND_OF_START, Kind, classify
from router.model import Branch
from router.policy import REFUSED_WHEN_SAFE, refusal, refused_kinds

MAIN = Branch("shop", "main", "shop", production=True, safe_migrations=True, sleepable=False)
OPEN = Branch("shop", "dev", "shop", production=False, safe_migrations=False, sleepable=True)


def test_a_safe_branch_refuses_what_is_not_known_to_be_harmless() -> None:
    assert refused_kinds(MAIN) == {Kind.DDL, Kind.ADMIN, Kind.DYNAMIC, Kind.UNKNOWN}


def test_statements_that_are_not_looked_at_twice_are_refused_nowhere() -> None:
    assert not set(KIND_OF_START.values()) & REFUSED_WHEN_SAFE
    assert all(classify(start) is kind for start, kind in KIND_OF_START.items())


def test_an_open_branch_refuses_nothing() -> None:
    assert not refused_kinds(OPEN)


def test_refused_ddl_is_told_with_the_command_to_run_instead() -> None:
    text = refusal(MAIN, Kind.DDL, "ALTER TABLE")
    assert text.startswith('direct DDL is disabled on branch "main" of "shop" (safe migrations)')
    assert text.endswith("headgate branch create shop my-change")


@pytest.mark.parametrize("kind", sorted(REFUSED_WHEN_SAFE))
def test_a_refusal_names_the_branch_and_fits_an_error_packet(kind: Kind) -> None:
    long = Branch("d" * 63, "b" * 63, "shop", production=True, safe_migrations=True, sleepable=False)
    text = refusal(long, kind, "OPTIMIZE TABLE")
    assert "b" * 63 in text
    assert len(text.encode()) <= 512
