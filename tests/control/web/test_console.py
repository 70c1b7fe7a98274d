"""The console of a branch, as a browser uses it, on a whole Headgate with each family of servers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from router.model import Flavor
from router.secrets import SecretsFile
from tests.support.browser import Browser, Page
from tests.support.headgate import Headgate, data, rows, run_on, running_in, said
from tests.support.servers import until

TABLE = "CREATE TABLE items (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(50), n INT NOT NULL DEFAULT 0)"
BRANCH = "work"
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture(scope="module", params=list(Flavor), ids=str)
def headgate(server_folder: Path, request: pytest.FixtureRequest) -> Iterator[Headgate]:
    """A Headgate with a branch, whose configuration tests can change."""
    folder = server_folder / f"console-{request.param}"
    folder.mkdir()
    config = folder / "headgate.toml"
    config.touch()
    with running_in(folder, request.param, HEADGATE_CONFIG=str(config)) as headgate:
        data(headgate, "branch", "create", "shop", BRANCH)
        yield headgate


@pytest.fixture(scope="module")
def password(headgate: Headgate) -> Any:
    """A password for the branch, to look at it from beside the console; the branch has a table."""
    made = data(headgate, "password", "create", "shop", BRANCH, "looks on")
    run_on(headgate, made, TABLE, "INSERT INTO items (name) VALUES ('one'), ('two'), ('three')")
    return made


@pytest.fixture
async def browser(headgate: Headgate, password: Any) -> AsyncIterator[Browser]:
    """A browser of the administrator of this machine."""
    async with logged_in(headgate) as browser:
        yield browser
    assert consoles(headgate) == []


@contextlib.asynccontextmanager
async def logged_in(headgate: Headgate, token: str = "") -> AsyncIterator[Browser]:
    base = f"http://127.0.0.1:{headgate.control_port}"
    async with httpx.AsyncClient(base_url=base, timeout=240, trust_env=False) as http:
        browser = Browser(http)
        await browser.log_in(token or SecretsFile(headgate.state / "secrets.json").get("token"))
        yield browser


@contextlib.contextmanager
def configured(headgate: Headgate, section: str, *lines: str) -> Iterator[None]:
    """Have other settings hold for a while."""
    config = Path(headgate.environment()["HEADGATE_CONFIG"])
    config.write_text("\n".join([f"[{section}]", *lines]))
    said(headgate, "reload")
    try:
        yield
    finally:
        config.write_text("")
        said(headgate, "reload")


def consoles(headgate: Headgate) -> list[Any]:
    """The passwords of the console that there are."""
    listed = data(headgate, "password", "list", "shop", BRANCH) + data(
        headgate, "password", "list", "shop", "main"
    )
    return [each for each in listed if each["username"].startswith("web-console-")]


def running(headgate: Headgate, password: Any, mark: str) -> bool:
    """Whether a statement with this in it is under way on the branch's server."""
    sql = (
        "SELECT COUNT(*) FROM information_schema.processlist "
        f"WHERE info LIKE '%{mark}%' AND id <> CONNECTION_ID() AND info NOT LIKE '%processlist%'"
    )
    [[(count,)]] = run_on(headgate, password, sql)
    return bool(count)


def is_harmless(page: Page) -> None:
    assert "script" not in page.tags
    assert not {name for name in page.attributes if name.startswith("on")}


# -- results -----------------------------------------------------------------------------------------------


async def test_statements_are_run_and_their_results_shown(browser: Browser) -> None:
    page = await browser.open("/databases/shop")
    page = await browser.open(page.links["Console"])
    assert page.path == f"/databases/shop/{BRANCH}/console"
    page = await browser.run(BRANCH, "SELECT id, name FROM items WHERE id < 3 ORDER BY id", "reader")
    assert page.status == 200
    assert page.columns == ["id", "name"]
    assert page.rows == [["1", "one"], ["2", "two"]]
    assert [value.shape for value in page.tables[0][1]] == ["number", "text"]
    assert "2 rows" in page.text
    form = page.forms[page.path].fields
    assert (form["sql"], form["access"]) == (
        "SELECT id, name FROM items WHERE id < 3 ORDER BY id",
        "reader",
    )


async def test_every_kind_of_value_is_shown_as_what_it_is(browser: Browser) -> None:
    page = await browser.run(
        BRANCH,
        "SET sql_mode = ''; CREATE TEMPORARY TABLE v (a VARCHAR(40), b VARBINARY(9), c DATE, d JSON, "
        "e BIT(3), f DECIMAL(9,2), g DATETIME, h TEXT, i BLOB, j BIGINT UNSIGNED, k DOUBLE, l GEOMETRY);"
        "INSERT INTO v VALUES ('ä😀', x'00ff', '0000-00-00', '{\"a\": 1}', b'101', 1.50, "
        "'2024-00-00 00:00:00', '', NULL, 18446744073709551615, 0.5, ST_GeomFromText('POINT(1 2)'));"
        "SELECT * FROM v; SELECT 'NULL' AS a, NULL AS b, 'two\nlines' AS c",
    )
    assert page.problems == []
    [shown] = page.tables[0][1:]
    assert [value.text for value in shown[:11]] == [
        *("ä😀", "0x00ff", "0000-00-00", '{"a": 1}', "0x05", "1.50", "2024-00-00 00:00:00", "''"),
        *("NULL", "18446744073709551615", "0.5"),
    ]
    assert [value.shape for value in shown] == [
        *("text", "binary", "text", "text", "binary", "number", "text", "empty", "null"),
        *("number", "number", "binary"),
    ]
    assert page.tables[1][1][0].shape == "text"
    assert page.tables[1][1][1].shape == "null"
    assert page.tables[1][1][2].text == "two\nlines"


async def test_what_data_names_and_errors_hold_cannot_run_in_the_page(browser: Browser) -> None:
    page = await browser.run(
        BRANCH, f"SELECT '{SCRIPT}' AS `{SCRIPT}`, '\"><img src=x onerror=y>' AS b; SELECT `{SCRIPT}`"
    )
    assert page.columns == [SCRIPT, "b"]
    assert page.rows == [[SCRIPT, '"><img src=x onerror=y>']]
    assert SCRIPT in page.problems[0]
    is_harmless(page)
    page = await browser.run(BRANCH, f"SELECT '</textarea></form>{SCRIPT}'")
    assert page.rows == [[f"</textarea></form>{SCRIPT}"]]
    is_harmless(page)


async def test_a_long_result_is_cut_off_and_its_rest_not_fetched(
    headgate: Headgate, browser: Browser, password: Any
) -> None:
    run_on(headgate, password, "CREATE TABLE many (id INT PRIMARY KEY, pad CHAR(200))")
    values = ", ".join(f"({number}, 'x')" for number in range(5000))
    run_on(headgate, password, f"INSERT INTO many VALUES {values}")
    page = await browser.run(
        BRANCH, "SELECT * FROM many AS a JOIN many AS b; UPDATE items SET n = 7", "readwriter"
    )
    assert len(page.rows) == 1000
    assert "The first 1,000 rows" in page.text
    assert page.problems == ["One statement behind it was not run."]
    await until(lambda: not running(headgate, password, "many AS a"))
    assert run_on(headgate, password, "SELECT MAX(n) FROM items") == [[(0,)]]
    with configured(headgate, "console", "rows_max = 2"):
        page = await browser.run(BRANCH, "SELECT * FROM items; SELECT 1")
        assert len(page.rows) == 2
        page = await browser.run(BRANCH, "SELECT * FROM items LIMIT 2; SELECT 1")
        assert page.problems == []
        assert len(page.tables) == 2


async def test_long_values_are_shortened_and_too_long_answers_refused(
    headgate: Headgate, browser: Browser, password: Any
) -> None:
    page = await browser.run(BRANCH, "SELECT REPEAT('ä', 5000) AS a, REPEAT(x'00', 5000) AS b")
    [[text, binary]] = page.tables[0][1:]
    assert text.text == "ä" * 2048 + " … 5,904 bytes more"
    assert binary.text == "0x" + "00" * 4096 + " … 904 bytes more"
    page = await browser.run(BRANCH, "SELECT REPEAT('a', 1000000) FROM many LIMIT 40; SELECT 1")
    assert "too long to be read" in page.problems[0]
    assert len(page.tables) == 1
    await until(lambda: not running(headgate, password, "1000000"))


async def test_a_table_may_be_very_wide(browser: Browser) -> None:
    page = await browser.run(BRANCH, f"SELECT {', '.join(f'{n} AS c{n}' for n in range(1000))} FROM many")
    assert len(page.columns) == 1000
    assert len(page.rows) == 19
    assert "The first 19 rows" in page.text


async def test_rows_that_were_changed_warnings_and_errors_are_told(browser: Browser) -> None:
    page = await browser.run(
        BRANCH,
        "SET sql_mode = ''; INSERT INTO items (name, n) VALUES ('four', 'none'); "
        "DELETE FROM items WHERE name = 'four'; SELECT * FROM missing; SELECT 1; SELECT 2",
    )
    assert "1 row affected, last id" in page.text
    assert "Warning 1366" in page.text
    assert page.problems[0].startswith("ERROR 1146 (42S02) Table 'shop.missing' doesn't exist")
    assert page.problems[1] == "2 statements behind it were not run."
    page = await browser.run(BRANCH, "SELEC 1")
    assert page.problems[0].startswith("ERROR 1064 (42000)")


async def test_production_may_demand_tls(headgate: Headgate, browser: Browser) -> None:
    said(headgate, "database", "set", "shop", "production_branch_web_console=true")
    with configured(headgate, "production", "require_secure_transport = true"):
        page = await browser.run("main", "SELECT 1", "reader")
    assert page.rows == [["1"]]


async def test_a_branch_that_is_asleep_is_woken(headgate: Headgate, browser: Browser) -> None:
    path = f"/databases/shop/{BRANCH}/console"

    async def asleep() -> bool:
        return "The branch is asleep" in (await browser.open(path)).text

    with configured(headgate, "servers", "sleep_after_s = 1"):
        await until(asleep)
    page = await browser.run(BRANCH, "SELECT 1")
    assert page.rows == [["1"]]
    assert "asleep" not in page.text


async def test_production_warns_as_branches_do(headgate: Headgate, browser: Browser) -> None:
    said(headgate, "database", "set", "shop", "production_branch_web_console=true")
    page = await browser.run("main", "BEGIN; SELECT 1 / 0; ROLLBACK", "reader")
    assert "Warning 1365" in page.text
    assert page.problems == []


async def test_several_statements_are_one_session_and_a_run_leaves_none(browser: Browser) -> None:
    page = await browser.run(
        BRANCH,
        "SET @a = 5; BEGIN; UPDATE items SET n = @a WHERE name = 'one;'; UPDATE items SET n = @a /* ; */ "
        "WHERE name = 'one'; SELECT n FROM items WHERE name = 'one' -- ;\n; ROLLBACK; SELECT @a",
    )
    assert page.problems == []
    assert page.rows == [["5"]]
    page = await browser.run(BRANCH, "SELECT n, @a FROM items WHERE name = 'one'")
    assert [value.text for value in page.tables[0][1]] == ["0", "NULL"]


async def test_a_procedure_is_made_whole_and_its_results_are_shown(browser: Browser) -> None:
    page = await browser.run(BRANCH, "CREATE PROCEDURE two() BEGIN SELECT 1 AS a; SELECT 2 AS b; END")
    assert page.problems == []
    page = await browser.run(BRANCH, "CALL two(); DROP PROCEDURE two")
    assert [[value.text for value in table[1]] for table in page.tables] == [["1"], ["2"]]
    assert page.problems == []


async def test_what_writes_and_is_cut_off_is_told_to_be_ended(
    headgate: Headgate, browser: Browser, password: Any
) -> None:
    run_on(
        headgate,
        password,
        "CREATE TABLE taken (id INT PRIMARY KEY)",
        "INSERT INTO taken SELECT id FROM many",
        "CREATE PROCEDURE show_and_take() "
        "BEGIN SELECT a.* FROM many AS a JOIN many AS b; DELETE FROM taken; END",
    )
    page = await browser.run(BRANCH, "CALL show_and_take()")
    assert "The first 1,000 rows" in page.text
    assert "ended in the middle of its answer" in page.problems[0]
    assert run_on(headgate, password, "SELECT COUNT(*) FROM taken") == [[(5000,)]]
    run_on(headgate, password, "DROP PROCEDURE show_and_take", "DROP TABLE taken")


async def test_an_answer_in_another_character_set_is_shown_as_far_as_it_can_be(browser: Browser) -> None:
    page = await browser.run(BRANCH, "SET NAMES latin1; SELECT 'x' AS a; SELECT x'e4' AS b")
    assert page.status == 200
    page = await browser.run(BRANCH, "SET character_set_results = latin1; SELECT 1 AS `ä`; SELECT 2")
    assert page.status == 200
    assert "another character set" in page.problems[0]
    page = await browser.run(BRANCH, "SET character_set_results = latin1; SELECT 'ä' AS a")
    assert [value.text for value in page.tables[0][1]] == ["0xe4"]


# -- rights ------------------------------------------------------------------------------------------------


async def test_reading_is_all_that_read_only_may_do(headgate: Headgate, browser: Browser) -> None:
    for sql in (
        "UPDATE items SET n = 9",
        "DROP TABLE items",
        "SELECT 1; DELETE FROM items",
        "/*!40000 DELETE FROM items */",
        "SELECT 'it\\'s'; DELETE FROM items",
        "SET @x = 1; PREPARE s FROM 'DELETE FROM items'; EXECUTE s",
    ):
        page = await browser.run(BRANCH, sql, "reader")
        assert page.problems, sql
    page = await browser.run(BRANCH, "SELECT COUNT(*), SUM(n) FROM items", "reader")
    assert page.rows == [["3", "0"]]


async def test_no_file_of_this_machine_is_read_for_a_statement(browser: Browser, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret\n")
    secret.chmod(0o644)
    for how in ("LOCAL ", ""):
        page = await browser.run(BRANCH, f"LOAD DATA {how}INFILE '{secret}' INTO TABLE items (name)", "admin")
        assert page.status == 200
        assert page.problems
        page = await browser.run(BRANCH, "SELECT COUNT(*) FROM items")
        assert page.rows == [["3"]]


async def test_production_takes_no_definitions_from_its_console_either(
    headgate: Headgate, browser: Browser
) -> None:
    said(headgate, "database", "set", "shop", "production_branch_web_console=true")
    for access in ("readwriter", "admin"):
        page = await browser.run("main", "SELECT 1", access)
        assert page.rows == [["1"]]
        for sql in ("CREATE TABLE t (id INT)", "SELECT 1; DROP TABLE t", "/*!50000 DROP */ TABLE t"):
            page = await browser.run("main", sql, access)
            assert page.problems[0].startswith("ERROR 1105 (HY000) direct DDL is disabled"), sql
            assert "headgate branch create shop my-change" in page.problems[0]
    said(headgate, "database", "set", "shop", "production_branch_web_console=false")
    page = await browser.open("/databases/shop/main/console")
    assert page.status == 403


async def test_a_member_uses_the_consoles_of_branches(headgate: Headgate, password: Any) -> None:
    made = data(headgate, "service-token", "create", "ada")
    async with logged_in(headgate, f"{made['id']}:{made['token']}") as browser:
        page = await browser.run(BRANCH, "SELECT CURRENT_USER() IS NOT NULL")
        assert page.rows == [["1"]]
        said(headgate, "service-token", "delete", made["id"])
        page = Page(await browser.post(page.path, page.forms[page.path].fields))
        assert page.status == 401


async def test_what_was_run_is_in_the_audit_log_without_its_values(
    headgate: Headgate, browser: Browser
) -> None:
    await browser.run(BRANCH, "SELECT * FROM items WHERE name = 'hunter2'; SELECT 'hunter2' FROM nowhere")
    [entry] = data(headgate, "audit-log", "list", "--action", "branch.ran_statements", "--limit", "1")
    assert entry["actor_id"] == "localcontrol"
    assert entry["auditable_display_name"] == f"shop/{BRANCH}"
    assert entry["metadata"] == {
        "access": "readwriter",
        "count": 2,
        "statements": ["SELECT * FROM items WHERE name = ?", "SELECT ? FROM nowhere"],
    }
    assert entry["remote_ip"] == "127.0.0.1"
    assert "hunter2" not in headgate.logs()


async def test_what_ends_tls_in_front_of_us_tells_that_and_whose_visit_it_is(
    headgate: Headgate, browser: Browser
) -> None:
    answer = await browser.http.get(
        "/login?next=/databases", headers={"X-Forwarded-Proto": "https", "Cookie": ""}
    )
    [cookie] = answer.headers.get_list("set-cookie")
    assert cookie.startswith("__Host-headgate_login_")
    assert "; Secure" in cookie
    path = f"/databases/shop/{BRANCH}/console"
    form = (await browser.open(path)).forms[path].fields | {"sql": "SELECT 1"}
    await browser.post(path, form, X_Forwarded_For="203.0.113.9")
    [entry] = data(headgate, "audit-log", "list", "--action", "branch.ran_statements", "--limit", "1")
    assert entry["remote_ip"] == "203.0.113.9"


# -- what ends ---------------------------------------------------------------------------------------------


async def test_what_takes_too_long_is_ended_at_the_server(
    headgate: Headgate, browser: Browser, password: Any
) -> None:
    with configured(headgate, "console", "run_s = 4"):
        page = await browser.run(BRANCH, "SELECT 1; UPDATE items SET n = 1 + SLEEP(1000); SELECT 2")
    assert page.status == 200
    assert page.rows == [["1"]]
    assert any("ended after 4 s" in problem for problem in page.problems)
    assert page.problems[-1] == "One statement behind it was not run."
    await until(lambda: not running(headgate, password, "SLEEP"))
    assert run_on(headgate, password, "SELECT MAX(n) FROM items") == [[(0,)]]


async def test_what_takes_too_long_on_production_is_ended_there(headgate: Headgate, browser: Browser) -> None:
    said(headgate, "database", "set", "shop", "production_branch_web_console=true")
    made = data(headgate, "password", "create", "shop", "main", "looks on", "--role", "reader")
    # As one text: what a backslash means decides where it could be cut.
    sql = "SELECT 'it\\'s', SLEEP(1003)"
    with configured(headgate, "console", "run_s = 2"):
        page = await browser.run("main", sql, "reader")
    assert "ended after 2 s" in page.problems[-1]
    await until(lambda: asyncio.to_thread(lambda: not running(headgate, made, "1003")))


async def test_a_text_that_stays_whole_is_ended_with_all_that_is_in_it(
    headgate: Headgate, browser: Browser, password: Any
) -> None:
    with configured(headgate, "console", "run_s = 1"):
        page = await browser.run(BRANCH, "SELECT 'it\\'s', SLEEP(1004); SELECT SLEEP(1005)")
    assert "ended after 1 s" in page.problems[-1]
    await until(lambda: asyncio.to_thread(lambda: not running(headgate, password, "1005")))


async def test_who_leaves_ends_what_runs(headgate: Headgate, browser: Browser, password: Any) -> None:
    path = f"/databases/shop/{BRANCH}/console"
    form = (await browser.open(path)).forms[path].fields
    form |= {"sql": "UPDATE items SET n = 1 + SLEEP(1001)", "access": "admin"}
    sent = asyncio.ensure_future(browser.post(path, form))
    await until(lambda: asyncio.to_thread(running, headgate, password, "1001"))
    assert len(consoles(headgate)) == 1
    sent.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sent
    await until(lambda: asyncio.to_thread(lambda: not running(headgate, password, "1001")))
    await until(lambda: consoles(headgate) == [])
    assert run_on(headgate, password, "SELECT MAX(n) FROM items") == [[(0,)]]


async def test_a_password_outlives_a_process_that_is_killed_by_little(
    headgate: Headgate, password: Any
) -> None:
    path = f"/databases/shop/{BRANCH}/console"
    async with logged_in(headgate) as browser:
        form = (await browser.open(path)).forms[path].fields
        form |= {"sql": "SELECT SLEEP(1002)", "access": "reader"}
        sent = asyncio.ensure_future(browser.post(path, form))
        await until(lambda: asyncio.to_thread(running, headgate, password, "1002"))
        os.kill(headgate.pid("-m control"), signal.SIGKILL)
        with pytest.raises(httpx.TransportError):
            await sent
        await asyncio.to_thread(headgate.until_ready)
        # Nobody is logged in any more.
        assert (await browser.open(path)).path == "/login"
    [left] = consoles(headgate)
    assert left["expires_at"] is not None
    assert left["ttl_seconds"] <= 120
    with headgate.connect(password["username"], password["plain_text"]) as client:
        assert rows(client, "SELECT 1") == [(1,)]
