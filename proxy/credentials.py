"""I check who a login says it is, and give nothing away about who there is.

A name nobody has is treated like a user's: by a secret of this installation it is decided once and for all
whether its login goes on as that of a user with a chosen password, and whether it may use
mysql_native_password. So names can be tried as often as one likes: they answer as users do.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

from proxy.wire.auth import PasswordKey, sha2_verifier
from proxy.wire.constants import CACHING_SHA2_PASSWORD, NATIVE_PASSWORD
from router.errors import UnknownUser
from router.model import User
from router.networks import contains
from router.secrets import impossible_slow_hash, slow_hash_holds
from router.table import RoutingTable, expired

log = structlog.get_logger()

PASSWORD_KEY: Final = "tls/rsa.pem"
"""Where in the state folder the key is that clients hide their passwords with."""
REMEMBERED_S: Final = 3600.0
"""For how long a chosen password that was right can be proved again without the slow hash."""
SLOW_CHECKS: Final = 2
"""How many slow hashes one worker computes at a time; each takes 32 MiB and some 60 ms of a core."""
_SLOW_CHECK_NICENESS: Final = 10


@dataclass(frozen=True, slots=True)
class Candidate:
    """Who a login may be: a user, or nobody who looks like one.

    `slow_hash` is empty when a proof is all there is to check.
    """

    user: User | None
    verifier: bytes = field(repr=False)
    native_verifier: bytes = field(repr=False)
    slow_hash: str = field(repr=False)

    def plugin(self, named: str) -> str:
        """Return the plugin to prove by, for a client that named one itself."""
        return NATIVE_PASSWORD if named == NATIVE_PASSWORD and self.native_verifier else CACHING_SHA2_PASSWORD

    def verifier_of(self, plugin: str) -> bytes:
        """Return what a proof by a plugin is checked against."""
        return self.native_verifier if plugin == NATIVE_PASSWORD else self.verifier

    def objection(self, peer: str, now_s: float, *, proved: bool) -> str:
        """Return why this user may not come in, for our log; empty when it may."""
        user = self.user
        if user is None:
            return "unknown user"
        if not proved:
            return "wrong password"
        if expired(user, now_s):
            return "the user has expired"
        if user.networks and not _comes_from(user.networks, peer):
            return "not from an allowed network"
        return ""


class Credentials:
    """The users' secrets as far as logins need them.

    `seed` decides how names nobody has look; it must be the same in all workers, and after a restart.
    """

    def __init__(self, seed: bytes = b"", key: PasswordKey | None = None) -> None:
        self.key = key
        self._seed = seed or secrets.token_bytes(32)
        # What stands for the verifier of names nobody has, and of chosen passwords not seen lately.
        self._nobody = secrets.token_bytes(32)
        self._nobody_slow = impossible_slow_hash()
        self._remembered: dict[str, tuple[str, bytes, float]] = {}
        self._threads: ThreadPoolExecutor | None = None

    @classmethod
    def of(cls, state_dir: Path) -> Credentials:
        """Take key and seed from the state folder; without a key, passwords are taken inside TLS only.

        Raises OSError or ValueError when the key cannot be read.
        """
        path = state_dir / PASSWORD_KEY
        if not path.exists():
            return cls()
        pem = path.read_bytes()
        return cls(hashlib.sha256(b"names nobody has" + pem).digest(), PasswordKey(pem))

    def candidate(self, table: RoutingTable, login: str) -> Candidate:
        """Return who a login name may be."""
        try:
            user, _ = table.find(login)
        except UnknownUser:
            return self._stranger(table, login)
        if not user.slow_hash:
            return Candidate(user, user.verifier, user.native_verifier, "")
        known = self._remembered.get(user.name)
        fresh = known is not None and known[0] == user.slow_hash and time.monotonic() < known[2]
        verifier = known[1] if known is not None and fresh else self._nobody
        return Candidate(user, verifier, user.native_verifier, user.slow_hash)

    async def password_holds(self, candidate: Candidate, password: Callable[[], bytes]) -> bool:
        """Check a password itself against the slow hash, in a thread; a right one is remembered a while."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(SLOW_CHECKS, "passwords", initializer=_step_back)
        loop = asyncio.get_running_loop()
        given = await loop.run_in_executor(self._threads, _checked, candidate, password)
        if given is None or candidate.user is None:
            return False
        self._remember(candidate.user, sha2_verifier(given))
        return True

    def _stranger(self, table: RoutingTable, login: str) -> Candidate:
        # Names of users have neither dots nor bars: all that begins alike must look alike, like a user too.
        name = login.partition(".")[0].partition("|")[0]
        kind = hmac.digest(self._seed, name.encode(), "sha256")[0]
        native, slow = bool(kind & 1), bool(kind & 2)
        user = table.users.get(name)
        if user is not None:
            native, slow = bool(user.native_verifier), bool(user.slow_hash)
        return Candidate(
            None, self._nobody, self._nobody[:20] if native else b"", self._nobody_slow if slow else ""
        )

    def _remember(self, user: User, verifier: bytes) -> None:
        now_s = time.monotonic()
        self._remembered = {name: kept for name, kept in self._remembered.items() if kept[2] > now_s}
        self._remembered[user.name] = (user.slow_hash, verifier, now_s + REMEMBERED_S)


def _checked(candidate: Candidate, password: Callable[[], bytes]) -> str | None:
    """Return the password if it is right; the same work is done for every candidate."""
    text = password().decode("utf-8", "replace")
    try:
        right = slow_hash_holds(text, candidate.slow_hash)
    except ValueError as error:
        log.error("password.unreadable", user=candidate.user and candidate.user.name, reason=str(error))
        return None
    return text if right and text else None


def _comes_from(networks: tuple[str, ...], peer: str) -> bool:
    try:
        return contains(networks, peer)
    except ValueError as error:
        log.error("user.network_unreadable", reason=str(error))
        return False


def _step_back() -> None:
    """Let the thread that serves clients go first: on Linux a thread has a niceness of its own."""
    try:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _SLOW_CHECK_NICENESS)
    except OSError as error:
        log.debug("thread.not_nicer", reason=str(error))
