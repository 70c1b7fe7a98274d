"""The audit log, page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from control import journal as module
from control.errors import ControlError
from control.journal import Journal, Subject
from router.clock import now
from router.model import LOCAL, SYSTEM
from router.state import open_state


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    engine = open_state(tmp_path / "state.db")
    journal = Journal(engine)
    await journal.prepare()
    yield journal
    await engine.dispose()


async def test_an_entry_keeps_who_what_where_and_when(journal: Journal) -> None:
    before = now()
    subject = Subject("DeployRequest", "3", "shop/3")
    await journal.record(LOCAL, "deploy_request.queued", subject, {"instant": True}, "192.0.2.7")
    (entry,) = (await journal.entries()).entries
    assert (entry.actor, entry.action, entry.subject) == (LOCAL, "deploy_request.queued", subject)
    assert (entry.details, entry.remote_ip) == ({"instant": True}, "192.0.2.7")
    assert before <= entry.at <= now()


async def test_the_log_is_read_newest_first_in_both_directions(journal: Journal) -> None:
    for number in range(7):
        await journal.record(SYSTEM, "branch.created", Subject("Branch", str(number), ""))
    first = await journal.entries(limit=3)
    assert [entry.subject.id for entry in first.entries] == ["6", "5", "4"]
    assert (first.newer, first.older) == (False, True)
    second = await journal.entries(limit=3, after=first.entries[-1].id)
    assert [entry.subject.id for entry in second.entries] == ["3", "2", "1"]
    last = await journal.entries(limit=3, after=second.entries[-1].id)
    assert [entry.subject.id for entry in last.entries] == ["0"]
    assert not last.older
    back = await journal.entries(limit=3, before=last.entries[0].id)
    assert [entry.subject.id for entry in back.entries] == ["3", "2", "1"]
    assert back.newer
    top = await journal.entries(limit=5, before=back.entries[0].id)
    assert [entry.subject.id for entry in top.entries] == ["6", "5", "4"]
    assert not top.newer


async def test_actions_are_chosen_and_unknown_ones_match_nothing(journal: Journal) -> None:
    for action in ("branch.created", "branch.deleted", "branch.created"):
        await journal.record(LOCAL, action, Subject("Branch", "a", "a"))
    assert len((await journal.entries(actions=["branch.created"])).entries) == 2
    assert len((await journal.entries(actions=["branch.created", "branch.deleted"])).entries) == 3
    assert (await journal.entries(actions=[""])).entries == []


async def test_an_entry_that_is_not_there_is_no_place_to_begin(journal: Journal) -> None:
    with pytest.raises(ControlError, match="no entry 'nowhere'"):
        await journal.entries(after="nowhere")


async def test_what_is_too_old_is_removed_at_the_start(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    await journal.record(LOCAL, "branch.created", Subject("Branch", "a", "a"))
    await journal.prepare()
    assert len((await journal.entries()).entries) == 1
    monkeypatch.setattr(module, "now", lambda: now() + module.KEPT + timedelta(seconds=1))
    await journal.prepare()
    assert (await journal.entries()).entries == []
