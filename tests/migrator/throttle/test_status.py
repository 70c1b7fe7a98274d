"""What is made of a server's status."""

from __future__ import annotations

import pytest

from migrator.throttle.gates import Signal
from migrator.throttle.status import read
from router.model import Flavor

POOL = {"Innodb_buffer_pool_pages_dirty": "450", "Innodb_buffer_pool_pages_total": "1000"}


def test_mysql_tells_the_redo_log_in_positions() -> None:
    status = {
        "Innodb_redo_log_current_lsn": "1700",
        "Innodb_redo_log_checkpoint_lsn": "1000",
        "Innodb_redo_log_capacity_resized": "1000",
    }
    assert read(Flavor.MYSQL, status, 90.0) == {Signal.REDO_AGE: pytest.approx(0.7)}


def test_mariadb_tells_the_age_itself_and_the_history() -> None:
    status = {
        "Innodb_checkpoint_age": "30",
        "Innodb_checkpoint_max_age": "40",
        "Innodb_history_list_length": "12",
    }
    assert read(Flavor.MARIADB, status, 90.0) == {Signal.REDO_AGE: 0.75, Signal.HISTORY_LENGTH: 12.0}


def test_dirty_pages_are_a_share_of_those_allowed() -> None:
    assert read(Flavor.MYSQL, POOL, 90.0) == {Signal.DIRTY_PAGES: pytest.approx(0.5)}


def test_an_operator_who_writes_everything_down_does_not_stop_copying() -> None:
    found = read(Flavor.MYSQL, {**POOL, "Innodb_buffer_pool_pages_dirty": "50"}, 0.0)
    assert found == {Signal.DIRTY_PAGES: pytest.approx(0.5)}


def test_what_is_not_told_is_left_out() -> None:
    assert read(Flavor.MARIADB, {"Threads_running": "3", "Innodb_checkpoint_age": "x"}, 90.0) == {
        Signal.THREADS_RUNNING: 3.0
    }
