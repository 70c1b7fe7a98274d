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

_SHA1 = hashes.SHA1()  # noqa: S303 the protocol's choice
_OAEP = padding.OAEP(padding.MGF1(_SHA1), _SHA1, None)


def new_nonce() -> bytes:
    """Make the random bytes a login's proof depends on.

    Neither NUL (it ends the nonce on the wire) nor `$` (it ends it in the server's own storage) occurs, and
    every byte is ASCII, because some drivers decode it.
    """
    return secrets.token_bytes(NONCE_BYTES).translate(_NONCE_BYTE)


_NONCE_ALPHABET = bytes(byte for byte in range(1, 128) if byte != ord("$"))
_NONCE_BYTE = bytes(_NONCE_ALPHABET[byte % len(_NONCE_ALPHABET)] for byte in range(256))


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
    right_size = len(proof) == len(verifier) == 32
    candidate, known = (proof, verifier) if right_size else (bytes(32), bytes(32))
    once = _xor(candidate, hashlib.sha256(known + nonce).digest())
    return hmac.compare_digest(hashlib.sha256(once).digest(), known) and right_size


def native_proof(password: str, nonce: bytes) -> bytes:
    """Prove knowledge of a password to a mysql_native_password server; empty for the empty password."""
    if not password:
        return b""
    once = hashlib.sha1(password.encode()).digest()  # noqa: S324 the protocol's choice
    twice = hashlib.sha1(once).digest()  # noqa: S324
    return _xor(once, hashlib.sha1(nonce + twice).digest())  # noqa: S324


def native_verifier(password: str) -> bytes:
    """Return what a mysql_native_password proof is checked against: SHA1(SHA1(password))."""
    return hashlib.sha1(hashlib.sha1(password.encode()).digest()).digest()  # noqa: S324


def native_proof_holds(proof: bytes, verifier: bytes, nonce: bytes) -> bool:
    """Do as `sha2_proof_holds` for mysql_native_password; here the nonce is hashed first."""
    right_size = len(proof) == len(verifier) == 20
    candidate, known = (proof, verifier) if right_size else (bytes(20), bytes(20))
    once = _xor(candidate, hashlib.sha1(nonce + known).digest())  # noqa: S324
    return hmac.compare_digest(hashlib.sha1(once).digest(), known) and right_size  # noqa: S324


def rsa_encrypt_password(password: str, nonce: bytes, public_key_pem: bytes) -> bytes:
    """Encrypt a password, hidden by the nonce, for a server that asked for it over an open channel."""
    try:
        key = serialization.load_pem_public_key(public_key_pem)
    except (ValueError, UnsupportedAlgorithm):
        raise RemoteError("the server's public key cannot be read") from None
    if not isinstance(key, rsa.RSAPublicKey):
        raise RemoteError("the server's public key is not an RSA key")
    return key.encrypt(_masked(password.encode() + b"\0", nonce), _OAEP)


class PasswordKey:
    """The RSA key with which clients hide their password from us where there is no TLS.

    Raises ValueError when the PEM text holds no such key.
    """

    def __init__(self, private_pem: bytes) -> None:
        try:
            key = serialization.load_pem_private_key(private_pem, password=None)
        except (TypeError, UnsupportedAlgorithm) as error:
            raise ValueError(str(error)) from None
        if not isinstance(key, rsa.RSAPrivateKey):
            raise ValueError("not an RSA key")
        self._key = key
        self.public_pem = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def open(self, sealed: bytes, nonce: bytes) -> bytes:
        """Return the password that was sealed for this login, or nothing when it was not sealed for us."""
        try:
            clear = _masked(self._key.decrypt(sealed, _OAEP), nonce)
        except ValueError:
            return b""
        return clear[:-1] if clear.endswith(b"\0") else b""


def _masked(clear: bytes, nonce: bytes) -> bytes:
    return _xor(clear, (nonce * (len(clear) // len(nonce) + 1))[: len(clear)])


def _xor(left: bytes, right: bytes) -> bytes:
    return (int.from_bytes(left, "big") ^ int.from_bytes(right, "big")).to_bytes(len(left), "big")
