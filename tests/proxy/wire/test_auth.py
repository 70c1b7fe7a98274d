from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.wire.auth import (
    NONCE_BYTES,
    PasswordKey,
    native_proof,
    native_proof_holds,
    native_verifier,
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
    assert not native_proof_holds(b"", native_verifier(""), new_nonce())


@given(st.text(min_size=1), st.text(min_size=1))
def test_only_the_right_password_proves_itself_by_the_older_plugin(password: str, other: str) -> None:
    nonce = new_nonce()
    proof = native_proof(password, nonce)
    assert native_proof_holds(proof, native_verifier(password), nonce)
    assert native_proof_holds(proof, native_verifier(other), nonce) == (password == other)
    assert not native_proof_holds(proof, native_verifier(password), new_nonce())


@given(st.binary(max_size=64), st.sampled_from([b"", bytes(20), bytes(32), sha2_verifier("secret")]))
def test_without_a_verifier_no_proof_holds(proof: bytes, verifier: bytes) -> None:
    nonce = new_nonce()
    assert not sha2_proof_holds(proof, verifier, nonce)
    assert not native_proof_holds(proof, verifier, nonce)


def test_a_nonce_survives_c_strings_and_ascii() -> None:
    for _ in range(200):
        nonce = new_nonce()
        assert len(nonce) == NONCE_BYTES
        assert not set(nonce) & {0, ord("$")}
        assert max(nonce) < 128


def test_the_native_proof_is_what_the_manual_computes() -> None:
    # SHA1(password) XOR SHA1(nonce + SHA1(SHA1(password)))
    assert native_proof("secret", b"12345678901234567890").hex() == "0f8b9033e0897c0a8338ebe3dea9010dda47ab56"


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def private_pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.mark.parametrize("password", ["s", "a secret longer than the nonce", "pässwörd", ""])
def test_a_hidden_password_is_read_for_its_own_login_only(key: rsa.RSAPrivateKey, password: str) -> None:
    ours, nonce = PasswordKey(private_pem(key)), new_nonce()
    sealed = rsa_encrypt_password(password, nonce, ours.public_pem)
    assert ours.open(sealed, nonce) == password.encode()
    assert ours.open(sealed, new_nonce()) != password.encode() or not password


@settings(deadline=None, max_examples=30)
@given(st.binary(max_size=300))
def test_what_was_not_hidden_by_our_key_is_no_password(key: rsa.RSAPrivateKey, sealed: bytes) -> None:
    assert PasswordKey(private_pem(key)).open(sealed, b"n" * NONCE_BYTES) == b""


def test_only_an_rsa_key_hides_passwords() -> None:
    for pem in (b"", b"no key", private_pem(ec.generate_private_key(ec.SECP256R1()))):
        with pytest.raises(ValueError):
            PasswordKey(pem)


def test_the_server_decrypts_the_password_it_asked_for(key: rsa.RSAPrivateKey) -> None:
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
