"""The pages' manners: who gets in, what a stranger cannot do, what each page has around it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from control.api.app import BODY_BYTES_MAX, make_app
from control.passwords import PasswordWish
from control.web import run
from control.web.pages import STYLE_URL
from control.web.run import USER_PREFIX
from control.web.sessions import Sessions
from router.clock import now
from router.model import LOCAL, Access, Role
from tests.support.browser import Browser, Page
from tests.support.servers import until
from tests.support.service import Running

CONSOLE = "/databases/shop/main/console"
SCRIPT = '"><script>alert(1)</script>'
SETTING = "production_branch_web_console"


@contextlib.asynccontextmanager
async def browsing(
    running: Running, base_url: str = "http://headgate", app: FastAPI | None = None
) -> AsyncIterator[Browser]:
    transport = httpx.ASGITransport(app or make_app(running.service), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=base_url, timeout=120) as http:
        yield Browser(http)


@pytest.fixture
async def browser(running: Running) -> AsyncIterator[Browser]:
    """A browser that has not logged in."""
    async with browsing(running) as browser:
        yield browser


@pytest.fixture
async def open_console(running: Running) -> AsyncIterator[None]:
    """Production's console, switched on as an administrator does it."""
    await running.call("PATCH", "", {SETTING: True})
    yield
    await running.call("PATCH", "", {SETTING: False})


@contextlib.asynccontextmanager
async def token(running: Running, access: Access) -> AsyncIterator[str]:
    """A service token, as people are given it."""
    people = running.service.people
    made, secret = await people.create(f"some {access}", access, LOCAL)
    try:
        yield f"{made.id}:{secret}"
    finally:
        if made.id in {each.id for each in people.all()}:
            await people.delete(made.id)


def is_plain(page: Page) -> None:
    """Check that a page has nothing that could run, and nothing from anywhere else."""
    assert not page.tags & {"script", "iframe", "object", "embed", "img", "svg", "base", "style"}
    assert not {name for name in page.attributes if name.startswith("on") or name == "style"}
    policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
    assert policy == {
        "default-src": "'none'",
        "style-src": "'self'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
    }
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "same-origin"
    assert page.headers["cache-control"] == "no-store"


# -- getting in --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/", "/databases", "/databases/shop", CONSOLE, "/databases/none/none/console"]
)
async def test_who_is_not_logged_in_is_led_to_the_login_and_told_nothing(browser: Browser, path: str) -> None:
    page = await browser.open(path)
    assert (page.status, page.path) == (200, "/login")
    assert "shop" not in page.text
    is_plain(page)


async def test_a_login_leads_to_what_was_asked_for(running: Running, browser: Browser) -> None:
    page = await browser.log_in(running.service.token, "/databases/shop")
    assert (page.status, page.path) == (200, "/databases/shop")
    assert "local, admin" in page.text
    assert (await browser.open("/login")).path == "/databases"
    for path in ("/", "/databases", "/databases/shop"):
        is_plain(await browser.open(path))


@pytest.mark.parametrize("given", ["", "wrong", "localcontrol:wrong", "a:b:c", SCRIPT, "ä", "x" * 100_000])
async def test_a_wrong_token_is_told_nothing_but_that(browser: Browser, given: str) -> None:
    page = await browser.send(await browser.open("/databases"), "/login", token=given)
    assert page.status == 401
    assert page.problems == ["There is no such token, or it has expired."]
    is_plain(page)
    assert (await browser.open("/databases")).path == "/login"


async def test_where_a_login_leads_to_is_a_page_of_ours(running: Running, browser: Browser) -> None:
    for where in ("//evil.example", "https://evil.example/", SCRIPT, "/databases/../x"):
        page = await browser.open(f"/login?next={httpx.QueryParams({'x': where})!s}".replace("x=", "", 1))
        is_plain(page)
        assert page.forms["/login"].fields["next"] == "/databases"
    page = await browser.send(page, "/login", token=running.service.token, next="//evil.example")
    assert page.path == "/databases"


@pytest.mark.parametrize("safe", [False, True])
async def test_cookies_are_for_us_alone_and_hold_no_secret(running: Running, safe: bool) -> None:
    async with browsing(running, "https://headgate" if safe else "http://headgate") as browser:
        page = await browser.open("/databases")
        fields = {**page.forms["/login"].fields, "token": running.service.token}
        answer = await browser.post("/login", fields)
        cookies = answer.headers.get_list("set-cookie")
        name = f"headgate_session_{running.settings.control.port}="
        [session] = [cookie for cookie in cookies if name in cookie]
        assert session.startswith("__Host-" + name if safe else name)
        for cookie in cookies:
            attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
            assert {"httponly", "samesite=strict", "path=/"} <= attributes
            assert ("secure" in attributes) is safe
            assert not any(part.startswith("domain") for part in attributes)
            assert running.service.token not in cookie
        assert f"max-age={running.settings.console.session_s:.0f}" in session.lower()


async def test_a_login_begins_a_new_session_and_ends_the_old_one(running: Running) -> None:
    app = make_app(running.service)
    async with browsing(running, app=app) as browser, browsing(running, app=app) as other:
        await browser.log_in(running.service.token)
        [(name, key)] = [(name, key) for name, key in browser.http.cookies.items() if "session" in name]
        page = await other.open("/databases")
        # Whoever knew the key before the login does not know it after that.
        other.http.cookies.set(name, key, domain="headgate.local")
        page = await other.send(page, "/login", token=running.service.token)
        assert page.path == "/databases"
        assert other.http.cookies[name] != key
        assert (await browser.open("/databases")).path == "/login"


async def test_a_logout_ends_the_session_for_whoever_has_its_cookie(
    running: Running, browser: Browser
) -> None:
    page = await browser.log_in(running.service.token)
    cookies = dict(browser.http.cookies)
    assert (await browser.send(page, "/logout")).path == "/login"
    assert not [name for name in browser.http.cookies if "session" in name]
    browser.http.cookies.update(cookies)
    assert (await browser.open("/databases")).path == "/login"


async def test_a_session_ends_with_its_token(running: Running, browser: Browser) -> None:
    async with token(running, Access.MEMBER) as given:
        page = await browser.log_in(given)
        assert page.path == "/databases"
        assert "some member, member" in page.text
        await running.service.people.delete(given.partition(":")[0])
        assert (await browser.open("/databases")).path == "/login"


async def test_a_session_ends_when_its_token_expires(running: Running, browser: Browser) -> None:
    made, secret = await running.service.people.create("short", Access.MEMBER, LOCAL, 2)
    page = await browser.log_in(f"{made.id}:{secret}")
    assert made.expires_at is not None
    expires_at = made.expires_at
    await until(lambda: now() > expires_at)
    assert page.path in ("/databases", "/login")
    assert (await browser.open("/databases")).path == "/login"
    await running.service.people.delete(made.id)


async def test_a_session_lives_for_as_long_as_it_is_set_to(running: Running) -> None:
    moment_s = 0.0
    app = make_app(running.service)
    app.state.sessions = Sessions(lambda: moment_s)
    async with browsing(running, app=app) as browser:
        await browser.log_in(running.service.token)
        moment_s = running.settings.console.session_s - 1
        assert (await browser.open("/databases")).path == "/databases"
        moment_s += 1
        assert (await browser.open("/databases")).path == "/login"


async def test_the_session_of_one_process_is_none_in_the_next(running: Running, browser: Browser) -> None:
    await browser.log_in(running.service.token)
    async with browsing(running) as after:
        after.http.cookies.update(dict(browser.http.cookies))
        assert (await after.open("/databases")).path == "/login"


async def test_a_visit_counts_as_a_use_of_the_token(running: Running, browser: Browser) -> None:
    async with token(running, Access.READER) as given:
        await browser.log_in(given)
        assert running.service.people.get(given.partition(":")[0]).last_used_at is not None


# -- forms of others ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "headers"),
    [
        ("", {}),
        ("wrong", {}),
        (None, {"Sec_Fetch_Site": "cross-site"}),
        (None, {"Sec_Fetch_Site": "same-site"}),
        (None, {"Sec_Fetch_Site": "", "Origin": "http://evil.example"}),
        (None, {"Sec_Fetch_Site": "", "Origin": "null"}),
        (None, {"Sec_Fetch_Site": "", "Origin": ""}),
        (None, {"Content_Type": "text/plain"}),
    ],
)
@pytest.mark.parametrize("path", ["/login", "/logout", CONSOLE])
@pytest.mark.usefixtures("open_console")
async def test_a_form_that_is_not_ours_does_nothing(
    running: Running,
    browser: Browser,
    path: str,
    key: str | None,
    headers: dict[str, str],
) -> None:
    fields = (await browser.open("/databases")).forms["/login"].fields | {"token": running.service.token}
    if path != "/login":
        await browser.log_in(running.service.token)
        fields = (await browser.open(CONSOLE)).forms[path].fields
    if key is not None:
        fields["form_key"] = key
    page = Page(await browser.post(path, {**fields, "sql": "SELECT 1", "access": "reader"}, **headers))
    assert page.status == 403
    assert page.problems
    is_plain(page)
    assert (await browser.open("/databases")).path == ("/login" if path == "/login" else "/databases")
    assert await running.service.passwords.all() == []


@pytest.mark.usefixtures("open_console")
async def test_the_key_of_another_session_is_not_ours(running: Running, browser: Browser) -> None:
    await browser.log_in(running.service.token)
    async with browsing(running) as other:
        key = (await other.log_in(running.service.token)).forms["/logout"].fields["form_key"]
    page = Page(await browser.post(CONSOLE, {"form_key": key, "sql": "SELECT 1", "access": "reader"}))
    assert page.status == 403
    assert "load its page again" in page.text


async def test_where_only_the_origin_is_told_ours_is_enough(running: Running, browser: Browser) -> None:
    page = await browser.open("/databases")
    fields = {**page.forms["/login"].fields, "token": running.service.token}
    assert (await browser.post("/login", fields, Sec_Fetch_Site="")).status_code == 303


async def test_what_was_typed_is_not_lost_with_the_session(running: Running, browser: Browser) -> None:
    typed = f"\n\nSELECT '</textarea>{SCRIPT}'"
    page = Page(await browser.post(CONSOLE, {"sql": typed, "access": "reader"}))
    assert page.status == 401
    assert typed.strip() in page.text
    assert page.links["Log in again"] == f"/login?next={CONSOLE}"
    is_plain(page)


# -- who may what ------------------------------------------------------------------------------------------


async def test_the_console_of_production_is_switched_off_until_somebody_switches_it_on(
    running: Running, browser: Browser
) -> None:
    assert (await running.call("GET", ""))["production_branch_web_console"] is False
    await browser.log_in(running.service.token)
    page = await browser.open("/databases/shop")
    assert CONSOLE not in page.addresses
    how = f"headgate database set shop {SETTING}=true"
    assert how in page.text
    page = await browser.open(CONSOLE)
    assert page.status == 403
    assert how in page.problems[0]
    is_plain(page)
    assert (await running.call("PATCH", "", {SETTING: True}))["production_branch_web_console"] is True
    assert CONSOLE in (await browser.open("/databases/shop")).addresses
    page = await browser.open(CONSOLE)
    assert page.status == 200
    await running.call("PATCH", "", {SETTING: False})
    page = await browser.send(page, CONSOLE, sql="SELECT 1")
    assert page.status == 403


@pytest.mark.parametrize(
    ("access", "reason"),
    [(Access.MEMBER, "only administrators may use the web console"), (Access.READER, "may only look")],
)
@pytest.mark.usefixtures("open_console")
async def test_who_may_make_no_password_for_a_branch_may_not_use_its_console(
    running: Running, browser: Browser, access: Access, reason: str
) -> None:
    async with token(running, access) as given:
        page = await browser.log_in(given, "/databases/shop")
        assert reason in page.text
        key = page.forms["/logout"].fields["form_key"]
        page = await browser.open(CONSOLE)
        assert (page.status, len(page.problems)) == (403, 1)
        assert reason in page.problems[0]
        page = Page(await browser.post(CONSOLE, {"form_key": key, "sql": "SELECT 1", "access": "reader"}))
        assert page.status == 403
        assert not await running.service.passwords.all()


@pytest.mark.usefixtures("open_console")
async def test_only_the_access_there_is_can_be_chosen(running: Running, browser: Browser) -> None:
    await browser.log_in(running.service.token)
    page = await browser.open(CONSOLE)
    assert page.forms[CONSOLE].fields["access"] == "reader"
    for access in ("", "writer", "replication", "root", SCRIPT):
        refused = await browser.send(page, CONSOLE, sql="SELECT 1", access=access)
        assert refused.status == 422
        assert "choose one of reader, readwriter, admin" in refused.problems[0]
        assert refused.forms[CONSOLE].fields["sql"] == "SELECT 1"
        is_plain(refused)


# -- what is told ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("/databases/blog", "'blog'"),
        ("/databases/blog/main/console", "'blog'"),
        ("/databases/shop/mian/console", "mian"),
        ("/databases/shop/mian", "mian"),
        ("/databases/shop/main/nothing", "/databases/shop/main/nothing"),
        ("/nothing", "/nothing"),
        (f"/databases/{SCRIPT}".replace("/s", "%2Fs"), "script"),
    ],
)
async def test_what_is_not_there_is_told_by_a_page(
    running: Running, browser: Browser, path: str, named: str
) -> None:
    await browser.log_in(running.service.token)
    page = await browser.open(path)
    assert page.status == 404
    assert named in page.problems[0]
    is_plain(page)


async def test_programs_are_told_as_always(browser: Browser) -> None:
    assert (await browser.http.get("/nothing")).json()["code"] == "not_found"
    answer = await browser.http.get("/v1/nothing", headers={"Accept": "text/html"})
    assert answer.json()["code"] == "not_found"


async def test_what_cannot_be_done_at_a_path_is_told_by_a_page(browser: Browser) -> None:
    page = Page(await browser.http.get("/logout", headers={"Accept": "text/html"}))
    assert page.status == 405
    is_plain(page)


@pytest.mark.usefixtures("open_console")
async def test_a_statement_that_is_too_long_is_told_by_a_page(running: Running, browser: Browser) -> None:
    await browser.log_in(running.service.token)
    page = await browser.open(CONSOLE)
    page = await browser.send(page, CONSOLE, sql=f"SELECT '{'x' * BODY_BYTES_MAX}'")
    assert page.status == 413
    assert str(BODY_BYTES_MAX) in page.problems[0]
    is_plain(page)


async def test_a_fault_of_ours_is_a_page_that_tells_nothing_of_it(
    running: Running, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    await browser.log_in(running.service.token)

    def fail(database: str) -> None:
        raise KeyError("an internal detail")

    monkeypatch.setattr(running.service.branches, "check_database", fail)
    page = await browser.open("/databases/shop")
    assert page.status == 500
    assert "internal detail" not in page.html
    is_plain(page)


@pytest.mark.usefixtures("open_console")
async def test_where_there_is_no_getting_in_what_was_typed_stays_and_no_password_does(
    running: Running, browser: Browser
) -> None:
    passwords = running.service.passwords
    wish = PasswordWish("main", username=f"{USER_PREFIX}left", role=Role.READER, ttl_s=1)
    left, _ = await passwords.create(wish)
    await until(lambda: left.expired(now()))
    await browser.log_in(running.service.token)
    page = await browser.run("main", "SELECT 'typed'", "reader")
    # There is a service, and no worker.
    assert page.status == 503
    assert f"127.0.0.1:{running.settings.proxy.port}" in page.problems[0]
    assert page.forms[CONSOLE].fields["sql"] == "SELECT 'typed'"
    assert await passwords.all() == []
    entry = (await running.service.journal.entries(actions=["branch.ran_statements"])).entries[0]
    assert entry.details == {"access": "reader", "statements": ["SELECT ?"], "count": 1}


@pytest.mark.usefixtures("open_console")
async def test_nothing_and_too_much_are_not_run(running: Running, browser: Browser) -> None:
    await browser.log_in(running.service.token)
    for sql, said in (("", "type one"), (" ; -- nothing", "type one"), ("SELECT 1;" * 101, "at a time")):
        page = await browser.run("main", sql, "reader")
        assert page.status == 422
        assert said in page.problems[0]


@pytest.mark.usefixtures("open_console")
async def test_what_cannot_be_written_down_is_not_run(
    running: Running, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    await browser.log_in(running.service.token)

    async def full(*facts: object) -> None:
        raise OSError(28, "No space left on device")

    async def never(*facts: object) -> None:
        raise AssertionError("it is run")

    monkeypatch.setattr(running.service.journal, "record", full)
    monkeypatch.setattr(running.service.passwords, "create", never)
    page = await browser.run("main", "SELECT 1", "reader")
    assert page.status == 503
    assert "No space left on device" in page.problems[0]


@pytest.mark.usefixtures("open_console")
async def test_only_so_many_runs_are_under_way_at_a_time(
    running: Running, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    await browser.log_in(running.service.token)
    monkeypatch.setattr(run, "RUNS_MAX", 0)
    page = await browser.run("main", "SELECT 1", "reader")
    assert page.status == 422
    assert "try again in a moment" in page.problems[0]


@pytest.mark.parametrize(
    "demand",
    [{"tls_client_ca": "/etc/authorities.pem"}, {"proxy_protocol_networks": ("10.0.0.0/8", "127.0.0.0/8")}],
)
@pytest.mark.usefixtures("open_console")
async def test_where_the_proxy_demands_what_the_console_has_not_it_says_so(
    running: Running, browser: Browser, monkeypatch: pytest.MonkeyPatch, demand: dict[str, Any]
) -> None:
    await browser.log_in(running.service.token)
    proxy = replace(running.settings.proxy, **demand)
    monkeypatch.setattr(running.service, "settings", replace(running.settings, proxy=proxy))
    page = await browser.run("main", "SELECT 1", "reader")
    assert page.status == 422
    assert f"proxy.{next(iter(demand))}" in page.problems[0]
    assert "headgate password create shop main" in page.problems[0]
    assert await running.service.passwords.all() == []


async def test_the_api_names_pages_that_there_are(running: Running, browser: Browser) -> None:
    await browser.log_in(running.service.token)
    for path in ("", "/branches/main"):
        address = httpx.URL((await running.call("GET", path))["html_url"])
        assert (await browser.open(address.path)).status in (200, 403)


async def test_the_style_is_kept_by_browsers_and_its_address_changes_with_it(browser: Browser) -> None:
    page = await browser.open("/login")
    assert STYLE_URL in page.html
    answer = await browser.http.get(STYLE_URL)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/css")
    assert "max-age" in answer.headers["cache-control"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "url(" not in answer.text
    assert "@import" not in answer.text
