from __future__ import annotations

import ssl
from pathlib import Path

from control.certificate import ensure_certificate, ensure_password_key
from proxy.credentials import PASSWORD_KEY, Credentials
from proxy.wire.auth import PasswordKey, rsa_encrypt_password


def test_keys_are_made_once_and_nobody_else_reads_them(tmp_path: Path) -> None:
    made = ensure_password_key(tmp_path / "tls")
    first = made.read_bytes()
    assert ensure_password_key(tmp_path / "tls") == made == tmp_path / PASSWORD_KEY
    assert made.read_bytes() == first
    _, key = ensure_certificate(tmp_path / "tls")
    assert {made.stat().st_mode & 0o777, key.stat().st_mode & 0o777} == {0o600}


def test_the_worker_opens_passwords_with_the_key(tmp_path: Path) -> None:
    pem = ensure_password_key(tmp_path / "tls").read_bytes()
    key = Credentials.of(tmp_path).key
    assert key is not None
    sealed = rsa_encrypt_password("secret", b"n" * 20, PasswordKey(pem).public_pem)
    assert key.open(sealed, b"n" * 20) == b"secret"


def test_the_certificate_proves_this_machine_to_who_trusts_it(tmp_path: Path) -> None:
    certificate, key = ensure_certificate(tmp_path)
    outside, inside = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context(cafile=certificate)
    outside.load_cert_chain(certificate, key)
    for name in ("localhost", "127.0.0.1", "::1"):
        wires = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = inside.wrap_bio(wires[0], wires[1], server_hostname=name)
        server = outside.wrap_bio(wires[1], wires[0], server_side=True)
        for _ in range(4):
            for side in (client, server):
                try:
                    side.do_handshake()
                except ssl.SSLWantReadError:
                    continue
        assert client.version() == "TLSv1.3"
