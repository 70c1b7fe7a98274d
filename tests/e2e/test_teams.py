"""Two teams whose changes meet: proposed, refused, approved, queued, rebased, deployed and reverted.

One team uses the commands and the other one the API, and then the other way round.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest

from router.model import Flavor
from tests.support.headgate import Headgate, data, rows, run_on, running_in
from tests.support.servers import ASKS_S, wait_until

PATIENCE_S = 240.0
PATHS = {"apply": "apply-deploy", "unblock": "complete-deploy"}


class Refused(Exception):
    """What was asked for is refused; the message is the sentence for people."""


class Door(Protocol):
    """How a team reaches Headgate."""

    def branch(self, name: str) -> Any: ...
    def rebase(self, name: str, *, drop_conflicts: bool) -> Any: ...
    def create(self, branch: str, *, gated: bool) -> Any: ...
    def show(self, number: int) -> Any: ...
    def look_again(self, number: int) -> None: ...
    def review(self, number: int, *, approve: bool, comment: str = "") -> Any: ...
    def do(self, verb: str, number: int) -> Any: ...
    def close(self) -> None: ...


class Commands:
    """The command line, with a token of one's own."""

    def __init__(self, headgate: Headgate, token: str) -> None:
        self._headgate = headgate
        self._token = token

    def run(self, *words: str) -> Any:
        ended = self._headgate.run_here("--format", "json", *words, HEADGATE_TOKEN=self._token)
        if ended.returncode == 1:
            assert len(ended.stderr.strip().splitlines()) == 1, ended.stderr
            raise Refused(ended.stderr)
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    def branch(self, name: str) -> Any:
        return self.run("branch", "create", "shop", name)["password"]

    def rebase(self, name: str, *, drop_conflicts: bool) -> Any:
        return self.run("branch", "rebase", "shop", name, *(["--drop-conflicts"] if drop_conflicts else []))

    def create(self, branch: str, *, gated: bool) -> Any:
        switch = "--disable-auto-apply" if gated else "--enable-auto-apply"
        return self.run("deploy-request", "create", "shop", branch, switch)

    def show(self, number: int) -> Any:
        return self.run("deploy-request", "show", "shop", str(number))

    def look_again(self, number: int) -> None:
        self.run("deploy-request", "diff", "shop", str(number))

    def review(self, number: int, *, approve: bool, comment: str = "") -> Any:
        words = ["--approve"] if approve else []
        return self.run("deploy-request", "review", "shop", str(number), *words, "--comment", comment)

    def do(self, verb: str, number: int) -> Any:
        more = ["--no-wait"] if verb == "revert" else []
        return self.run("deploy-request", verb, "shop", str(number), *more)

    def close(self) -> None:
        """Nothing stays open between commands."""


class Calls:
    """The API, with a token of one's own."""

    def __init__(self, headgate: Headgate, token: str) -> None:
        self._http = httpx.Client(
            base_url=f"http://127.0.0.1:{headgate.control_port}/v1/organizations/local/databases/shop",
            headers={"Authorization": token},
            timeout=PATIENCE_S,
            trust_env=False,
        )

    def call(self, method: str, path: str, body: Any = None) -> Any:
        answer = self._http.request(method, path, json=body)
        if answer.is_success:
            return answer.json()
        problem = answer.json()
        assert answer.status_code in (403, 404, 422), problem
        assert set(problem) == {"code", "message"}
        raise Refused(problem["message"])

    def branch(self, name: str) -> Any:
        self.call("POST", "/branches", {"name": name})
        return self.call("POST", f"/branches/{name}/passwords", {"name": "of the team"})

    def rebase(self, name: str, *, drop_conflicts: bool) -> Any:
        return self.call("POST", f"/branches/{name}/rebase", {"drop_conflicts": drop_conflicts})

    def create(self, branch: str, *, gated: bool) -> Any:
        return self.call("POST", "/deploy-requests", {"branch": branch, "auto_cutover": not gated})

    def show(self, number: int) -> Any:
        return self.call("GET", f"/deploy-requests/{number}")

    def look_again(self, number: int) -> None:
        self.call("GET", f"/deploy-requests/{number}/diff")

    def review(self, number: int, *, approve: bool, comment: str = "") -> Any:
        body = {"state": "approved" if approve else "commented", "body": comment}
        return self.call("POST", f"/deploy-requests/{number}/reviews", body)

    def do(self, verb: str, number: int) -> Any:
        return self.call("POST", f"/deploy-requests/{number}/{PATHS.get(verb, verb)}", {})

    def close(self) -> None:
        self._http.close()


@pytest.fixture(scope="module", params=list(Flavor), ids=str)
def headgate(server_folder: Path, request: pytest.FixtureRequest) -> Iterator[Headgate]:
    with running_in(server_folder / f"teams-{request.param}", request.param) as headgate:
        yield headgate


def token(headgate: Headgate, name: str, access: str = "member") -> str:
    made = data(headgate, "service-token", "create", name, "--access", access)
    return f"{made['id']}:{made['token']}"


def until(door: Door, number: int, state: str) -> Any:
    found: Any = None

    def there() -> bool:
        nonlocal found
        found = door.show(number)
        ended = found["deployment_state"] in {"error", "complete_error", "complete_revert_error"}
        assert not ended or found["deployment_state"] == state, found["deployment"]["problem"]
        return bool(found["deployment_state"] == state)

    wait_until(there, timeout_s=PATIENCE_S, every_s=ASKS_S)
    return found


class Shop:
    """The database: what is on its branches, and the application that writes to production."""

    def __init__(self, headgate: Headgate, suffix: str) -> None:
        self.headgate, self.suffix = headgate, suffix
        self.customers, self.orders = f"customers_{suffix}", f"orders_{suffix}"
        self.changed: dict[str, Any] = {}
        self._open(suffix)

    def close(self) -> None:
        self.web.close()

    def _open(self, suffix: str) -> None:
        door = Commands(self.headgate, token(self.headgate, f"seed-{suffix}", "admin"))
        self.change(
            door,
            f"seed-{suffix}",
            f"CREATE TABLE {self.customers} (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(50) NOT NULL)",
            f"CREATE TABLE {self.orders} (id INT PRIMARY KEY AUTO_INCREMENT, customer_id INT NOT NULL)",
        )
        number = door.create(f"seed-{suffix}", gated=False)["number"]
        door.do("deploy", number)
        until(door, number, "complete_pending_revert")
        door.do("skip-revert", number)
        until(door, number, "complete")
        web = data(self.headgate, "password", "create", "shop", "main", "web", "--role", "readwriter")
        self.web = self.headgate.connect(web["username"], web["plain_text"])
        rows(self.web, f"INSERT INTO {self.customers} (name) VALUES ('Ada'), ('Bo')")

    def change(self, door: Door, branch: str, *statements: str) -> None:
        """Run statements on a branch, which is made if it is not there."""
        if branch not in self.changed:
            self.changed[branch] = door.branch(branch)
        run_on(self.headgate, self.changed[branch], *statements)

    def definition(self) -> str:
        return str(rows(self.web, f"SHOW CREATE TABLE {self.customers}")[0][1])


@pytest.mark.parametrize(("checkouts", "searchs"), [(Commands, Calls), (Calls, Commands)])
def test_two_teams_deploy_what_conflicts_one_after_the_other_and_take_it_back(
    headgate: Headgate, checkouts: type[Commands | Calls], searchs: type[Commands | Calls]
) -> None:
    suffix = checkouts.__name__.lower()
    data(headgate, "database", "set", "shop", "require_approval=false")
    with (
        contextlib.closing(Shop(headgate, suffix)) as shop,
        contextlib.closing(checkouts(headgate, token(headgate, f"checkout-{suffix}"))) as checkout,
        contextlib.closing(searchs(headgate, token(headgate, f"search-{suffix}"))) as search,
        contextlib.closing(searchs(headgate, token(headgate, f"lead-{suffix}", "admin"))) as lead,
    ):
        numbers = Story(shop, checkout, search, lead).play()
    assert_recorded(headgate, suffix, *numbers)


class Story:
    """Checkout and search change the same table at the same time; lead approves what they propose."""

    def __init__(self, shop: Shop, checkout: Door, search: Door, lead: Door) -> None:
        self.shop, self.checkout, self.search, self.lead = shop, checkout, search, lead
        self.longer, self.findable, self.priced = (
            f"{what}-{shop.suffix}" for what in ("longer", "findable", "priced")
        )
        self.first = self.second = self.third = 0

    def play(self) -> tuple[int, int, int]:
        """Play it, and return the numbers of the deploy requests in it."""
        data(self.shop.headgate, "database", "set", "shop", "require_approval=true")
        self.propose()
        self.approve()
        self.meet_a_conflict()
        self.wait_behind_the_gate()
        self.open_the_gate()
        self.rebase()
        self.take_back()
        return self.first, self.second, self.third

    def propose(self) -> None:
        """Both want the names of customers to be longer, and search wants to find them, too."""
        customers = self.shop.customers
        self.shop.change(
            self.checkout, self.longer, f"ALTER TABLE {customers} MODIFY name VARCHAR(60) NOT NULL"
        )
        self.shop.change(
            self.search,
            self.findable,
            f"ALTER TABLE {customers} MODIFY name VARCHAR(80) NOT NULL, ADD KEY by_name (name)",
        )
        self.first = self.checkout.create(self.longer, gated=True)["number"]
        second = self.search.create(self.findable, gated=False)
        assert second["deployment_state"] == "ready"
        self.second = second["number"]

    def approve(self) -> None:
        """Each needs an approval, which no member gives."""
        for member, number in ((self.checkout, self.first), (self.search, self.second)):
            with pytest.raises(Refused, match="needs an approval"):
                member.do("deploy", number)
        for member in (self.checkout, self.search):
            with pytest.raises(Refused, match="may not approve"):
                member.review(self.first, approve=True)
        self.search.review(self.first, approve=False, comment="We want 80 characters!")
        for number in (self.first, self.second):
            self.lead.review(number, approve=True)
        assert self.checkout.show(self.first)["num_comments"] == 1

    def meet_a_conflict(self) -> None:
        """The first one is gated; the second one conflicts with it and is told so at once."""
        customers = self.shop.customers
        self.checkout.do("deploy", self.first)
        until(self.checkout, self.first, "pending_cutover")
        with pytest.raises(Refused, match=f"{customers}.*name"):
            self.search.do("deploy", self.second)
        refused = self.search.show(self.second)
        assert refused["deployment_state"] == "error"
        (conflict,) = refused["deployment"]["lint_errors"]
        assert (conflict["lint_error"], conflict["conflict_against"]) == ("CONFLICT", self.first)
        assert (conflict["table_name"], conflict["conflict_columns"]) == (customers, ["name"])

    def wait_behind_the_gate(self) -> None:
        """Another change of search waits behind the gate, changes its mind, and then its branch."""
        shop, search, lead = self.shop, self.search, self.lead
        shop.change(search, self.priced, f"ALTER TABLE {shop.orders} ADD COLUMN price DECIMAL(9,2)")
        self.third = third = search.create(self.priced, gated=False)["number"]
        lead.review(third, approve=True)
        waiting = search.do("deploy", third)["deployment"]
        assert (waiting["queue_position"], waiting["queue_paused"]) == (1, True)
        assert f"headgate deploy-request apply shop {self.first}" in waiting["queue_pause_reason"]
        assert search.do("cancel", third)["deployment_state"] == "cancelled"
        search.do("deploy", third)
        shop.change(search, self.priced, f"ALTER TABLE {shop.orders} ADD KEY of_customer (customer_id)")
        search.look_again(third)
        until(search, third, "ready")
        with pytest.raises(Refused, match="needs an approval"):
            search.do("deploy", third)
        lead.review(third, approve=True)
        assert search.do("deploy", third)["deployment_state"] == "queued"

    def open_the_gate(self) -> None:
        """The gate opens; the window of the first one holds the queue until it is skipped."""
        self.checkout.do("apply", self.first)
        until(self.checkout, self.first, "complete_pending_revert")
        held = self.search.show(self.third)["deployment"]
        assert [each["deploy_request_number"] for each in held["preceding_deployments"]] == [self.first]
        assert f"skip-revert shop {self.first}" in held["queue_pause_reason"]
        self.checkout.do("skip-revert", self.first)
        until(self.search, self.third, "complete_pending_revert")
        self.search.do("skip-revert", self.third)
        until(self.search, self.third, "complete")
        assert "varchar(60)" in self.shop.definition()

    def rebase(self) -> None:
        """Search rebases, gives up its side of the conflict, makes it anew, and needs a new approval."""
        search = self.search
        with pytest.raises(Refused, match="drop-conflicts"):
            search.rebase(self.findable, drop_conflicts=False)
        search.rebase(self.findable, drop_conflicts=True)
        longer = f"ALTER TABLE {self.shop.customers} MODIFY name VARCHAR(80) NOT NULL"
        self.shop.change(search, self.findable, longer)
        search.look_again(self.second)
        rebased = search.show(self.second)
        assert (rebased["deployment_state"], rebased["approved"]) == ("ready", False)
        self.lead.review(self.second, approve=True)
        search.do("deploy", self.second)
        until(search, self.second, "complete_pending_revert")
        definition = self.shop.definition()
        assert "varchar(80)" in definition
        assert "by_name" in definition

    def take_back(self) -> None:
        """It was a mistake; what was written since stays."""
        shop, search, second = self.shop, self.search, self.second
        rows(shop.web, f"INSERT INTO {shop.customers} (name) VALUES ('Chen')")
        wait_until(
            lambda: search.show(second)["deployment"]["revert_blocked"] is None,
            timeout_s=PATIENCE_S,
            every_s=ASKS_S,
        )
        search.do("revert", second)
        reverted = until(search, second, "complete_revert")
        assert reverted["state"] == "closed"
        assert reverted["deployment"]["reverted_actor"]["display_name"] == f"search-{shop.suffix}"
        definition = shop.definition()
        assert "varchar(60)" in definition
        assert "by_name" not in definition
        names = rows(shop.web, f"SELECT name FROM {shop.customers} ORDER BY id")
        assert names == [("Ada",), ("Bo",), ("Chen",)]
        search.do("skip-revert", second)


def assert_recorded(headgate: Headgate, suffix: str, first: int, second: int, third: int) -> None:
    """Whoever did something is in the audit log, in order, with what it was done to and from where."""
    log = data(headgate, "audit-log", "list", "--limit", "100")
    told = [
        (one["actor_display_name"].removesuffix(f"-{suffix}"), one["audit_action"], one["auditable_id"])
        for one in reversed(log)
        if one["auditable_type"] == "DeployRequest"
    ]
    expected = [
        ("checkout", "deploy_request.created", first),
        ("search", "deploy_request.created", second),
        ("search", "deploy_request.commented", first),
        ("lead", "deploy_request.approved", first),
        ("lead", "deploy_request.approved", second),
        ("checkout", "deploy_request.queued", first),
        ("search", "deploy_request.created", third),
        ("lead", "deploy_request.approved", third),
        ("search", "deploy_request.queued", third),
        ("search", "deploy_request.unqueued", third),
        ("search", "deploy_request.queued", third),
        ("lead", "deploy_request.approved", third),
        ("search", "deploy_request.queued", third),
        ("checkout", "deploy_request.applied", first),
        ("checkout", "deploy_request.skipped_revert", first),
        ("search", "deploy_request.skipped_revert", third),
        ("lead", "deploy_request.approved", second),
        ("search", "deploy_request.queued", second),
        ("search", "deploy_request.reverted", second),
        ("search", "deploy_request.skipped_revert", second),
    ]
    numbers = {str(number) for number in (first, second, third)}
    assert [each for each in told if each[2] in numbers] == [
        (who, action, str(number)) for who, action, number in expected
    ]
    assert {one["remote_ip"] for one in log} == {"127.0.0.1"}
