from __future__ import annotations

from dataclasses import replace

import pytest

from router.errors import RouteError, UnknownBranch, UnknownUser
from router.model import Branch, User
from router.table import RoutingTable, expired


def branch(database: str, name: str, *, production: bool = False) -> Branch:
    return Branch(database, name, database, production, production, not production)


def user(name: str, database: str = "shop", bound: str | None = None) -> User:
    return User(name, bytes(32), database, bound)


TABLE = RoutingTable.of(
    "9.7.4",
    [
        user("app"),
        user("dotted.name"),
        user("bound", bound="add-phone"),
        user("app.add-phone", bound="other"),
    ],
    [
        branch("shop", "main", production=True),
        branch("shop", "add-phone"),
        branch("shop", "other"),
        branch("blog", "main", production=True),
        branch("blog", "drafts"),
    ],
)


@pytest.mark.parametrize(
    ("login", "name"),
    [
        ("app", "main"),
        ("app.main", "main"),
        ("app.other", "other"),
        ("app.shop.other", "other"),
        ("dotted.name", "main"),
        ("dotted.name.other", "other"),
        ("dotted.name.shop.other", "other"),
        ("bound", "add-phone"),
        ("bound.add-phone", "add-phone"),
    ],
)
def test_a_login_reaches_its_branch(login: str, name: str) -> None:
    route = TABLE.route(login)
    assert (route.branch.database, route.branch.name) == ("shop", name)


def test_an_exact_user_name_comes_first() -> None:
    assert TABLE.route("app.add-phone").branch.name == "other"


@pytest.mark.parametrize("login", ["", ".", "nobody", "nobody.main", "app.blog.drafts", "App", ".main"])
def test_a_login_that_means_nobody_is_unknown(login: str) -> None:
    with pytest.raises(UnknownUser):
        TABLE.route(login)


@pytest.mark.parametrize("login", ["app.drafts", "app.shop.nope", "app.", "bound.other"])
def test_a_branch_out_of_reach_is_named(login: str) -> None:
    with pytest.raises((UnknownBranch, UnknownUser)) as caught:
        TABLE.route(login)
    assert isinstance(caught.value, RouteError)


def test_a_bound_user_is_told_how_to_get_another() -> None:
    with pytest.raises(UnknownBranch, match="headgate password create shop other"):
        TABLE.route("bound.other")


def test_a_database_without_production_is_said_so() -> None:
    with pytest.raises(UnknownBranch, match="production"):
        RoutingTable.of("x", [user("app")], []).route("app")


@pytest.mark.parametrize(
    ("login", "database", "replica"),
    [
        ("app", "", False),
        ("app", "shop", False),
        ("app", "@primary", False),
        ("app", "@replica", True),
        ("app|replica", "", True),
        ("app.other|replica", "shop", True),
        ("app.shop.other|replica", "", True),
        ("bound|replica", "", True),
        ("reports", "", True),
        ("odd|replica", "", False),
        ("odd|replica|replica", "", True),
    ],
)
def test_a_login_may_ask_for_a_replica(login: str, database: str, replica: bool) -> None:
    users = [*TABLE.users.values(), replace(user("reports"), replica=True), user("odd|replica")]
    table = RoutingTable.of("9.7.4", users, TABLE.branches.values())
    assert table.route(login, database).replica == replica


def test_a_suffix_alone_is_nobody() -> None:
    for login in ("|replica", "nobody|replica", "app|replica.other", "app|REPLICA"):
        with pytest.raises(UnknownUser):
            TABLE.route(login)


def test_a_user_expires_at_its_time() -> None:
    assert not expired(user("app"), 1e12)
    mortal = replace(user("app"), expires_at_s=100.0)
    assert not expired(mortal, 99.9)
    assert expired(mortal, 100.0)
