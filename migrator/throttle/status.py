"""I make signals of what a server's status says; MySQL and MariaDB call and count things differently."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from migrator.throttle.gates import Signal
from router.model import Flavor

DIRTY_PERCENT_MIN: Final = 10.0
"""An operator who has the server write everything down at once does not mean to stop a migration."""

COMMON: Final = ("Threads_running", "Innodb_buffer_pool_pages_dirty", "Innodb_buffer_pool_pages_total")
OWN: Final = {
    Flavor.MYSQL: (
        "Innodb_redo_log_current_lsn",
        "Innodb_redo_log_checkpoint_lsn",
        "Innodb_redo_log_capacity_resized",
    ),
    Flavor.MARIADB: ("Innodb_checkpoint_age", "Innodb_checkpoint_max_age", "Innodb_history_list_length"),
}


def wanted(flavor: Flavor) -> tuple[str, ...]:
    """Return the names of the status variables that `read` looks at."""
    return (*COMMON, *OWN[flavor])


def read(flavor: Flavor, status: Mapping[str, str], dirty_percent_max: float) -> dict[Signal, float]:
    """Return the signals in a server's status; what it does not tell is left out.

    Threads_running is with ours. Sources: MySQL's "Server Status Variables" (Innodb_redo_log_…, since 8.0.30)
    and MariaDB's "InnoDB Status Variables" (Innodb_checkpoint_age, Innodb_checkpoint_max_age).
    """
    numbers = {name: float(value) for name, value in status.items() if _is_number(value)}
    found: dict[Signal, float] = {}
    if "Threads_running" in numbers:
        found[Signal.THREADS_RUNNING] = numbers["Threads_running"]
    total = numbers.get("Innodb_buffer_pool_pages_total", 0.0)
    if total and "Innodb_buffer_pool_pages_dirty" in numbers:
        allowed = total * max(dirty_percent_max, DIRTY_PERCENT_MIN) / 100
        found[Signal.DIRTY_PAGES] = numbers["Innodb_buffer_pool_pages_dirty"] / allowed
    if flavor is Flavor.MARIADB:
        age, room = numbers.get("Innodb_checkpoint_age"), numbers.get("Innodb_checkpoint_max_age")
        if "Innodb_history_list_length" in numbers:
            found[Signal.HISTORY_LENGTH] = numbers["Innodb_history_list_length"]
    else:
        current, checkpoint, room = (numbers.get(name) for name in OWN[Flavor.MYSQL])
        age = None if current is None or checkpoint is None else max(current - checkpoint, 0.0)
    if age is not None and room:
        found[Signal.REDO_AGE] = age / room
    return found


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
