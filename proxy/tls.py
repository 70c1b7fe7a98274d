"""I keep the certificates and keys of TLS, towards clients and towards servers."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Final

import structlog

from conf.settings import ProxySettings
from router.model import ServerTls, TlsMode

log = structlog.get_logger()

GENERATED_CERTIFICATE = "tls/server.pem"
GENERATED_KEY = "tls/server.key"
SESSION_TICKETS: Final = 1
"""Tickets given to a client, with which it can come back with a shorter handshake."""

Stamp = tuple[tuple[str, int, int], ...]


class TlsDoor:
    """TLS towards clients; its files may be renewed at any time.

    `context` is None when there is no certificate, and then TLS is not offered. Raises OSError (ssl.SSLError
    among them) when a file cannot be used at the start; later the files before stay in use.
    """

    def __init__(self, settings: ProxySettings, state_dir: Path) -> None:
        self._settings = settings
        self._state_dir = state_dir
        self._stamp = _stamp(_files(settings, state_dir))
        self.context = server_context(settings, state_dir)

    def refresh(self, settings: ProxySettings | None = None) -> None:
        """Look whether settings or files have changed, and use the new ones for the next connections."""
        settings = settings or self._settings
        stamp = _stamp(_files(settings, self._state_dir))
        if stamp == self._stamp:
            return
        self._settings, self._stamp = settings, stamp
        try:
            self.context = server_context(settings, self._state_dir) or self.context
        except OSError as error:
            log.error("certificate.unusable", reason=str(error), files=[name for name, _, _ in stamp])
        else:
            log.info("certificate.renewed", files=[name for name, _, _ in stamp])


def server_context(settings: ProxySettings, state_dir: Path) -> ssl.SSLContext | None:
    """Return the TLS settings for clients: the configured certificate's, or those of the generated one.

    None when neither is there, and then TLS is not offered. Raises OSError (ssl.SSLError among them) when a
    file cannot be used.
    """
    certificate, key, *authorities = _files(settings, state_dir)
    if not settings.tls_certificate and not certificate.exists():
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.num_tickets = SESSION_TICKETS
    context.load_cert_chain(certificate, key)
    for file in authorities:
        context.load_verify_locations(file)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(tls: ServerTls) -> ssl.SSLContext | None:
    """Return the TLS settings for connections to a server; None when they are to be without TLS.

    Renewed files are used from then on. Raises OSError when one cannot be used.
    """
    if tls.mode is TlsMode.DISABLED:
        return None
    files = (tls.ca, tls.certificate, tls.key)
    return _client_context(tls, _stamp(Path(name).expanduser() for name in files if name))


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


def _files(settings: ProxySettings, state_dir: Path) -> list[Path]:
    """Return the files of certificate and key, and that of the clients' authorities if there is one."""
    certificate, key = state_dir / GENERATED_CERTIFICATE, state_dir / GENERATED_KEY
    if settings.tls_certificate:
        certificate, key = Path(settings.tls_certificate), Path(settings.tls_key or settings.tls_certificate)
    authorities = [Path(settings.tls_client_ca)] if settings.tls_client_ca else []
    return [file.expanduser() for file in (certificate, key, *authorities)]


def _stamp(files: Iterable[Path]) -> Stamp:
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
