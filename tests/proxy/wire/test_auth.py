from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.auth import (
    NONCE_BYTES,
    native_proof,
    new_nonce,
    rsa_encrypt_password,
    sha2_proof,
    sha2_proof_holds,
    sha2_verifier,
)
from proxy.wire.errors import RemoteError


@given(st.text(min_size=1), st.text(min_size=1))
def test_only_the_right_password_proves_itself(password: str, other: str) -> None:
    nonce = new_nonce()
    proof = sha2_proof(password, nonce)
    assert sha2_proof_holds(proof, sha2_verifier(password), nonce)
    assert sha2_proof_holds(proof, sha2_verifier(other), nonce) == (password == other)
    assert not sha2_proof_holds(proof, sha2_verifier(password), new_nonce())


@given(st.binary(max_size=64))
def test_random_bytes_prove_nothing(proof: bytes) -> None:
    assert not sha2_proof_holds(proof, sha2_verifier("secret"), b"n" * NONCE_BYTES)


def test_an_empty_password_sends_no_proof() -> None:
    assert sha2_proof("", new_nonce()) == native_proof("", new_nonce()) == b""
    assert not sha2_proof_holds(b"", sha2_verifier(""), new_nonce())


def test_a_nonce_survives_c_strings_and_ascii() -> None:
    for _ in range(200):
        nonce = new_nonce()
        assert len(nonce) == NONCE_BYTES
        assert not set(nonce) & {0, ord("$")}
        assert max(nonce) < 128


def test_the_native_proof_is_what_the_manual_computes() -> None:
    # SHA1(password) XOR SHA1(nonce + SHA1(SHA1(password)))
    assert native_proof("secret", b"12345678901234567890").hex() == "0f8b9033e0897c0a8338ebe3dea9010dda47ab56"


def test_the_server_decrypts_the_password_it_asked_for() -> None:
    key = rsa.generate_private_key(65537, 2048)
    pem = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    nonce = new_nonce()
    sealed = rsa_encrypt_password("a secret longer than the nonce", nonce, pem)
    masked = key.decrypt(sealed, padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None))
    clear = bytes(byte ^ nonce[at % len(nonce)] for at, byte in enumerate(masked))
    assert clear == b"a secret longer than the nonce\0"


def test_a_key_that_is_none_is_the_servers_fault() -> None:
    with pytest.raises(RemoteError):
        rsa_encrypt_password("x", new_nonce(), b"no key")
