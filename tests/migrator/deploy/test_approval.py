"""Who may approve, when that counts, and what must be confirmed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from migrator.deploy.approval import Review, ReviewState, approvers, missing, refusal, unconfirmed
from migrator.deploy.errors import IllegalMove, NotAllowed, NotApproved, NotDeployable
from migrator.deploy.findings import Findings, Snapshot
from migrator.deploy.lifecycle import State
from migrator.deploy.retry import once_more
from migrator.deploy.settings import DatabaseSettings
from migrator.schema.lint.finding import Finding, Level
from migrator.schema.model import Schema
from migrator.schema.parse import parse_create
from migrator.schema.serial import to_json
from router.clock import now
from router.model import LOCAL, Access, Actor, ActorKind, Flavor
from tests.support.deploying import ADA, BOB, EVE, Bench, findings, made_by

TOKEN = Actor("robot", "robot", ActorKind.SERVICE_TOKEN, Access.ADMIN, made_by="ada")
SECOND = replace(TOKEN, id="second", name="second")
MEMBER = replace(TOKEN, id="ci", name="ci", role=Access.MEMBER)
# Whom `local` has made are people of their own.
FIRST = replace(TOKEN, id="first", made_by=LOCAL.id)
LAST = replace(TOKEN, id="last", made_by=LOCAL.id)
STRICT = DatabaseSettings(require_approval=True)
LOSS = Finding("DROP_COLUMN", Level.CONFIRM, "orders", "column note is dropped", element="column note")


def said(actor: Actor, state: ReviewState = ReviewState.APPROVED, **changes: object) -> Review:
    return replace(Review("r", 1, actor, state, "", now()), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("author", "actor", "administrators", "reason"),
    [
        (ADA, BOB, 2, None),
        (ADA, EVE, 2, "no administrator"),
        (ADA, ADA, 2, "ask another administrator"),
        (ADA, ADA, 1, None),
        (EVE, ADA, 1, None),
        (TOKEN, TOKEN, 1, "a service token cannot approve"),
        (TOKEN, ADA, 2, "a token of ada"),
        (TOKEN, ADA, 1, None),
        (TOKEN, BOB, 2, None),
        (BOB, TOKEN, 2, None),
        (ADA, TOKEN, 2, "a token of the same administrator"),
        (TOKEN, SECOND, 3, "a token of the same administrator"),
        (MEMBER, SECOND, 3, "a token of the same administrator"),
        (FIRST, LAST, 3, None),
    ],
)
def test_who_may_approve(author: Actor, actor: Actor, administrators: int, reason: str | None) -> None:
    refused = refusal(made_by(author), actor, administrators)
    assert refused is None if reason is None else reason in str(refused)


def test_only_standing_approvals_by_different_people_count() -> None:
    reviews = [
        said(BOB),
        said(BOB),
        said(EVE, ReviewState.COMMENTED),
        said(TOKEN, dismissed_at=now()),
        said(ADA, number=2),
    ]
    request = made_by(ADA)
    assert approvers(request, reviews) == {"bob"}
    assert approvers(request, [said(ADA), said(TOKEN), said(SECOND)]) == {"ada"}
    assert approvers(request, [said(FIRST), said(LAST)]) == {"first", "last"}
    assert missing(request, [], DatabaseSettings()) is None
    assert missing(request, reviews, STRICT) is None
    two = replace(STRICT, required_approvals=2)
    assert "needs 2 approvals, and has 1" in str(missing(request, reviews, two))
    assert "headgate deploy-request review shop 1 --approve" in str(missing(request, [], STRICT))


def test_what_loses_data_is_confirmed_by_its_key() -> None:
    request = made_by(ADA, findings=(LOSS, replace(LOSS, level=Level.WARNING)))
    assert unconfirmed(request, STRICT) == (LOSS,)
    assert unconfirmed(replace(request, confirmed=(LOSS.key,)), STRICT) == ()
    assert unconfirmed(request, replace(STRICT, confirm_destructive=False)) == ()
    assert unconfirmed(made_by(ADA, findings=(replace(LOSS, suppressed="we know"),)), STRICT) == ()


async def test_a_deploy_waits_for_an_approval_where_that_is_required(bench: Bench) -> None:
    bench.decide(require_approval=True)
    await bench.create()
    with pytest.raises(NotApproved, match="needs an approval"):
        await bench.deploy(1)
    for actor in (ADA, EVE):
        with pytest.raises(NotAllowed, match=f"{actor.name} may not approve deploy request 1"):
            await bench.deploys.review("shop", 1, actor, ReviewState.APPROVED)
    await bench.deploys.review("shop", 1, EVE, ReviewState.COMMENTED, "looks good to me")
    await bench.deploys.review("shop", 1, BOB, ReviewState.APPROVED, "go")
    assert (await bench.deploy(1)).deployment_state is State.QUEUED
    reviews = await bench.deploys.reviews("shop", 1)
    assert [(each.actor, each.state, each.body) for each in reviews] == [
        (EVE, "commented", "looks good to me"),
        (BOB, "approved", "go"),
    ]
    async with bench.running():
        await bench.until(1, State.COMPLETE_PENDING_REVERT)
        with pytest.raises(IllegalMove, match="not deployed yet"):
            await bench.deploys.review("shop", 1, BOB, ReviewState.APPROVED)
        await bench.deploys.review("shop", 1, BOB, ReviewState.COMMENTED, "that was quick")


async def test_findings_are_confirmed_one_by_one_or_all_before_a_deploy(bench: Bench) -> None:
    other = replace(LOSS, element="column fax")
    bench.findings = replace(bench.findings, findings=(LOSS, other))
    await bench.create()
    with pytest.raises(NotApproved, match="headgate deploy-request confirm shop 1"):
        await bench.deploy(1)
    await bench.deploys.confirm("shop", 1, ADA, [LOSS.key])
    with pytest.raises(NotApproved):
        await bench.deploy(1)
    assert set((await bench.deploys.confirm("shop", 1, ADA)).confirmed) == {LOSS.key, other.key}
    assert (await bench.deploy(1)).deployment_state is State.QUEUED


async def test_who_approves_says_yes_to_what_was_found_and_to_nothing_that_is_found_later(
    bench: Bench,
) -> None:
    bench.decide(require_approval=True)
    later = replace(LOSS, element="column fax")
    bench.findings = proposing(PHONE)
    await bench.create()
    await bench.deploys.review("shop", 1, BOB, ReviewState.APPROVED)
    assert (await bench.get(1)).confirmed == (LOSS.key,)
    # Production has moved, not the branch: what was approved stays approved, and what is new asks.
    bench.findings = replace(proposing(PHONE), findings=(LOSS, later))
    with pytest.raises(NotApproved, match="needs to be confirmed"):
        await bench.deploy(1)
    await bench.deploys.review("shop", 1, BOB, ReviewState.APPROVED, "that, too")
    assert (await bench.deploy(1)).deployment_state is State.QUEUED


async def test_what_is_found_while_a_request_waits_takes_it_out_of_the_queue(bench: Bench) -> None:
    bench.findings = replace(proposing(PHONE), findings=())
    await bench.create()
    await bench.deploys.review("shop", 1, BOB, ReviewState.APPROVED)
    await bench.deploy(1)
    bench.findings = proposing(PHONE)
    await bench.deploys.follow("shop")
    request = await bench.get(1)
    assert request.deployment_state is State.READY
    assert "headgate deploy-request confirm shop 1" in str(request.why(State.READY))
    await bench.deploys.confirm("shop", 1, ADA)
    assert (await bench.deploy(1)).deployment_state is State.QUEUED


def schema(columns: str) -> str:
    text = f"CREATE TABLE `orders` (\n  {columns},\n  PRIMARY KEY (`id`)\n) ENGINE=InnoDB"
    table = parse_create(text, Flavor.MYSQL)
    return to_json(Schema(Flavor.MYSQL, "9.0.0", "utf8mb4_0900_ai_ci", {"orders": table}))


ID = "`id` int NOT NULL"
BASE, PHONE, FAX = schema(ID), schema(f"{ID},\n  `phone` int DEFAULT NULL"), schema(f"{ID},\n  `fax` int")


def proposing(branch: str) -> Findings:
    return replace(findings("orders"), snapshot=Snapshot(BASE, branch), findings=(LOSS,))


async def test_a_changed_proposal_loses_its_approvals_and_its_place_in_the_queue(bench: Bench) -> None:
    bench.decide(require_approval=True)
    bench.findings = proposing(PHONE)
    await bench.create()
    await bench.deploys.review("shop", 1, BOB, ReviewState.APPROVED)
    await bench.deploy(1)
    # Nothing has changed: nothing is lost.
    await bench.deploys.follow("shop", "add-phone")
    assert (await bench.get(1)).deployment_state is State.QUEUED
    bench.findings = proposing(FAX)
    await bench.deploys.follow("shop", "add-phone")
    request = await bench.get(1)
    assert (request.deployment_state, request.confirmed) == (State.READY, ())
    assert request.why(State.READY) == "the branch has changed since"
    *_, told = await bench.deploys.reviews("shop", 1)
    assert told.actor.kind is ActorKind.SYSTEM
    assert "Approvals no longer count" in told.body
    assert "fax" in told.body
    assert "phone" in told.body
    with pytest.raises(NotApproved):
        await bench.deploy(1)


async def test_an_edit_that_nobody_has_looked_at_does_not_slip_in_at_its_turn(bench: Bench) -> None:
    bench.findings = proposing(PHONE)
    await bench.create()
    await bench.deploys.confirm("shop", 1, ADA)
    await bench.deploy(1)
    bench.findings = proposing(FAX)
    async with bench.running():
        await bench.until(1, State.READY)
    assert bench.tables.log == []
    assert (await bench.get(1)).confirmed == ()


async def test_once_its_deployment_has_begun_a_request_follows_its_branch_no_more(bench: Bench) -> None:
    bench.findings = proposing(PHONE)
    await bench.create(auto_cutover=False)
    await bench.deploys.confirm("shop", 1, ADA)
    async with bench.running():
        await bench.deploy(1)
        before = await bench.until(1, State.PENDING_CUTOVER)
        bench.findings = proposing(FAX)
        await bench.deploys.follow("shop")
        after = await bench.get(1)
        assert after.operations == before.operations
        assert await bench.deploys.snapshot(after) == Snapshot(BASE, PHONE)
        # Another one is checked against what was frozen, not against the branch.
        bench.by_branch["b"] = findings("coupons")
        await bench.create("b")
        [ahead] = bench.proposals[-1].ahead
        assert (ahead.number, ahead.snapshot.branch) == (1, PHONE)


async def test_rules_that_are_made_while_it_is_queued_hold_for_it_too(bench: Bench) -> None:
    await bench.create()
    await bench.deploy(1)
    bench.decide(require_approval=True)
    async with bench.running():
        request = await bench.until(1, State.READY)
        assert "needs an approval" in str(request.why(State.READY))
        await bench.deploys.review("shop", 1, BOB, ReviewState.APPROVED)
        await bench.deploy(1)
        await bench.until(1, State.COMPLETE_PENDING_REVERT)


async def test_what_is_found_only_at_its_turn_is_confirmed_first(bench: Bench) -> None:
    await bench.create()
    await bench.deploy(1)
    bench.findings = replace(bench.findings, findings=(LOSS,))
    async with bench.running():
        request = await bench.until(1, State.READY)
        assert LOSS.sentence in str(request.why(State.READY))
        await bench.deploys.confirm("shop", 1, ADA)
        await bench.deploy(1)
        await bench.until(1, State.COMPLETE_PENDING_REVERT)


async def test_approvals_can_be_dismissed_because_production_has_moved(bench: Bench) -> None:
    bench.decide(require_approval=True)
    await bench.create()
    await bench.deploys.review("shop", 1, BOB, ReviewState.APPROVED)
    await bench.deploy(1)
    await bench.deploys.invalidate("shop", 1, "table orders was changed by hand")
    assert (await bench.get(1)).deployment_state is State.READY
    with pytest.raises(NotApproved):
        await bench.deploy(1)


async def test_an_approval_is_of_what_was_taken_for_renamed(bench: Bench) -> None:
    """Two schemas are the same whether a column was renamed or dropped and added; its values are not."""
    bench.decide(require_approval=True)
    bench.findings = proposing(FAX)
    [record] = bench.findings.operations
    renaming = replace(record, renames={"phone": "fax"})
    bench.findings = replace(bench.findings, operations=(renaming,))
    await bench.create()
    await bench.deploys.review("shop", 1, BOB, ReviewState.APPROVED)
    await bench.deploys.recheck("shop", 1)
    bench.findings = replace(bench.findings, operations=(record,))
    with pytest.raises(NotApproved):
        await bench.deploy(1)
    *_, told = await bench.deploys.reviews("shop", 1)
    assert "taken for renamed" in told.body
    with pytest.raises(NotDeployable, match="would lose its values"):
        once_more(made_by(ADA, operations=(renaming,)), bench.findings)
