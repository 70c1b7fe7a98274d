from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from conf.settings import ProxySettings
from proxy.tls import GENERATED_NAME, make_certificate, server_context


def test_a_certificate_is_made_once_and_kept_private(tmp_path: Path) -> None:
    assert server_context(ProxySettings(), tmp_path / "state")
    file = tmp_path / "state" / GENERATED_NAME
    first = file.read_bytes()
    assert file.stat().st_mode & 0o077 == 0
    assert server_context(ProxySettings(), tmp_path / "state")
    assert file.read_bytes() == first
    assert [path.name for path in file.parent.iterdir()] == [GENERATED_NAME]


def test_a_configured_certificate_is_used(tmp_path: Path) -> None:
    own = tmp_path / "own.pem"
    own.write_bytes(make_certificate())
    assert server_context(ProxySettings(tls_certificate=str(own)), tmp_path / "state")
    assert not (tmp_path / "state").exists()


def test_a_configured_file_that_is_no_certificate_is_an_error(tmp_path: Path) -> None:
    own = tmp_path / "own.pem"
    own.write_text("nothing")
    with pytest.raises(ssl.SSLError):
        server_context(ProxySettings(tls_certificate=str(own)), tmp_path)
