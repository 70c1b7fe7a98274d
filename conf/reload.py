"""I say what of a changed configuration a running Headgate takes, and what waits for its next start."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Final

from conf.settings import Settings

WAITING: Final[dict[str, frozenset[str]]] = {
    "proxy": frozenset({"host", "port", "workers", "tls_certificate", "tls_key", "tls_client_ca"}),
    "console": frozenset(),
}
"""Sections whose settings are taken at once, except these."""
TAKEN: Final[dict[str, frozenset[str]]] = {
    "production": frozenset(
        {
            "reader_user", "reader_password", "writer_user", "writer_password", "replication_user",
            "replication_password", "pool_mode", "require_secure_transport", "local_infile", "replicas",
            "replica_lag_max_s", "replica_fallback",
        }
    ),
    "servers": frozenset({"pool_mode", "sleep_after_s", "spare"}),
}  # fmt: skip
"""Sections of which only these settings are taken at once."""


@dataclass(frozen=True, slots=True)
class Reload:
    """What a changed configuration comes to: `settings` hold from now on.

    `taken` and `waiting` name the settings that changed, as `section.name`; those that wait have their old
    value in `settings`.
    """

    settings: Settings
    taken: tuple[str, ...]
    waiting: tuple[str, ...]


def is_live(section: str, name: str) -> bool:
    """Whether a setting is taken without a new start."""
    if section in WAITING:
        return name not in WAITING[section]
    return name in TAKEN.get(section, frozenset())


def reload(running: Settings, wanted: Settings) -> Reload:
    """Return what a running Headgate makes of a changed configuration."""
    taken: list[str] = []
    waiting: list[str] = []
    sections: dict[str, Any] = {}
    for field in dataclasses.fields(Settings):
        old, new = getattr(running, field.name), getattr(wanted, field.name)
        if not dataclasses.is_dataclass(old):
            if old != new:
                waiting.append(field.name)
            continue
        changes = {}
        for inner in dataclasses.fields(old):
            value = getattr(new, inner.name)
            if value == getattr(old, inner.name):
                continue
            if is_live(field.name, inner.name):
                changes[inner.name] = value
                taken.append(f"{field.name}.{inner.name}")
            else:
                waiting.append(f"{field.name}.{inner.name}")
        sections[field.name] = dataclasses.replace(old, **changes)  # type: ignore[type-var]
    return Reload(dataclasses.replace(running, **sections), tuple(taken), tuple(waiting))
