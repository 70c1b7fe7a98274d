"""I do the password arithmetic.

Sources: page_caching_sha2_authentication_exchanges.html and
page_protocol_connection_phase_authentication_methods_native_password_authentication.html.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from proxy.wire.errors import RemoteError

NONCE_BYTES = 20


def new_nonce() -> bytes:
    """Make the random bytes a login's proof depends on.

    Neither NUL (it ends the nonce on the wire) nor `$` (it ends it in the server's own storage) occurs, and
    every byte is ASCII, because some drivers decode it.
    """
    return bytes(_NONCE_ALPHABET[byte % len(_NONCE_ALPHABET)] for byte in secrets.token_bytes(NONCE_BYTES))


_NONCE_ALPHABET = bytes(byte for byte in range(1, 128) if byte != ord("$"))


def sha2_verifier(password: str) -> bytes:
    """Return what a caching_sha2_password proof is checked against: SHA256(SHA256(password))."""
    return hashlib.sha256(hashlib.sha256(password.encode()).digest()).digest()


def sha2_proof(password: str, nonce: bytes) -> bytes:
    """Prove knowledge of a password to a caching_sha2_password server; empty for the empty password."""
    if not password:
        return b""
    once = hashlib.sha256(password.encode()).digest()
    twice = hashlib.sha256(once).digest()
    return _xor(once, hashlib.sha256(twice + nonce).digest())


def sha2_proof_holds(proof: bytes, verifier: bytes, nonce: bytes) -> bool:
    """Say whether a proof was made with the password behind `verifier`; takes the same time either way."""
    right_size = len(proof) == 32
    candidate = proof if right_size else bytes(32)
    once = _xor(candidate, hashlib.sha256(verifier + nonce).digest())
    return hmac.compare_digest(hashlib.sha256(once).digest(), verifier) and right_size


def native_proof(password: str, nonce: bytes) -> bytes:
    """Prove knowledge of a password to a mysql_native_password server; empty for the empty password."""
    if not password:
        return b""
    once = hashlib.sha1(password.encode()).digest()  # noqa: S324 the protocol's choice
    twice = hashlib.sha1(once).digest()  # noqa: S324
    return _xor(once, hashlib.sha1(nonce + twice).digest())  # noqa: S324


def rsa_encrypt_password(password: str, nonce: bytes, public_key_pem: bytes) -> bytes:
    """Encrypt a password, hidden by the nonce, for a server that asked for it over an open channel."""
    try:
        key = serialization.load_pem_public_key(public_key_pem)
    except (ValueError, UnsupportedAlgorithm):
        raise RemoteError("the server's public key cannot be read") from None
    if not isinstance(key, rsa.RSAPublicKey):
        raise RemoteError("the server's public key is not an RSA key")
    clear = password.encode() + b"\0"
    mask = (nonce * (len(clear) // len(nonce) + 1))[: len(clear)]
    sha1 = hashes.SHA1()  # noqa: S303 the protocol's choice
    return key.encrypt(_xor(clear, mask), padding.OAEP(padding.MGF1(sha1), sha1, None))


def _xor(left: bytes, right: bytes) -> bytes:
    return (int.from_bytes(left, "big") ^ int.from_bytes(right, "big")).to_bytes(len(left), "big")
