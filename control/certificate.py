"""I make the keys of the proxy: for TLS when none is configured, and for passwords sent without TLS."""

from __future__ import annotations

import datetime
import ipaddress
import os
import socket
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

VALID_FOR = datetime.timedelta(days=3650)


def ensure_certificate(folder: Path) -> tuple[Path, Path]:
    """Return the paths of certificate and key in `folder`, made when they are not there.

    ECDSA P-256, self-signed, for this host's names and the loopback addresses.
    """
    certificate, key = folder / "server.pem", folder / "server.key"
    if certificate.exists() and key.exists():
        return certificate, key
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    secret = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Headgate")])
    moment = datetime.datetime.now(datetime.UTC)
    hosts = sorted({"localhost", socket.gethostname()})
    addresses = [ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1")]
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(secret.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - datetime.timedelta(days=1))
        .not_valid_after(moment + VALID_FOR)
        .add_extension(
            x509.SubjectAlternativeName(
                [*(x509.DNSName(host) for host in hosts), *(x509.IPAddress(address) for address in addresses)]
            ),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(secret, hashes.SHA256())
    )
    _write(
        key,
        secret.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    )
    # The certificate last: whoever sees it finds its key.
    _write(certificate, built.public_bytes(serialization.Encoding.PEM))
    return certificate, key


def ensure_password_key(folder: Path) -> Path:
    """Return the path of the RSA key in `folder` that clients hide their passwords with; made when not there.

    It has nothing to do with the certificate, which is of another kind.
    """
    path = folder / "rsa.pem"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        secret = rsa.generate_private_key(65537, 2048)
        _write(
            path,
            secret.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
        )
    return path


def _write(path: Path, content: bytes) -> None:
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    draft.replace(path)
