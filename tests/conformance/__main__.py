"""I run every case on both servers, in every setting, and write docs/conformance.md: `make conformance`."""

from __future__ import annotations

import argparse
import asyncio
import sys
import textwrap
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from migrator.engine.ground.state import prepare_state
from migrator.errors import MigratorError
from router.database import Connection
from router.errors import DatabaseError
from router.model import Flavor
from router.servers.process import LocalServer
from tests.conformance.corpus import Case, cases
from tests.conformance.engine import Mother, StepFailed, mother
from tests.conformance.scenario import Setting, scenario
from tests.support.servers import running_server, session_folder

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"
AT_ONCE = 4
LIMIT_S = 900
HEAD = """# Conformance of schema changes

`make conformance` runs every case below on both servers: the change, its revert, the change once more, or its
refusal. Clients write to the table all the time. Each case is run with one copier and with four, with
`binlog_row_image` FULL and MINIMAL, and once more with the engine killed at a random moment: that takes about
an hour. `--quick` does one setting only.

After the change, rows and definition are compared with what the server itself makes of the same rows by
ALTER TABLE; after the revert with a twin of the table, to which clients wrote the same in the same
transactions and which nobody changed. Every row and every byte must be equal. The cases are in
`tests/corpus/migrate`; `tests/conformance/corpus.py` says how to read them.

"exact" and "refused" are what is expected, with the number of runs; "not yet" is a known limit, explained at
the end; "–" is a case that makes no sense there.

"""


@dataclass
class Outcome:
    """What became of a case on one server."""

    passed: int = 0
    failures: list[str] = field(default_factory=list)

    def text(self, case: Case, flavor: Flavor) -> str:
        """One cell of the table."""
        if not case.runs_on(flavor):
            return "–"
        if self.failures:
            return "not yet" if case.fails_because else "FAILED"
        word = "refused" if case.refusal else "exact"
        return f"{word} ({self.passed})"


Outcomes = dict[tuple[str, Flavor], Outcome]


async def run_all(chosen: list[Case], flavors: Iterable[Flavor], settings: list[Setting]) -> Outcomes:
    """Run the cases, a few at a time."""
    outcomes: Outcomes = {(case.name, flavor): Outcome() for case in chosen for flavor in Flavor}
    with session_folder() as folder:
        for flavor in flavors:
            async with running_server(flavor, folder / f"conformance-{flavor}") as local, mother() as engines:
                await prepare_state(local.server)
                await _run_on(local, engines, chosen, settings, outcomes)
    return outcomes


async def _run_on(
    local: LocalServer, engines: Mother, chosen: list[Case], settings: list[Setting], outcomes: Outcomes
) -> None:
    flavor = local.server.flavor
    for image in dict.fromkeys(setting.row_image for setting in settings):
        async with await Connection.open(local.server) as admin:
            await admin.execute(f"SET GLOBAL binlog_row_image = '{image}'")
        free = asyncio.Semaphore(AT_ONCE)

        async def one(case: Case, setting: Setting, free: asyncio.Semaphore = free) -> None:
            async with free:
                await run_one(local, engines, case, setting, outcomes[case.name, flavor])

        wanted = [
            (case, setting)
            for case in chosen
            for setting in settings
            if setting.row_image == image and case.runs_on(flavor)
        ]
        async with asyncio.TaskGroup() as tasks:
            for case, setting in wanted:
                if not case.alone:
                    tasks.create_task(one(case, setting))
        for case, setting in wanted:
            if case.alone:
                await one(case, setting)


async def run_one(
    local: LocalServer, engines: Mother, case: Case, setting: Setting, outcome: Outcome
) -> None:
    """Run a case once and add to its outcome."""
    started = time.monotonic()
    told, problem = "", ""
    try:
        async with asyncio.timeout(LIMIT_S), scenario(local, engines, case, setting) as run:
            try:
                await run.run()
            finally:
                told = run.told
    except (AssertionError, DatabaseError, MigratorError, StepFailed, TimeoutError, OSError) as error:
        problem = f"{type(error).__name__}: {error}"
    took = f"{time.monotonic() - started:.1f} s"
    name = f"{case.name} on {local.server.flavor}, {setting} {told}"
    if problem:
        outcome.failures.append(f"{name}: {problem}")
        print(f"{'not yet' if case.fails_because else 'FAILED':8}{name} ({took})\n        {problem}")
    else:
        outcome.passed += 1
        print(f"ok      {name} ({took})")
    sys.stdout.flush()


def table(chosen: list[Case], outcomes: Outcomes) -> str:
    """Print cases × servers."""
    lines = ["| case | what it is | MySQL | MariaDB |", "|---|---|---|---|"]
    for case in chosen:
        cells = [outcomes[case.name, flavor].text(case, flavor) for flavor in (Flavor.MYSQL, Flavor.MARIADB)]
        lines.append(f"| {case.name} | {case.about.replace('|', '/')} | {' | '.join(cells)} |")
    return "\n".join(lines)


def page(chosen: list[Case], outcomes: Outcomes, settings: list[Setting]) -> str:
    """Return docs/conformance.md."""
    waiting = [case for case in chosen if case.fails_because]
    text = HEAD + "Written by a run with:\n\n" + "".join(f"* {setting}\n" for setting in settings)
    text += "\n" + table(chosen, outcomes) + "\n"
    if waiting:
        text += "\nNot yet:\n\n"
        for case in waiting:
            text += textwrap.fill(f"* {case.name}: {case.fails_because}", 108, subsequent_indent="  ") + "\n"
    return text


def settings_of(seed: int, *, quick: bool) -> list[Setting]:
    """Return every setting, or one of them."""
    if quick:
        return [Setting(4, "FULL", seed)]
    every = [Setting(copiers, image, seed) for copiers in (1, 4) for image in ("FULL", "MINIMAL")]
    return [*every, Setting(4, "FULL", seed, kills=True)]


def main() -> int:
    """Run what the arguments ask for; 1 when something failed that was not known to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", help="names; all when there are none")
    parser.add_argument("--server", choices=[str(each) for each in Flavor])
    parser.add_argument("--quick", action="store_true", help="one setting instead of five")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100000)
    given = parser.parse_args()
    chosen = cases(given.cases)
    flavors = [Flavor(given.server)] if given.server else list(Flavor)
    settings = settings_of(given.seed, quick=given.quick)
    outcomes = asyncio.run(run_all(chosen, flavors, settings))
    print("\n" + table(chosen, outcomes))
    if not (given.cases or given.server):
        PAGE.write_text(page(chosen, outcomes, settings))
    bad = [case for case in chosen for each in Flavor if outcomes[case.name, each].failures]
    unexpected = sorted({case.name for case in bad if not case.fails_because})
    runs = sum(outcome.passed + len(outcome.failures) for outcome in outcomes.values())
    print(f"{len(chosen)} cases, {runs} runs, failed: {', '.join(unexpected) or 'none'}")
    return 1 if unexpected else 0


if __name__ == "__main__":
    sys.exit(main())
