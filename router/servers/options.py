"""I name the options that local servers run with, by what they are for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final

from router.model import Flavor


class Purpose(StrEnum):
    """What a local server is for."""

    BRANCH = "branch"
    """A development branch, or scratch: small, quick to start, no binary log."""
    TARGET = "target"
    """A branch that deploy requests go into: as small, with a binary log."""
    PRODUCTION = "production"
    """Durable, and with a binary log."""


COMMON = {
    "character-set-server": "utf8mb4",
    "local-infile": "0",
    "skip-name-resolve": "1",
    "innodb-buffer-pool-dump-at-shutdown": "0",
    "innodb-buffer-pool-load-at-startup": "0",
    # Rights on one routine alone stay when a deployment replaces or drops it, and may bring it back.
    "automatic-sp-privileges": "0",
}

# A server that does not know an option named `loose-…` starts nevertheless.
MYSQL = {
    "loose-mysqlx": "0",
    "secure-file-priv": "NULL",
    # Making keys takes time; a server makes them only when it listens on TCP, see process.py.
    "loose-auto-generate-certs": "0",
    "loose-caching-sha2-password-auto-generate-rsa-keys": "0",
    "loose-sha256-password-auto-generate-rsa-keys": "0",
}

# Without this, who may create a table may put its file anywhere: into another server's folder, too.
MARIADB = {"symbolic-links": "0"}

# The last lines save a third of a MySQL server's memory.
BRANCH = {
    "innodb-buffer-pool-size": "32M",
    "innodb-flush-log-at-trx-commit": "2",
    "performance-schema": "0",
    "event-scheduler": "0",
    "skip-log-bin": "1",
    "innodb-log-buffer-size": "1M",
    "loose-innodb-doublewrite-pages": "4",
    "loose-temptable-max-ram": "2M",
    "loose-innodb-adaptive-hash-index": "0",
}

TARGET = {
    "log-bin": "binlog",
    "server-id": "1",
    "binlog-row-image": "FULL",
    # The log has rows, not calls: functions and triggers need not be deterministic.
    "loose-log-bin-trust-function-creators": "1",
}
LOG_KEPT = {"binlog-expire-logs-seconds": "604800"}
"""A week: longer than any deployment into a development branch is left alone."""

PRODUCTION = {
    "innodb-buffer-pool-size": "128M",
    "innodb-log-buffer-size": "16M",
    "innodb-flush-log-at-trx-commit": "1",
    "sync-binlog": "1",
    "performance-schema": "1",
    **TARGET,
}


def branch_options(flavor: Flavor) -> dict[str, str]:
    """Return the options of a branch or a scratch server: small, quick to start, no binary log."""
    own = {"loose-innodb-redo-log-capacity" if flavor is Flavor.MYSQL else "innodb-log-file-size": "8M"}
    return {**_common(flavor), **BRANCH, **own}


def target_options(flavor: Flavor) -> dict[str, str]:
    """Return the options of a branch that deploy requests go into: a branch's, and a row-based binary log."""
    small = {name: value for name, value in branch_options(flavor).items() if name != "skip-log-bin"}
    return {**small, **TARGET, **LOG_KEPT, **_log(flavor)}


def production_options(flavor: Flavor) -> dict[str, str]:
    """Return the options of an embedded production server: durable, with a row-based binary log and GTIDs."""
    if flavor is Flavor.MYSQL:
        # Without threads of the log's own, a committing client that meets a gap in the log waits 100 ms.
        own = {"loose-innodb-redo-log-capacity": "256M", "loose-innodb-log-writer-threads": "ON"}
    else:
        own = {"innodb-log-file-size": "128M"}
        # MySQL watches who holds a table unless told not to, MariaDB only when told to.
        own["performance-schema-instrument"] = "wait/lock/metadata/sql/mdl=ON"
    return {**_common(flavor), **PRODUCTION, **_log(flavor), **own}


OPTIONS: Final[Mapping[Purpose, Callable[[Flavor], dict[str, str]]]] = {
    Purpose.BRANCH: branch_options,
    Purpose.TARGET: target_options,
    Purpose.PRODUCTION: production_options,
}


def _log(flavor: Flavor) -> dict[str, str]:
    if flavor is Flavor.MYSQL:
        return {"gtid-mode": "ON", "enforce-gtid-consistency": "ON"}
    return {"binlog-format": "ROW", "log-slave-updates": "1"}


def _common(flavor: Flavor) -> dict[str, str]:
    return {**COMMON, **(MYSQL if flavor is Flavor.MYSQL else MARIADB)}
