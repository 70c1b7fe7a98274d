"""Configuration: defaults, file, environment, and every mistake at once."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from conf import describe
from conf.errors import ConfError
from conf.load import load
from conf.settings import Settings

ROOT = Path(describe.__file__).parent.parent


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "headgate.toml"
    path.write_text(text)
    return path


def test_without_file_and_environment_everything_is_at_its_default() -> None:
    assert load(None, {}) == Settings()


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "[proxy]\nport = 4000\nworkers = 3\n[throttle]\nlatency_rise = 2\n")
    settings = load(path, {"HEADGATE_PROXY_PORT": "4001", "HEADGATE_THROTTLE_ENABLED": "no"})
    assert (settings.proxy.port, settings.proxy.workers) == (4001, 3)
    assert settings.throttle.latency_rise == 2.0
    assert not settings.throttle.enabled


def test_five_mistakes_are_told_at_once_with_what_was_meant(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        'stat = "/x"\n[proxy]\nport = "3307"\nworkers = 0\ntls_certificat = "a"\n[brances]\nx = 1\n',
    )
    with pytest.raises(ConfError) as caught:
        load(path, {})
    text = str(caught.value)
    assert len(caught.value.mistakes) == 5
    assert "did you mean 'state'?" in text
    assert "proxy.port: '3307' is not a whole number" in text
    assert "proxy.workers: 0 is not between 1 and 64" in text
    assert "did you mean 'tls_certificate'?" in text
    assert "[brances]: there is no such section" in text


def test_a_mistake_in_the_environment_names_the_variable() -> None:
    with pytest.raises(ConfError, match="HEADGATE_CONTROL_PORT: 'x' is not a whole number"):
        load(None, {"HEADGATE_CONTROL_PORT": "x"})


def test_a_missing_or_broken_file_is_one_clear_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfError, match="there is no configuration file"):
        load(tmp_path / "none.toml", {})
    with pytest.raises(ConfError, match="is not TOML"):
        load(written(tmp_path, "[proxy\n"), {})


def test_an_external_production_server_needs_both_passwords() -> None:
    with pytest.raises(ConfError) as caught:
        load(None, {"HEADGATE_PRODUCTION_HOST": "db.example"})
    assert len(caught.value.mistakes) == 2
    assert "HEADGATE_PRODUCTION_MIGRATOR_PASSWORD" in str(caught.value)


def test_secrets_are_not_in_the_settings_representation() -> None:
    settings = load(
        None,
        {
            "HEADGATE_PRODUCTION_HOST": "db.example",
            "HEADGATE_PRODUCTION_PROXY_PASSWORD": "s3cret",
            "HEADGATE_PRODUCTION_MIGRATOR_PASSWORD": "s3cret",
        },
    )
    assert "s3cret" not in repr(settings)


def test_the_example_file_shows_every_setting_at_its_default() -> None:
    text = (ROOT / "conf" / "headgate.toml").read_text()
    assert text == describe.example()
    uncommented = "\n".join(
        line[1:] if line.startswith("#") and " = " in line and not line.startswith("# ") else line
        for line in text.splitlines()
    )
    assert tomllib.loads(uncommented)["proxy"]["port"] == Settings().proxy.port
    assert len(list(describe.describe())) == text.count("\n#") - text.count("\n# ")


def test_the_settings_page_is_up_to_date() -> None:
    assert (ROOT / "docs" / "settings.md").read_text() == describe.reference()


def test_patterns_of_names_are_tried_at_once(tmp_path: Path) -> None:
    path = tmp_path / "headgate.toml"
    path.write_text('[lint]\ntable_names = "[a-z"\n')
    with pytest.raises(ConfError, match=r"lint\.table_names is no regular expression"):
        load(str(path))


def test_the_throttle_takes_only_signals_and_replicas_that_there_are(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        '[production]\nreplicas = ["b:3306"]\n'
        '[throttle]\nrequired = ["replica_lag", "redo_agee"]\nreplicas_ignored = ["b:3306", "c:3306"]\n',
    )
    with pytest.raises(ConfError) as caught:
        load(path, {})
    assert list(caught.value.mistakes) == [
        "throttle.required: there is no signal 'redo_agee'; did you mean 'redo_age'?",
        "throttle.replicas_ignored: 'c:3306' is not one of production.replicas",
    ]
