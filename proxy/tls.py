"""I find or make the certificate that TLS towards clients starts with."""

from __future__ import annotations

import datetime
import ipaddress
import os
import socket
import ssl
import tempfile
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from conf.settings import ProxySettings

GENERATED_NAME = "proxy-tls.pem"
VALID_DAYS = 3650


def server_context(settings: ProxySettings, state_dir: Path) -> ssl.SSLContext:
    """Return the TLS settings for clients, from the configured certificate or from a generated one.

    Raises OSError or ssl.SSLError when a configured file cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.tls_certificate:
        context.load_cert_chain(settings.tls_certificate, settings.tls_key or None)
    else:
        context.load_cert_chain(_generated(state_dir))
    return context


def _generated(state_dir: Path) -> Path:
    """Return the file with our own certificate and key, made by whoever needs it first."""
    path = state_dir / GENERATED_NAME
    if not path.exists():
        state_dir.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=state_dir, prefix=GENERATED_NAME)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(make_certificate())
            # Link, not rename: of two workers that start together one wins and both use its file.
            os.link(temporary, path)
        except FileExistsError:
            pass
        finally:
            Path(temporary).unlink()
    return path


def make_certificate() -> bytes:
    """Make a self-signed certificate for this machine and return it with its key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    host = socket.gethostname()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"headgate {host}"[:64])])
    now = datetime.datetime.now(datetime.UTC)
    addresses = (ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1"))
    alternatives: list[x509.GeneralName] = [x509.DNSName("localhost"), x509.DNSName(host)]
    alternatives += [x509.IPAddress(address) for address in addresses]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM) + private
