"""I find the certificate that TLS towards clients starts with."""

from __future__ import annotations

import ssl
from pathlib import Path

from conf.settings import ProxySettings

GENERATED_CERTIFICATE = "tls/server.pem"
GENERATED_KEY = "tls/server.key"


def server_context(settings: ProxySettings, state_dir: Path) -> ssl.SSLContext | None:
    """Return the TLS settings for clients: the configured certificate's, or those of the generated one.

    None when neither is there, and then TLS is not offered. Raises OSError (ssl.SSLError among them) when a
    file cannot be used.
    """
    certificate, key = state_dir / GENERATED_CERTIFICATE, state_dir / GENERATED_KEY
    if settings.tls_certificate:
        certificate, key = Path(settings.tls_certificate), Path(settings.tls_key or settings.tls_certificate)
    elif not certificate.exists():
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate.expanduser(), key.expanduser())
    return context
