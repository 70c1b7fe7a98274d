"""I keep the certificate and key of TLS towards clients, and notice when they are renewed."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

import structlog

from conf.settings import ProxySettings
from router.tls import stamp

log = structlog.get_logger()

GENERATED_CERTIFICATE = "tls/server.pem"
GENERATED_KEY = "tls/server.key"
SESSION_TICKETS: Final = 1
"""Tickets given to a client, with which it can come back with a shorter handshake."""


class TlsDoor:
    """TLS towards clients; its files may be renewed at any time.

    `context` is None when there is no certificate, and then TLS is not offered. Raises OSError (ssl.SSLError
    among them) when a file cannot be used at the start; later the files before stay in use.
    """

    def __init__(self, settings: ProxySettings, state_dir: Path) -> None:
        self._settings = settings
        self._state_dir = state_dir
        self._stamp = stamp(_files(settings, state_dir))
        self.context = server_context(settings, state_dir)

    def refresh(self, settings: ProxySettings | None = None) -> None:
        """Look whether settings or files have changed, and use the new ones for the next connections."""
        settings = settings or self._settings
        found = stamp(_files(settings, self._state_dir))
        if found == self._stamp:
            return
        self._settings, self._stamp = settings, found
        try:
            self.context = server_context(settings, self._state_dir) or self.context
        except OSError as error:
            log.error("certificate.unusable", reason=str(error), files=[name for name, _, _ in found])
        else:
            log.info("certificate.renewed", files=[name for name, _, _ in found])


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


def _files(settings: ProxySettings, state_dir: Path) -> list[Path]:
    """Return the files of certificate and key, and that of the clients' authorities if there is one."""
    certificate, key = state_dir / GENERATED_CERTIFICATE, state_dir / GENERATED_KEY
    if settings.tls_certificate:
        certificate, key = Path(settings.tls_certificate), Path(settings.tls_key or settings.tls_certificate)
    authorities = [Path(settings.tls_client_ca)] if settings.tls_client_ca else []
    return [file.expanduser() for file in (certificate, key, *authorities)]
