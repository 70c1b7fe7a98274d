"""Workers see each other's number of clients."""

from __future__ import annotations

import os
from pathlib import Path

from proxy.shares import Shares


def test_who_has_more_clients_than_another_is_ahead(tmp_path: Path) -> None:
    first, second = Shares(tmp_path / "shares", 1), Shares(tmp_path / "shares", 2)
    assert not first.is_ahead()
    first.tell(1)
    assert first.is_ahead()
    assert not second.is_ahead()
    second.tell(1)
    assert not first.is_ahead()
    assert not second.is_ahead()


def test_a_worker_that_left_holds_nobody_back(tmp_path: Path) -> None:
    first, second = Shares(tmp_path / "shares", 1), Shares(tmp_path / "shares", 2)
    first.tell(5)
    second.leave()
    assert not first.is_ahead()
    again = Shares(tmp_path / "shares", 2)
    assert first.is_ahead()
    assert not again.is_ahead()


def test_a_single_worker_is_never_ahead(tmp_path: Path) -> None:
    only = Shares(tmp_path / "shares", 0)
    only.tell(1000)
    assert not only.is_ahead()


def test_other_processes_see_it(tmp_path: Path) -> None:
    mine = Shares(tmp_path / "shares", 1)
    child = os.fork()
    if child == 0:
        Shares(tmp_path / "shares", 2).tell(7)
        os._exit(0)
    os.waitpid(child, 0)
    mine.tell(6)
    assert not mine.is_ahead()
    mine.tell(8)
    assert mine.is_ahead()
