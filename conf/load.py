"""I turn a TOML file and the environment into Settings, or report every mistake at once."""

from __future__ import annotations

import dataclasses
import difflib
import ipaddress
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, get_type_hints

from conf.errors import ConfError
from conf.settings import Settings

ENVIRONMENT_PREFIX = "HEADGATE_"
TEXTS = tuple[str, ...]
"""A list of texts: in the environment, separated by commas."""

# What the throttle can look at on the server, as migrator/throttle/gates.py names it.
SIGNALS: Final = (
    *("replica_lag", "threads_running", "history_length", "history_growth", "redo_age", "dirty_pages"),
    *("commit_latency", "disk_used", "pool_wait"),
)

# What a value may be beyond its type: lowest and highest, both included.
RANGES: dict[tuple[str, str], tuple[float, float]] = {
    ("proxy", "port"): (1, 65535),
    ("proxy", "workers"): (1, 64),
    ("proxy", "connect_timeout_s"): (0.1, 300),
    ("proxy", "max_connections"): (1, 1_000_000),
    ("proxy", "max_user_connections"): (1, 1_000_000),
    ("proxy", "admin_connections"): (0, 1000),
    ("proxy", "max_unauthenticated"): (1, 100_000),
    ("proxy", "max_connect_errors"): (0, 1_000_000_000),
    ("proxy", "wait_timeout_s"): (1, 31_536_000),
    ("proxy", "interactive_timeout_s"): (1, 31_536_000),
    ("proxy", "idle_transaction_timeout_s"): (0, 31_536_000),
    ("proxy", "net_read_timeout_s"): (1, 31_536_000),
    ("proxy", "net_write_timeout_s"): (1, 31_536_000),
    ("proxy", "max_allowed_packet"): (1024, 1_073_741_824),
    ("proxy", "max_prepared_statements"): (1, 1_000_000),
    ("proxy", "max_backend_connections"): (1, 100_000),
    ("proxy", "min_backend_connections"): (0, 100_000),
    ("proxy", "backend_prepared_statements"): (1, 10_000),
    ("proxy", "query_wait_timeout_s"): (0.1, 3600),
    ("proxy", "backend_lifetime_s"): (1, 31_536_000),
    ("proxy", "backend_idle_timeout_s"): (1, 31_536_000),
    ("proxy", "slow_query_s"): (0, 31_536_000),
    ("production", "replica_lag_max_s"): (0, 86_400),
    ("proxy", "watched_per_s"): (0, 10_000),
    ("proxy", "gate_hold_ms"): (10, 60_000),
    ("proxy", "gate_max_held"): (1, 1_000_000),
    ("control", "port"): (1, 65535),
    ("console", "session_s"): (60, 2_592_000),
    ("console", "run_s"): (0.1, 3600),
    ("console", "rows_max"): (1, 10_000),
    ("console", "value_bytes_max"): (16, 1_000_000),
    ("production", "port"): (1, 65535),
    ("servers", "sleep_after_s"): (1, 31_536_000),
    ("migrator", "copiers"): (1, 16),
    ("migrator", "chunk_target_ms"): (5, 10_000),
    ("migrator", "chunk_rows_max"): (10, 1_000_000),
    ("migrator", "lock_wait_ms"): (50, 10_000),
    ("migrator", "revert_window_s"): (0, 31_536_000),
    ("migrator", "force_cutover_after"): (0, 1000),
    ("migrator", "garbage_hold_s"): (0, 31_536_000),
    ("migrator", "verify_again_s"): (0, 31_536_000),
    ("throttle", "latency_rise"): (1.05, 100),
    ("throttle", "replica_lag_max_s"): (0, 3600),
    ("throttle", "threads_rise"): (0, 1000),
    ("throttle", "history_length_max"): (0, 1_000_000_000),
    ("throttle", "history_growth_max"): (0, 1_000_000_000),
    ("throttle", "redo_age_max"): (0, 1),
    ("throttle", "dirty_pages_max"): (0, 1),
    ("throttle", "commit_max_ms"): (0, 60_000),
    ("throttle", "disk_free_min"): (0, 0.9),
    ("throttle", "pool_wait_max_ms"): (0, 60_000),
    ("usage", "days"): (1, 3650),
    ("usage", "shapes_max"): (10, 1_000_000),
    ("lint", "big_rows"): (0, 1_000_000_000_000),
    ("lint", "data_check_s"): (0.1, 3600),
}

CHOICES: dict[tuple[str, str], tuple[str, ...]] = {
    ("", "log_level"): ("debug", "info", "warning", "error"),
    ("servers", "flavor"): ("mysql", "mariadb"),
    ("production", "pool_mode"): ("session", "transaction"),
    ("servers", "pool_mode"): ("session", "transaction"),
    ("migrator", "strategy"): ("auto", "instant", "revertible"),
    ("production", "tls"): ("disabled", "required", "verify_ca", "verify_identity"),
}


def load(path: str | Path | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Read settings from a TOML file, if one is named, with the environment's values over it.

    A setting `port` of section `proxy` is `HEADGATE_PROXY_PORT` in the environment, a setting outside any
    section is `HEADGATE_<NAME>`. Raises ConfError with all mistakes of both sources.
    """
    mistakes: list[str] = []
    given: dict[str, Any] = {}
    if path:
        given = _read(Path(path), mistakes)
    sections = _sections()
    values: dict[str, dict[str, Any]] = {name: {} for name in sections}
    _take_file(given, sections, values, mistakes)
    _take_environment(os.environ if environment is None else environment, sections, values, mistakes)
    settings = None
    if not mistakes:
        parts = {name: section(**values[name]) for name, section in sections.items() if name}
        settings = Settings(**values[""], **parts)
        mistakes += _contradictions(settings)
    if mistakes or settings is None:
        raise ConfError(mistakes)
    return settings


def _read(path: Path, mistakes: list[str]) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        mistakes.append(f"there is no configuration file {path}: give --config another path, or leave it out")
    except (OSError, UnicodeDecodeError) as error:
        mistakes.append(f"the configuration file {path} cannot be read: {error}")
    except tomllib.TOMLDecodeError as error:
        mistakes.append(f"the configuration file {path} is not TOML: {error}")
    return {}


def _sections() -> dict[str, type]:
    """Return each section's dataclass by name; the settings outside any section are section ''."""
    hints = get_type_hints(Settings)
    sections: dict[str, type] = {"": Settings}
    for field in dataclasses.fields(Settings):
        if dataclasses.is_dataclass(hints[field.name]):
            sections[field.name] = hints[field.name]
    return sections


def _types(section: type) -> dict[str, type]:
    hints = get_type_hints(section)
    return {
        field.name: hints[field.name]
        for field in dataclasses.fields(section)
        if not dataclasses.is_dataclass(hints[field.name])
    }


def _take_file(
    given: Mapping[str, Any],
    sections: Mapping[str, type],
    values: dict[str, dict[str, Any]],
    mistakes: list[str],
) -> None:
    for key, value in given.items():
        if isinstance(value, dict):
            if key not in sections or not key:
                mistakes.append(f"[{key}]: there is no such section{_meant(key, [s for s in sections if s])}")
                continue
            types = _types(sections[key])
            for name, inner in value.items():
                _take(key, name, inner, types, values, mistakes)
        else:
            _take("", key, value, _types(Settings), values, mistakes)


def _take(
    section: str,
    name: str,
    value: object,
    types: Mapping[str, type],
    values: dict[str, dict[str, Any]],
    mistakes: list[str],
) -> None:
    label = f"{section}.{name}" if section else name
    if name not in types:
        mistakes.append(f"{label}: there is no such setting{_meant(name, list(types))}")
        return
    wanted = types[name]
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if wanted == TEXTS and isinstance(value, list) and all(isinstance(one, str) for one in value):
        value = tuple(value)
    elif type(value) is not wanted:
        mistakes.append(f"{label}: {value!r} is not {_article(wanted)}")
        return
    mistake = _out_of_bounds(section, name, value)
    if mistake:
        mistakes.append(f"{label}: {mistake}")
        return
    values[section][name] = value


def _take_environment(
    environment: Mapping[str, str],
    sections: Mapping[str, type],
    values: dict[str, dict[str, Any]],
    mistakes: list[str],
) -> None:
    for section, kind in sections.items():
        types = _types(kind)
        for name, wanted in types.items():
            variable = ENVIRONMENT_PREFIX + (f"{section}_{name}" if section else name).upper()
            text = environment.get(variable)
            if text is None:
                continue
            value = _from_text(text, wanted)
            if value is None:
                mistakes.append(f"{variable}: {text!r} is not {_article(wanted)}")
                continue
            mistake = _out_of_bounds(section, name, value)
            if mistake:
                mistakes.append(f"{variable}: {mistake}")
                continue
            values[section][name] = value


def _from_text(text: str, wanted: type) -> object | None:
    if wanted == TEXTS:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if wanted is bool:
        return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(
            text.lower()
        )
    try:
        value: object = wanted(text)
    except ValueError:
        return None
    return value


def _out_of_bounds(section: str, name: str, value: object) -> str | None:
    if (section, name) in RANGES:
        low, high = RANGES[section, name]
        assert isinstance(value, int | float)
        if not low <= value <= high:
            return f"{value} is not between {low:g} and {high:g}"
    if (section, name) in CHOICES and value not in CHOICES[section, name]:
        return f"{value!r} is not one of {', '.join(CHOICES[section, name])}"
    return None


def _contradictions(settings: Settings) -> list[str]:
    mistakes = []
    if bool(settings.proxy.tls_certificate) != bool(settings.proxy.tls_key):
        mistakes.append("proxy.tls_certificate and proxy.tls_key belong together: set both or neither")
    if settings.proxy.port == settings.control.port and settings.proxy.host == settings.control.host:
        mistakes.append("proxy.port and control.port are the same: choose two different ports")
    production = settings.production
    if bool(production.tls_certificate) != bool(production.tls_key):
        mistakes.append(
            "production.tls_certificate and production.tls_key belong together: set both or neither"
        )
    mistakes += _networks(settings.proxy.proxy_protocol_networks)
    for replica in production.replicas:
        host, colon, port = replica.rpartition(":")
        if not (host and colon and port.isdigit() and 1 <= int(port) <= 65535):
            mistakes.append(f"production.replicas: {replica!r} is not host:port")
    mistakes += _signals(settings)
    mistakes += _patterns(settings)
    if production.host or production.socket:
        for which in ("proxy", "migrator", "reader", "writer", "replication"):
            if getattr(production, f"{which}_user") and not getattr(production, f"{which}_password"):
                variable = f"{ENVIRONMENT_PREFIX}PRODUCTION_{which.upper()}_PASSWORD"
                mistakes.append(
                    f"production.{which}_password is missing for the production server at "
                    f"{production.socket or production.host}: set {variable}"
                )
    return mistakes


def _signals(settings: Settings) -> list[str]:
    mistakes = []
    throttle = settings.throttle
    for name in throttle.required:
        if name not in SIGNALS:
            mistakes.append(f"throttle.required: there is no signal {name!r}{_meant(name, list(SIGNALS))}")
    for replica in throttle.replicas_ignored:
        if replica not in settings.production.replicas:
            mistakes.append(f"throttle.replicas_ignored: {replica!r} is not one of production.replicas")
    return mistakes


def _patterns(settings: Settings) -> list[str]:
    mistakes = []
    for name in ("table_names", "column_names", "index_names"):
        try:
            re.compile(getattr(settings.lint, name))
        except re.error as error:
            mistakes.append(f"lint.{name} is no regular expression: {error}")
    return mistakes


def _networks(networks: tuple[str, ...]) -> list[str]:
    mistakes = []
    for network in networks:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            mistakes.append(f"proxy.proxy_protocol_networks: {error}")
    return mistakes


def _meant(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(sorted(known))}"


def _article(wanted: type) -> str:
    if wanted == TEXTS:
        return "a list of texts"
    return {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}[wanted]
