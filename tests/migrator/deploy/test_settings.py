"""What a database's settings may be."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from migrator.deploy.settings import (
    EXPLAINED,
    DatabaseSettings,
    Framework,
    SettingRefused,
    changed,
    from_text,
)
from migrator.schema.column_order import ColumnOrder

USUAL = DatabaseSettings()


def test_every_setting_is_explained() -> None:
    assert set(EXPLAINED) == {field.name for field in dataclasses.fields(DatabaseSettings)}


def test_what_is_given_changes_and_the_rest_stays() -> None:
    settings = changed(
        USUAL,
        {
            "require_approval": True,
            "required_approvals": 2,
            "revert_window_s": 60,
            "column_order": "strict",
            "migration_framework": "other",
            "migration_table": "versions",
        },
    )
    assert settings.require_approval
    assert settings.required_approvals == 2
    assert isinstance(settings.revert_window_s, float)
    assert settings.column_order is ColumnOrder.STRICT
    assert settings.migration_framework is Framework.OTHER
    assert settings.cutover_retry_s == USUAL.cutover_retry_s


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"requires_approval": True}, "there is no setting 'requires_approval'"),
        ({"require_approval": "yes"}, "is true or false"),
        ({"require_approval": 1}, "is true or false"),
        ({"required_approvals": 0}, "from 1 to 20"),
        ({"required_approvals": 1.5}, "whole number"),
        ({"required_approvals": True}, "is a number"),
        ({"revert_window_s": -1}, "from 0 to"),
        ({"revert_window_s": float("nan")}, "from 0 to"),
        ({"revert_window_s": float("inf")}, "from 0 to"),
        ({"column_order": "any"}, "append, strict"),
        ({"migration_framework": "symfony"}, "rails"),
        ({"migration_framework": "other"}, "needs a migration_table"),
        ({"migration_table": "a`b"}, "cannot be the name of a table"),
        ({"deploy_schedule": 5}, "is a text"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingRefused, match=told):
        changed(USUAL, changes)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(SettingRefused) as refused:
        changed(USUAL, {"require_approval": 3, "column_order": "any", "sleep": 1})
    assert all(name in str(refused.value) for name in ("require_approval", "column_order", "sleep"))


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("require_approval", "Yes", True),
        ("require_approval", "off", False),
        ("required_approvals", "2", 2),
        ("revert_window_s", "90.5", 90.5),
        ("column_order", " strict ", "strict"),
        ("migration_framework", "", ""),
    ],
)
def test_people_write_values_as_text(name: str, text: str, value: Any) -> None:
    assert from_text(name, text) == value
    assert isinstance(from_text(name, text), type(value))


@pytest.mark.parametrize(("name", "text"), [("require_approval", "perhaps"), ("revert_window_s", "soon")])
def test_a_text_that_is_no_value_is_refused(name: str, text: str) -> None:
    with pytest.raises(SettingRefused, match=name):
        from_text(name, text)
