"""Servers warn about much of what the corpus holds on purpose; those warnings are not ours."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/migrator/schema/" in item.path.as_posix():
            item.add_marker(pytest.mark.filterwarnings("ignore::Warning:aiomysql"))
