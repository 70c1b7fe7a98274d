from __future__ import annotations

from control.web.sessions import SESSIONS_MAX, Sessions, matches, new_key


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_a_session_is_found_by_its_key_until_it_ends() -> None:
    sessions = Sessions()
    key = sessions.begin("abc", 60)
    session = sessions.get(key)
    assert session is not None
    assert session.token_id == "abc"
    assert sessions.get(key[:-1]) is None
    assert sessions.get("") is None
    sessions.end(key)
    assert sessions.get(key) is None
    sessions.end(key)


def test_a_session_ends_when_its_time_is_over() -> None:
    clock = Clock()
    sessions = Sessions(clock)
    key = sessions.begin("abc", 60)
    clock.now_s += 59
    assert sessions.get(key) is not None
    clock.now_s += 1
    assert sessions.get(key) is None


def test_sessions_that_are_over_make_room_and_else_the_tokens_oldest_does() -> None:
    clock = Clock()
    sessions = Sessions(clock)
    others, short = sessions.begin("other", 60), sessions.begin("abc", 1)
    keys = [sessions.begin("abc", 60) for _ in range(SESSIONS_MAX - 1)]
    clock.now_s += 2
    keys.append(sessions.begin("abc", 60))
    assert sessions.get(short) is None
    assert all(sessions.get(key) for key in keys)
    sessions.begin("abc", 60)
    assert [sessions.get(key) is None for key in keys[:2]] == [True, False]
    assert sessions.get(others) is not None


def test_neither_key_of_a_session_is_in_what_can_be_printed_of_it() -> None:
    sessions = Sessions()
    key = sessions.begin("abc", 60)
    session = sessions.get(key)
    assert session is not None
    assert session.form_key not in repr(session)
    assert key not in repr(vars(sessions))
    assert key != session.form_key


def test_a_form_is_the_sessions_own_only_with_its_key() -> None:
    sessions = Sessions()
    mine, other = (sessions.get(sessions.begin("abc", 60)) for _ in range(2))
    assert mine is not None
    assert other is not None
    assert mine.made(mine.form_key)
    for key in ("", other.form_key, mine.form_key + "x", "\udcff", "ä"):
        assert not mine.made(key)
    assert not matches("", "")
    assert new_key() != new_key()
