"""A trigger's text is moved to another table without a change in what it does."""

from __future__ import annotations

import pytest

from migrator.engine.companions.trigger_text import moved
from migrator.errors import Refused


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            b"CREATE DEFINER=`a`@`%` TRIGGER `tr` AFTER INSERT ON `t` FOR EACH ROW SET @a = 'ON t FOR'",
            b"CREATE DEFINER=`a`@`%` TRIGGER `s`.`n` AFTER INSERT ON `s`.`u` "
            b"FOR EACH ROW SET @a = 'ON t FOR'",
        ),
        (
            b'CREATE DEFINER="a"@"%" TRIGGER /* x */ p."t""r" /* y */\nbefore  update on p.t'
            b" -- really\n for each row BEGIN END",
            b'CREATE DEFINER="a"@"%" TRIGGER `s`.`n` before  update ON `s`.`u` for each row BEGIN END',
        ),
        (
            b"CREATE DEFINER=`trigger`@`%` TRIGGER IF NOT EXISTS tr BEFORE INSERT OR DELETE ON t "
            b"FOR EACH ROW SET @x = '\xe9'",
            b"CREATE DEFINER=`trigger`@`%` TRIGGER `s`.`n` BEFORE INSERT OR DELETE ON `s`.`u` "
            b"FOR EACH ROW SET @x = '\xe9'",
        ),
    ],
)
def test_only_the_names_of_the_trigger_and_its_table_change(text: bytes, expected: bytes) -> None:
    assert moved(text, "latin1", "s", "n", "u") == expected


def test_a_text_that_is_not_understood_is_refused() -> None:
    with pytest.raises(Refused):
        moved(b"CREATE TRIGGER a WHENEVER t", "utf8mb4", "s", "n", "u")


def test_a_name_is_written_only_in_a_character_set_that_surely_has_it() -> None:
    text = b"CREATE DEFINER=`a`@`%` TRIGGER a AFTER INSERT ON t FOR EACH ROW SET @a = 1"
    assert "`té`".encode() in moved(text, "utf8mb4", "s", "a", "té")
    with pytest.raises(Refused):
        moved(text, "latin1", "s", "a", "té")
