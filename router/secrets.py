"""I make secrets, and keep those of a state folder in one private file."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
import string
from pathlib import Path

BASE62 = string.ascii_letters + string.digits
PASSWORD_PREFIX = "hg_pw_"
TOKEN_PREFIX = "hg_tk_"


def new_id() -> str:
    """Return a new identifier: 12 lower-case letters and digits, the first a letter."""
    alphabet = string.ascii_lowercase + string.digits
    return secrets.choice(string.ascii_lowercase) + "".join(secrets.choice(alphabet) for _ in range(11))


def new_password(prefix: str = PASSWORD_PREFIX) -> str:
    """Return a new secret of about 214 bits.

    Verifiers of such secrets need no salt and no slow hash: they cannot be guessed.
    """
    return prefix + "".join(secrets.choice(BASE62) for _ in range(36))


def verifier(password: str) -> bytes:
    """Return SHA256(SHA256(password)): what checks a caching_sha2_password fast login, and no more."""
    return hashlib.sha256(hashlib.sha256(password.encode()).digest()).digest()


def slow_hash(password: str) -> str:
    """Return what checks a password that somebody chose, and takes long to guess from.

    `scrypt$N$r$p$salt$hash` with N as its logarithm and the rest in base64 (RFC 7914; OWASP's parameters take
    some 60 ms and 32 MiB). Run it in a thread.
    """
    salt = os.urandom(16)
    return f"scrypt$15$8$1${_text(salt)}${_text(_scrypt(password, salt, 15, 8, 1))}"


def slow_hash_holds(password: str, stored: str) -> bool:
    """Whether a password is the one behind a slow hash. Run it in a thread."""
    scheme, log_n, r, p, salt, expected = stored.split("$")
    if scheme != "scrypt":
        raise ValueError(f"unknown password hash {scheme!r}")
    given = _scrypt(password, base64.b64decode(salt), int(log_n), int(r), int(p))
    return hmac.compare_digest(given, base64.b64decode(expected))


def impossible_slow_hash() -> str:
    """Return a slow hash that takes as long to check as any, and that no password has."""
    return f"scrypt$15$8$1${_text(os.urandom(16))}${_text(os.urandom(32))}"


def _scrypt(password: str, salt: bytes, log_n: int, r: int, p: int) -> bytes:
    n = 1 << log_n
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=256 * n * r, dklen=32)


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()


class SecretsFile:
    """Generated secrets by name, in a file only this user can read; a missing one is made and kept.

    Raises OSError when the file is damaged: new secrets would lock us out of our own servers.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, name: str, prefix: str = PASSWORD_PREFIX) -> str:
        """Return the secret of this name; the first call for a name makes it."""
        known = self._read()
        if name not in known:
            known[name] = new_password(prefix)
            self._write(known)
        return known[name]

    def _read(self) -> dict[str, str]:
        try:
            known = json.loads(self._path.read_text())
        except FileNotFoundError:
            return {}
        except ValueError:
            known = None
        if not isinstance(known, dict):
            raise OSError(
                f"{self._path} does not hold Headgate's secrets (any more): restore it from a backup"
            )
        return {str(key): str(value) for key, value in known.items()}

    def _write(self, known: dict[str, str]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = self._path.with_suffix(".new")
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(known, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)
