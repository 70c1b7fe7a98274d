"""I remember who has logged in to the pages, in this process only: no session outlives it."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

KEY_BYTES: Final = 32
SESSIONS_MAX: Final = 50
"""Sessions of one token at a time; beyond, its oldest one ends."""


@dataclass(frozen=True, slots=True)
class Session:
    """A login: the id of the token that let somebody in, and what each form must send along."""

    token_id: str
    form_key: str = field(repr=False)
    ends_at_s: float

    def made(self, form_key: str) -> bool:
        """Whether a form with this key is one that we gave to this session."""
        return matches(form_key, self.form_key)


class Sessions:
    """The sessions by the digest of their key; only the browser has the key itself."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._sessions: dict[bytes, Session] = {}

    def begin(self, token_id: str, life_s: float) -> str:
        """Begin a session that lives this long, and return its key."""
        self._forget_ended()
        mine = [digest for digest, session in self._sessions.items() if session.token_id == token_id]
        if len(mine) >= SESSIONS_MAX:
            del self._sessions[mine[0]]
        key = new_key()
        self._sessions[_digest(key)] = Session(token_id, new_key(), self._clock() + life_s)
        return key

    def get(self, key: str) -> Session | None:
        """Return the session of a key, None when there is none or it has ended."""
        session = self._sessions.get(_digest(key))
        if session is not None and session.ends_at_s <= self._clock():
            self.end(key)
            return None
        return session

    def end(self, key: str) -> None:
        """End the session of a key, if there is one."""
        self._sessions.pop(_digest(key), None)

    def _forget_ended(self) -> None:
        moment = self._clock()
        for digest in [each for each, session in self._sessions.items() if session.ends_at_s <= moment]:
            del self._sessions[digest]


def new_key() -> str:
    """Return a key that nobody can guess."""
    return secrets.token_urlsafe(KEY_BYTES)


def matches(given: str, wanted: str) -> bool:
    """Whether two keys are the same, in a time that does not tell how much of them is."""
    return bool(wanted) and hmac.compare_digest(given.encode(errors="replace"), wanted.encode())


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode(errors="replace")).digest()
