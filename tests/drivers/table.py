"""I write the table of `docs/drivers.md` from what a run of the matrix saw."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from router.model import Flavor, PoolMode
from tests.drivers.matrix import MASKS
from tests.drivers.programs import Driver

PAGE = Path(__file__).parents[2] / "docs" / "drivers.md"

MODES = (PoolMode.SESSION, PoolMode.TRANSACTION)
SERVERS = {Flavor.MYSQL: "MySQL", Flavor.MARIADB: "MariaDB"}

HEAD = """\
# Drivers

Which client libraries the test suite drives through Headgate, and what it saw. Every driver does the
same steps three times at once: directly on the server, and through Headgate before a safe production
branch in each [pool mode](settings.md) (in mode `transaction` with three connections to the server, so
that clients must share them). What it got, values and types of columns, counts, errors with their texts,
must be the same every way. *same* followed by a number is the number of steps that were.

This page is written by the run: `make drivers` does it again.
"""

NOTES = """\
What to know of some; faults of drivers were seen directly on the server as well:
"""

STEPS = """\
## The steps

Connect without and with TLS, the certificate verified; a wrong password; columns of every type, by text
and by prepared statements; parameters of every kind; NULLs; utf8mb4; dates at their limits and zero
dates; a value of 20 MB written and read; a result of 100,000 rows; prepared statements executed again
with other types and NULLs; transactions with savepoints; a deadlock; several results of one CALL; errors
of the server; affected rows, the last insert id and warnings; a statement killed from a second
connection; four sessions with settings of their own taking turns; user variables, a temporary table and
a named lock that nobody else sees; another database; a [cut-over](engine.md) between two executions of a
prepared `SELECT *`; a connection that is killed, and the next one. Drivers with a mapper or tools of
their own do what these do besides.
"""


@dataclass(slots=True)
class Seen:
    """What a run saw of one driver: its version, and by server and mode how many steps were the same."""

    version: str = ""
    same: dict[tuple[Flavor, PoolMode], int] = field(default_factory=dict)


def page(drivers: Mapping[str, Driver], seen: Mapping[str, Seen], servers: Mapping[Flavor, str]) -> str:
    """Return the page, given what was seen of each driver and the servers' versions."""
    heads = [f"{SERVERS[flavor]} {servers[flavor]}, {mode}" for flavor in SERVERS for mode in MODES]
    lines = [
        f"| driver | version | {' | '.join(heads)} | TLS |",
        f"|{'---|' * (len(heads) + 3)}",
    ]
    for name, driver in drivers.items():
        cells = [_cell(driver, seen[name], flavor, mode) for flavor in SERVERS for mode in MODES]
        lines.append(f"| {name} | {seen[name].version} | {' | '.join(cells)} | verified |")
    notes = [_item(f"**{name}**: {driver.note}") for name, driver in drivers.items() if driver.note]
    masked = [_item(reason) for reason in dict.fromkeys(mask.reason for mask in MASKS)]
    return "\n".join(
        [
            HEAD,
            *lines,
            "",
            NOTES,
            *notes,
            "",
            STEPS,
            "What may differ between the ways, and why:",
            "",
            *masked,
            "",
        ]
    )


def _item(text: str) -> str:
    """Return an item of a list, in lines of a readable length."""
    return textwrap.fill(text, 105, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False)


def _cell(driver: Driver, seen: Seen, flavor: Flavor, mode: PoolMode) -> str:
    if flavor not in driver.flavors:
        return "–"
    return f"same ({seen.same[flavor, mode]})" if (flavor, mode) in seen.same else "not run"


def without_versions(text: str) -> str:
    """The page with every version left out, which differ between machines."""
    return re.sub(r"\d+\.\d+[\w.+~-]*", "VERSION", text)
