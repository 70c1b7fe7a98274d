"""Secrets: hard to guess, private, and never half written."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from proxy.wire.auth import sha2_verifier
from router import secrets
from router.secrets import SecretsFile, new_id, new_password, slow_hash, slow_hash_holds, verifier


def test_a_secret_is_made_once_and_survives(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "secrets.json"
    made = SecretsFile(path).get("admin")
    assert SecretsFile(path).get("admin") == made
    assert SecretsFile(path).get("other") != made
    assert SecretsFile(path).get("admin") == made


def test_the_file_and_its_folder_are_private(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "secrets.json"
    SecretsFile(path).get("admin")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_crash_while_writing_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = SecretsFile(tmp_path / "secrets.json")
    made = file.get("admin")

    def crash(descriptor: int) -> None:
        raise OSError("the machine stops here")

    with monkeypatch.context() as patch:
        patch.setattr(secrets.os, "fsync", crash)
        with pytest.raises(OSError, match="stops here"):
            file.get("other")
    assert json.loads((tmp_path / "secrets.json").read_text()) == {"admin": made}
    file.get("other")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["secrets.json"]


def test_a_file_that_was_left_open_to_others_in_the_middle_is_not_reused(tmp_path: Path) -> None:
    (tmp_path / "secrets.new").write_text("{}")
    (tmp_path / "secrets.new").chmod(0o644)
    SecretsFile(tmp_path / "secrets.json").get("admin")
    assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600


def test_secrets_and_identifiers_differ_each_time_and_need_no_quoting() -> None:
    assert len({new_password() for _ in range(1000)}) == 1000
    assert re.fullmatch(r"hg_pw_[A-Za-z0-9]{36}", new_password())
    assert re.fullmatch(r"hg_tk_[A-Za-z0-9]{36}", new_password(secrets.TOKEN_PREFIX))
    assert all(re.fullmatch(r"[a-z][a-z0-9]{11}", new_id()) for _ in range(100))


def test_the_verifier_is_the_one_that_logins_are_checked_with() -> None:
    assert verifier("päss") == sha2_verifier("päss")
    assert len(verifier("")) == 32


def test_a_file_that_is_not_ours_is_one_clear_sentence(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    for text in ("", "[]", "{", '{"admin": 1'):
        path.write_text(text)
        with pytest.raises(OSError, match=r"secrets\.json.*restore it"):
            SecretsFile(path).get("admin")
        assert path.read_text() == text


def test_a_chosen_password_is_known_again_and_no_other() -> None:
    stored = slow_hash("correct horse battery staple")
    assert slow_hash_holds("correct horse battery staple", stored)
    assert not slow_hash_holds("correct horse battery stable", stored)
    assert slow_hash("correct horse battery staple") != stored


def test_a_hash_of_an_unknown_kind_is_an_error() -> None:
    with pytest.raises(ValueError, match="unknown password hash"):
        slow_hash_holds("x", "md5$1$1$1$$")
