from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from conf.settings import ProxySettings
from control.certificate import ensure_certificate
from proxy.tls import GENERATED_CERTIFICATE, GENERATED_KEY, server_context


def test_the_generated_certificate_is_used(tmp_path: Path) -> None:
    made = ensure_certificate((tmp_path / GENERATED_CERTIFICATE).parent)
    assert made == (tmp_path / GENERATED_CERTIFICATE, tmp_path / GENERATED_KEY)
    assert server_context(ProxySettings(), tmp_path) is not None


def test_without_a_certificate_tls_is_not_offered(tmp_path: Path) -> None:
    assert server_context(ProxySettings(), tmp_path) is None


def test_a_configured_certificate_is_used(tmp_path: Path) -> None:
    certificate, key = ensure_certificate(tmp_path / "own")
    settings = ProxySettings(tls_certificate=str(certificate), tls_key=str(key))
    assert server_context(settings, tmp_path / "state") is not None
    both = tmp_path / "both.pem"
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    assert server_context(ProxySettings(tls_certificate=str(both)), tmp_path / "state") is not None


def test_a_configured_file_that_is_no_certificate_is_an_error(tmp_path: Path) -> None:
    own = tmp_path / "own.pem"
    own.write_text("nothing")
    with pytest.raises(ssl.SSLError):
        server_context(ProxySettings(tls_certificate=str(own)), tmp_path)
