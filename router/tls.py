"""I make the TLS settings for connections to servers."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from router.model import ServerTls, TlsMode

Stamp = tuple[tuple[str, int, int], ...]
"""What tells one state of some files from another: their names, times of change and numbers."""


def client_context(tls: ServerTls) -> ssl.SSLContext | None:
    """Return the TLS settings for connections to a server; None when they are to be without TLS.

    Renewed files are used from then on. Raises OSError naming the file that cannot be used.
    """
    if tls.mode is TlsMode.DISABLED:
        return None
    files = [Path(name).expanduser() for name in (tls.ca, tls.certificate, tls.key) if name]
    try:
        return _client_context(tls, stamp(files))
    except ssl.SSLError as error:
        raise OSError(f"{' or '.join(map(str, files))} cannot be used: {error}") from error
    except FileNotFoundError:
        missing = ", ".join(str(file) for file in files if not file.exists())
        raise FileNotFoundError(f"there is no file {missing}") from None


@lru_cache(maxsize=64)
def _client_context(tls: ServerTls, _: Stamp) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = tls.mode is TlsMode.VERIFY_IDENTITY
    if tls.mode is TlsMode.REQUIRED:
        context.verify_mode = ssl.CERT_NONE
    elif tls.ca:
        context.load_verify_locations(Path(tls.ca).expanduser())
    else:
        context.load_default_certs()
    if tls.certificate:
        context.load_cert_chain(
            Path(tls.certificate).expanduser(), Path(tls.key or tls.certificate).expanduser()
        )
    return context


def public_key(path: str) -> bytes:
    """Return the PEM text of a server's RSA key; nothing for an empty path. Raises OSError."""
    return Path(path).expanduser().read_bytes() if path else b""


def stamp(files: Iterable[Path]) -> Stamp:
    """Return what changes when one of the files does."""
    stamps = []
    for file in files:
        try:
            facts = file.stat()
        except OSError:
            stamps.append((str(file), 0, 0))
        else:
            stamps.append((str(file), facts.st_mtime_ns, facts.st_ino))
    return tuple(stamps)
