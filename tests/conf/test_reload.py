"""What of a changed configuration is taken while Headgate runs."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace

from conf.reload import TAKEN, WAITING, is_live, reload
from conf.settings import ProductionSettings, ProxySettings, ServersSettings, Settings


def test_nothing_changed_is_nothing_to_do() -> None:
    settings = Settings()
    outcome = reload(settings, Settings())
    assert (outcome.settings, outcome.taken, outcome.waiting) == (settings, (), ())


def test_limits_are_taken_and_ports_wait_for_a_start() -> None:
    wanted = Settings(
        state="/elsewhere",
        proxy=ProxySettings(port=4000, max_connections=7),
        production=ProductionSettings(host="db", require_secure_transport=True, replicas=("r:3306",)),
        servers=ServersSettings(flavor="mariadb", sleep_after_s=5.0),
    )
    outcome = reload(Settings(), wanted)
    assert set(outcome.taken) == {
        "proxy.max_connections",
        "production.require_secure_transport",
        "production.replicas",
        "servers.sleep_after_s",
    }
    assert set(outcome.waiting) == {"state", "proxy.port", "production.host", "servers.flavor"}
    assert outcome.settings == replace(
        Settings(),
        proxy=ProxySettings(max_connections=7),
        production=ProductionSettings(require_secure_transport=True, replicas=("r:3306",)),
        servers=ServersSettings(sleep_after_s=5.0),
    )


def test_every_named_setting_exists() -> None:
    sections = {one.name: one for one in fields(Settings) if is_dataclass(getattr(Settings(), one.name))}
    for section, names in {**WAITING, **TAKEN}.items():
        assert section in sections
        known = {one.name for one in fields(getattr(Settings(), section))}
        assert names <= known
    assert is_live("proxy", "max_connections")
    assert not is_live("migrator", "copiers")
