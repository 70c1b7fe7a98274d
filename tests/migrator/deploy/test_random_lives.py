"""Deploy requests in any order of events, killed at any step: no state is illegal and no table is lost."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from migrator.deploy.actions import Deploys
from migrator.deploy.approval import ReviewState
from migrator.deploy.errors import DeployError
from migrator.deploy.findings import Findings, Proposal
from migrator.deploy.how import How
from migrator.deploy.lifecycle import MOVES, State
from migrator.deploy.request import DeployRequest
from migrator.deploy.runner import Runner
from migrator.deploy.settings import DatabaseSettings
from migrator.deploy.store import DeployStore
from router.secrets import new_id
from router.state import open_state
from tests.support.deploying import ADA, BOB, findings
from tests.support.pretended import Server, Table

TABLES = ("customers", "orders", "notes")
VERBS = ("prepare", "cut over", "revert")
NUMBERS = st.integers(1, 4)
STEERING = ("apply", "cancel", "retry", "complete", "close", "skip_revert", "deploy")
NEXT = {
    State.READY: ("deploy", "deploy"),
    State.CANCELLED: ("deploy", "close"),
    State.COMPLETE_CANCEL: ("deploy", "deploy"),
    State.PENDING_CUTOVER: ("apply", "cancel"),
    State.COMPLETE_PENDING_REVERT: ("revert", "skip_revert"),
    State.COMPLETE_ERROR: ("retry", "complete"),
    State.COMPLETE_REVERT_ERROR: ("revert", "complete"),
    State.COMPLETE_REVERT: ("redo", "skip_revert"),
}
AT_REST = {
    *(State.PENDING_CUTOVER, State.COMPLETE_PENDING_REVERT, State.COMPLETE_ERROR),
    *(State.COMPLETE_REVERT_ERROR, State.COMPLETE_REVERT),
}
"""States in which a request that is under way waits for somebody."""
DEPLOYED = {State.COMPLETE_PENDING_REVERT, State.COMPLETE_REVERT_ERROR}
NOT_DEPLOYED = {
    *(State.COMPLETE_ERROR, State.COMPLETE_CANCEL, State.COMPLETE_REVERT),
    *(State.IN_PROGRESS, State.PENDING_CUTOVER, State.READY),
}


def event(name: str, **how: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    return st.tuples(st.just(name), st.fixed_dictionaries(how))


STEPS = st.integers(0, 60)
SOME = st.lists(NUMBERS, min_size=1, max_size=3, unique=True)
# One rule for all: hypothesis leaves some rules out of each run, and without a deploy little happens.
EVENTS = st.one_of(
    event("deploy_some", numbers=SOME, beside=NUMBERS),
    event("go_on", number=NUMBERS, way=st.booleans()),
    event("go_on", number=NUMBERS, way=st.booleans()),
    event("go_on", number=NUMBERS, way=st.booleans()),
    event("deploy", number=NUMBERS, parallel=st.booleans()),
    event("steer", number=NUMBERS, verb=st.sampled_from(STEERING)),
    event("steer", number=NUMBERS, verb=st.sampled_from(STEERING)),
    event("go_back", number=NUMBERS, verb=st.sampled_from(["revert", "redo"])),
    event("be_killed", steps=STEPS),
    event("be_killed", steps=STEPS),
    event("be_steered_meanwhile", steps=STEPS, number=NUMBERS, verb=st.sampled_from(STEERING)),
    event("settle"),
    event("settle"),
    event("break_or_mend", verb=st.sampled_from(VERBS), table=st.sampled_from(TABLES), fails=st.booleans()),
    event(
        "create",
        branch=st.sampled_from("abcd"),
        tables=st.sets(st.sampled_from(TABLES), min_size=1),
        auto=st.booleans(),
    ),
    event("decide", required=st.booleans()),
    event("approve", number=NUMBERS),
    event("edit", number=NUMBERS, auto=st.booleans()),
    event("follow"),
    event("write", table=st.sampled_from(TABLES)),
)


class FragileStore(DeployStore):
    """A store whose process may be killed before or after each change."""

    server: Server

    async def move(self, *args: Any, **changes: Any) -> DeployRequest:
        await self.server.step()
        moved = await super().move(*args, **changes)
        await self.server.step()
        return moved

    async def update(self, *args: Any, **changes: Any) -> DeployRequest:
        await self.server.step()
        updated = await super().update(*args, **changes)
        await self.server.step()
        return updated


class Lives(RuleBasedStateMachine):
    """One database with a few tables, and people who ask for anything at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp())
        self.server = Server({name: Table("") for name in TABLES})
        self.settings = DatabaseSettings(revert_window_s=1000.0, cutover_retry_s=0)
        self.proposals: dict[str, tuple[str, ...]] = {}
        engine = open_state(self.folder / "state.db")
        self.engine = engine
        # People's changes are made by a process that is not killed; the runner's are.
        self.store, self.fragile = DeployStore(engine), FragileStore(engine)
        self.fragile.server = self.server
        self.do(self.store.prepare())
        self.start()

    def teardown(self) -> None:
        self.server.steps_left = None
        self.server.failing.clear()
        self.settle()
        self.do(self.engine.dispose())
        self.loop.close()
        shutil.rmtree(self.folder)

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run(work)

    def start(self) -> None:
        self.runner = Runner("shop", self.fragile, self.server.make)
        self.carrying = self._deploys(self.fragile)
        self.people = self._deploys(self.store)

    def _deploys(self, store: DeployStore) -> Deploys:
        async def check(proposal: Proposal) -> Findings:
            found = findings(*self.proposals[proposal.branch])
            # A table that has the shape already need not be changed.
            return replace(found, operations=tuple(replace(each, id=new_id()) for each in found.operations))

        return Deploys(store, check, self._tell, lambda: self.settings, lambda: 2)

    def _tell(self) -> None:
        self.runner.notify()

    def ask(self, work: Coroutine[Any, Any, Any]) -> None:
        """Ask for something that may be refused, with a sentence."""
        with contextlib.suppress(DeployError):
            self.do(work)

    @rule(event=EVENTS)
    def something_happens(self, event: tuple[str, dict[str, Any]]) -> None:
        name, how = event
        getattr(self, name)(**how)

    # --- what people do -------------------------------------------------------------------------------------

    @initialize(
        release=st.booleans(),
        proposals=st.lists(st.sets(st.sampled_from(TABLES), min_size=1), min_size=2, max_size=3),
        gated=st.integers(0, 3),
        fails=st.sampled_from([None, *VERBS]),
        steps=STEPS,
    )
    def begin(
        self, release: bool, proposals: list[set[str]], gated: int, fails: str | None, steps: int
    ) -> None:
        """Have a deployment of all tables under way, perhaps bound to fail, and killed once."""
        self.settings = replace(self.settings, release_queue_in_window=release)
        for branch, tables in zip("abcd", [set(TABLES), *proposals], strict=False):
            self.create(branch, tables, auto=gated > 0)
        if fails:
            self.break_or_mend(fails, sorted(TABLES)[-1], fails=True)
        self.deploy(1, parallel=False)
        self.be_killed(steps)
        self.settle()
        if fails == "revert":
            self.go_on(1, way=False)

    def decide(self, required: bool) -> None:
        self.settings = replace(self.settings, require_approval=required)

    def create(self, branch: str, tables: set[str], auto: bool) -> None:
        self.proposals[branch] = tuple(sorted(tables))
        self.ask(self.people.create("shop", branch, "main", "", ADA, How(auto_cutover=auto)))

    def deploy(self, number: int, parallel: bool) -> None:
        self.ask(self.people.deploy("shop", number, ADA, How(parallel=parallel)))

    def approve(self, number: int) -> None:
        self.ask(self.people.review("shop", number, BOB, ReviewState.APPROVED))

    def steer(self, number: int, verb: str) -> None:
        self.ask(getattr(self.people, verb)("shop", number, ADA))

    def go_back(self, number: int, verb: str) -> None:
        self.ask(getattr(self.people, verb)("shop", number, ADA, None))

    def go_on(self, number: int, way: bool) -> None:
        """Do one of the two things that a request waits for, and let it be carried."""
        for request in self.do(self.store.all("shop")):
            choices = NEXT.get(request.deployment_state)
            if request.number != number or choices is None:
                continue
            verb = choices[way]
            if verb in {"revert", "redo"}:
                self.go_back(number, verb)
            else:
                self.steer(number, verb)
        self.settle()

    def edit(self, number: int, auto: bool) -> None:
        self.ask(self.people.edit("shop", number, ADA, How(auto_cutover=auto)))

    def deploy_some(self, numbers: list[int], beside: int) -> None:
        """Deploy some, one of them beside the queue, and let them be carried."""
        for number in numbers:
            self.deploy(number, parallel=number == beside)
        self.settle()

    def follow(self) -> None:
        self.do(self.people.follow("shop"))

    def write(self, table: str) -> None:
        self.server.write(table)

    # --- what goes wrong ------------------------------------------------------------------------------------

    def break_or_mend(self, verb: str, table: str, fails: bool) -> None:
        (self.server.failing.add if fails else self.server.failing.discard)((verb, table))

    def be_killed(self, steps: int) -> None:
        """Carry for so many steps, then be killed and lose all that is only in memory."""
        self.server.steps_left = steps
        self.do(self._carry())
        self.server.steps_left = None
        self.start()

    def be_steered_meanwhile(self, steps: int, number: int, verb: str) -> None:
        """Do something while the requests are carried, after so many steps."""

        async def steer() -> None:
            with contextlib.suppress(DeployError):
                await getattr(self.people, verb)("shop", number, ADA)

        self.server.steps_left = steps
        self.do(self._carry(steer))

    def settle(self) -> None:
        """Carry until everybody waits for people."""
        self.do(self._carry())

    async def _carry(self, meanwhile: Callable[[], Coroutine[Any, Any, None]] | None = None) -> None:
        self.server.resumed = asyncio.Event() if meanwhile else None
        work = asyncio.ensure_future(self.runner.run(self.carrying))
        try:
            async with asyncio.timeout(120):
                quiet = 0
                while quiet < 3 and not (self.server.stopped and meanwhile is None):
                    if meanwhile and (self.server.stopped or quiet):
                        await meanwhile()
                        meanwhile, self.server.steps_left = None, None
                        assert self.server.resumed is not None
                        self.server.resumed.set()
                    quiet = quiet + 1 if await self._at_rest() else 0
                    await asyncio.sleep(0.002)
                    assert not work.done(), work.exception()
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    async def _at_rest(self) -> bool:
        active = await self.store.active("shop")
        resting = [each for each in active if each.under_way]
        # One that was acknowledged is still being cleared away.
        moving = [
            each
            for each in resting
            if each.deployment_state not in AT_REST or each.acknowledged_at or each.finished_at
            if not self._in_vain(each)
        ]
        over = [each for each in resting if (each.revert_until or each.updated_at) <= each.updated_at]
        over = [each for each in over if each.deployment_state is State.COMPLETE_PENDING_REVERT]
        waits = [await self.people.waits(each) for each in active if not each.under_way]
        yields = waits and any(each.deployment_state is State.COMPLETE_REVERT for each in resting)
        return not moving and not over and not yields and None not in waits

    def _in_vain(self, request: DeployRequest) -> bool:
        """Whether a request is tried again and again until what is broken is mended."""
        broken = {f"revert of {table} fails" for verb, table in self.server.failing if verb == "revert"}
        return request.deployment_state is State.IN_PROGRESS_CANCEL and request.problem in broken

    # --- what must always hold ------------------------------------------------------------------------------

    @invariant()
    def no_table_is_lost(self) -> None:
        assert set(self.server.tables) == set(TABLES)
        everything = set().union(*(table.rows for table in self.server.tables.values()))
        assert everything == set(range(1, self.server.written + 1))

    @invariant()
    def every_step_is_legal(self) -> None:
        for request in self.do(self.store.all("shop")):
            steps = self.do(self.store.history("shop", request.number))
            assert steps[0].before is None
            for before, after in itertools.pairwise(steps):
                assert after.before is before.after
                assert after.after in MOVES[before.after]
            assert steps[-1].after is request.deployment_state

    @invariant()
    def production_is_what_the_requests_say(self) -> None:
        for request in self.do(self.store.all("shop")):
            for record in request.operations:
                journal = self.server.journals.get(record.id)
                if journal is None:
                    continue
                in_use = self.server.tables[record.table].shape == record.id
                if request.deployment_state in DEPLOYED and not request.finished_at:
                    assert in_use
                if request.deployment_state in NOT_DEPLOYED:
                    assert not in_use
                if not request.under_way:
                    # Nothing is left of what is over.
                    assert journal.shadow is None
                    assert journal.old is None


Lives.TestCase.settings = settings(
    max_examples=int(os.environ.get("HEADGATE_FUZZ_EXAMPLES", "20")),
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestLives = Lives.TestCase
