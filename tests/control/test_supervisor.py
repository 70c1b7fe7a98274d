"""A whole Headgate, whose processes are killed, interrupted and refused."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pymysql
import pytest

from control.assembly import ADMIN_USER
from router.database import Connection
from router.model import Flavor
from router.servers.process import LocalServer
from tests.support.headgate import Headgate, headgate_in, rows
from tests.support.servers import ADMIN, HANGS_S, fresh_schema, wait_until


@pytest.fixture
def headgate(server_folder: Path, request: pytest.FixtureRequest) -> Iterator[Headgate]:
    """A Headgate that is not yet started, on the family that starts faster unless a test asks for both."""
    flavor = getattr(request, "param", Flavor.MARIADB)
    with headgate_in(server_folder / f"headgate-{flavor}", flavor) as headgate:
        yield headgate


def make_user(headgate: Headgate) -> None:
    made = headgate.run("password", "create", "shop", "main", "--username", "app", "--all-branches")
    assert made.returncode == 0, made.stderr
    found = re.search(r"hg_pw_\w+", made.stdout)
    assert found
    headgate.password = found[0]  # type: ignore[attr-defined]


def log_in(headgate: Headgate):  # type: ignore[no-untyped-def]
    return headgate.connect("app", headgate.password)  # type: ignore[attr-defined]


@pytest.mark.parametrize("headgate", list(Flavor), ids=str, indirect=True)
def test_killed_parts_come_back_and_clients_of_other_parts_do_not_notice(headgate: Headgate) -> None:
    headgate.start()
    headgate.until_ready()
    make_user(headgate)
    with log_in(headgate) as client:
        control = headgate.pid("-m control")
        os.kill(control, signal.SIGKILL)
        assert rows(client, "SELECT 1") == [(1,)]
        wait_until(lambda: headgate.pids("-m control") not in ([], [control]))
        assert rows(client, "SELECT 2") == [(2,)]
        headgate.until_ready()
        assert rows(client, "SELECT 3") == [(3,)]
        with log_in(headgate) as newcomer:
            assert rows(newcomer, "SELECT 4") == [(4,)]
        for number in ("1", "2"):
            worker = headgate.pid("-m proxy", f"--worker {number}")
            os.kill(worker, signal.SIGKILL)
            wait_until(lambda w=worker, n=number: headgate.pids("-m proxy", f"--worker {n}") not in ([], [w]))
        headgate.until_ready()
        with log_in(headgate) as newcomer:
            assert rows(newcomer, "SELECT 5") == [(5,)]
    assert headgate.interrupt() == 0
    assert headgate.pids() == []


def until_started(headgate: Headgate, *words: str) -> None:
    wait_until(lambda: bool(headgate.pids(*words)))


MOMENTS: dict[str, Callable[[Headgate], None]] = {
    "when control is started": lambda headgate: until_started(headgate, "-m control"),
    "when workers are started": lambda headgate: until_started(headgate, "-m proxy"),
    "when the data are made": lambda headgate: wait_until((headgate.state / "servers").is_dir),
    "when the server is started": lambda headgate: until_started(headgate, "--datadir"),
    "when ready": lambda headgate: headgate.until_ready(),
}


def test_ctrl_c_while_a_server_is_made_ready_for_the_first_branch_leaves_nothing(server_folder: Path) -> None:
    folder = server_folder / "headgate-spare"
    with headgate_in(folder, Flavor.MARIADB, HEADGATE_SERVERS_SPARE="true") as headgate:
        headgate.start()
        headgate.until_ready()
        wait_until(lambda: len(headgate.pids("--datadir")) == 2, timeout_s=120)
        assert headgate.interrupt() == 0, headgate.log.read_text()
        assert headgate.pids() == []
        assert "Traceback" not in headgate.log.read_text()
        # It belonged to nobody.
        headgate.start()
        headgate.until_ready()
        wait_until(lambda: len(headgate.pids("--datadir")) == 2, timeout_s=120)
        assert len([each for each in (headgate.state / "servers").iterdir() if each.is_dir()]) <= 3
        assert headgate.interrupt() == 0, headgate.log.read_text()


@pytest.mark.parametrize("moment", list(MOMENTS))
def test_ctrl_c_at_any_moment_stops_everything_at_once(headgate: Headgate, moment: str) -> None:
    headgate.start()
    MOMENTS[moment](headgate)
    assert headgate.interrupt() == 0, headgate.log.read_text()
    assert headgate.pids() == []
    assert "Traceback" not in headgate.log.read_text()


def test_ctrl_c_with_a_client_connected_and_a_branch_awake_leaves_nothing_and_the_next_start_goes_on(
    headgate: Headgate,
) -> None:
    headgate.start()
    headgate.until_ready()
    make_user(headgate)
    assert headgate.run("branch", "create", "shop", "add-phone").returncode == 0
    # Production and the branch.
    assert len(headgate.pids("--datadir")) == 2
    with log_in(headgate) as client:
        rows(client, "SELECT 1")
        assert headgate.interrupt() == 0
    assert headgate.pids() == []
    headgate.start()
    headgate.until_ready()
    with log_in(headgate) as client:
        assert rows(client, "SELECT 1") == [(1,)]
    assert "sleeping" in headgate.run("branch", "show", "shop", "add-phone").stdout
    assert headgate.interrupt() == 0
    assert headgate.pids() == []
    assert "Traceback" not in headgate.log.read_text()


def test_a_second_ctrl_c_does_not_break_the_orderly_end(headgate: Headgate) -> None:
    headgate.start()
    headgate.until_ready()
    assert headgate.process is not None
    for _ in range(3):
        os.killpg(headgate.process.pid, signal.SIGINT)
    assert headgate.process.wait(HANGS_S) == 0
    assert headgate.pids() == []


def test_when_the_supervisor_is_killed_its_processes_end_by_themselves(headgate: Headgate) -> None:
    headgate.start()
    headgate.until_ready()
    assert headgate.process is not None
    headgate.process.kill()
    headgate.ends()


def is_refused(headgate: Headgate, *sentences: str, **changes: str) -> None:
    """Check that a start ends with exit status 2 and these sentences, and leaves nothing behind."""
    before = headgate.pids()
    refused = headgate.run("serve", HEADGATE_LOG_LEVEL="error", **changes)
    assert refused.returncode == 2, refused.stderr
    assert "Traceback" not in refused.stderr
    said = [line for line in refused.stderr.splitlines() if not line.startswith("{")]
    assert len(said) == len(sentences), refused.stderr
    for line, sentence in zip(said, sentences, strict=True):
        assert sentence in line
    assert headgate.pids() == before


@pytest.mark.parametrize("which", ["proxy", "control"])
def test_a_port_in_use_is_named_with_the_setting_that_moves_it(headgate: Headgate, which: str) -> None:
    port = headgate.proxy_port if which == "proxy" else headgate.control_port
    with socket.create_server(("127.0.0.1", port)):
        is_refused(headgate, f"cannot listen on 127.0.0.1:{port}")
    assert not (headgate.state / "servers").exists()


def test_a_second_headgate_on_the_same_state_folder_is_refused(headgate: Headgate, tmp_path: Path) -> None:
    headgate.start()
    headgate.until_ready()
    second = Headgate(tmp_path)
    ports = {
        "HEADGATE_PROXY_PORT": str(second.proxy_port),
        "HEADGATE_CONTROL_PORT": str(second.control_port),
    }
    is_refused(headgate, "another Headgate runs on the state folder", **ports)
    assert headgate.is_ready()
    assert headgate.interrupt() == 0


def test_a_program_that_is_none_is_refused_with_the_ways_to_get_one(headgate: Headgate) -> None:
    is_refused(headgate, "Ways to get one", HEADGATE_SERVERS_PROGRAM="/nonexistent/mariadbd")


def test_no_server_and_no_way_to_fetch_one_is_refused(headgate: Headgate, tmp_path: Path) -> None:
    is_refused(
        headgate,
        "no MariaDB server found",
        HEADGATE_SERVERS_FETCH="no",
        XDG_CACHE_HOME=str(tmp_path / "empty"),
        PATH=str(tmp_path),
    )


def test_all_mistakes_of_a_configuration_are_told_at_once(headgate: Headgate, tmp_path: Path) -> None:
    path = tmp_path / "headgate.toml"
    path.write_text(
        'stat = "/x"\n[proxy]\nport = "3307"\nworkers = 0\ntls_certificat = "a"\n[brances]\nx = 1\n'
    )
    is_refused(
        headgate,
        "did you mean 'state'?",
        "proxy.port: '3307' is not a whole number",
        "proxy.workers: 0 is not between 1 and 64",
        "did you mean 'tls_certificate'?",
        "[brances]: there is no such section",
        HEADGATE_CONFIG=str(path),
        HEADGATE_PROXY_PORT="3307",
    )
    assert not headgate.state.exists()


@pytest.mark.parametrize("content", ["file", "damaged secrets", "damaged state"])
def test_a_state_folder_that_cannot_be_used_is_named(headgate: Headgate, content: str) -> None:
    if content == "file":
        headgate.state.write_text("no folder")
        is_refused(headgate, f"the state folder {headgate.state} cannot be used")
        return
    headgate.state.mkdir()
    name = "secrets.json" if content == "damaged secrets" else "state.db"
    (headgate.state / name).write_text("not what it was" * 1000)
    is_refused(headgate, name)


@pytest.fixture
async def external(mariadb: LocalServer) -> AsyncIterator[tuple[LocalServer, str]]:
    """A production server that is not ours, with accounts `traffic` and `migrator`."""
    async with fresh_schema(mariadb) as schema, await Connection.open(mariadb.server) as admin:
        for user in ("traffic", "migrator"):
            await admin.execute(f"CREATE USER supervisor_{user} IDENTIFIED BY 'secret-{user}'")
        await admin.execute("GRANT ALL PRIVILEGES ON *.* TO supervisor_migrator")
        yield mariadb, schema
        await admin.execute("DROP USER supervisor_traffic, supervisor_migrator")
        await admin.execute("DROP DATABASE IF EXISTS _headgate")


def external_settings(local: LocalServer, schema: str) -> dict[str, str]:
    return {
        "HEADGATE_PRODUCTION_SOCKET": str(local.server.address.socket),
        "HEADGATE_PRODUCTION_SCHEMA": schema,
        "HEADGATE_PRODUCTION_PROXY_USER": "supervisor_traffic",
        "HEADGATE_PRODUCTION_PROXY_PASSWORD": "secret-traffic",
        "HEADGATE_PRODUCTION_MIGRATOR_USER": "supervisor_migrator",
        "HEADGATE_PRODUCTION_MIGRATOR_PASSWORD": "secret-migrator",
    }


async def test_a_traffic_account_that_may_change_the_schema_is_refused(
    headgate: Headgate, external: tuple[LocalServer, str]
) -> None:
    local, schema = external
    async with await Connection.open(local.server) as admin:
        await admin.execute("GRANT ALL PRIVILEGES ON *.* TO supervisor_traffic")
    is_refused(headgate, "'supervisor_traffic' for application traffic", **external_settings(local, schema))
    async with await Connection.open(local.server, database=schema) as admin:
        assert await admin.fetch_all("SHOW TABLES") == []


async def test_a_production_server_that_refuses_or_is_of_the_other_family_is_named(
    headgate: Headgate, external: tuple[LocalServer, str]
) -> None:
    local, schema = external
    settings = external_settings(local, schema)
    is_refused(
        headgate,
        "Access denied for user 'supervisor_migrator'",
        **{**settings, "HEADGATE_PRODUCTION_MIGRATOR_PASSWORD": "wrong-secret"},
    )
    is_refused(
        headgate,
        "set servers.flavor to 'mariadb'",
        **{**settings, "HEADGATE_SERVERS_FLAVOR": "mysql", "HEADGATE_STATE": f"{headgate.state}-other"},
    )
    is_refused(headgate, "/nowhere.sock", **{**settings, "HEADGATE_PRODUCTION_SOCKET": "/nowhere.sock"})


def test_no_secret_is_ever_logged(headgate: Headgate) -> None:
    headgate.start()
    headgate.until_ready()
    make_user(headgate)
    assert headgate.run("branch", "create", "shop", "add-phone").returncode == 0
    assert headgate.interrupt() == 0
    assert not re.search(r"hg_(pw|tk)_\w", headgate.log.read_text())
    assert ADMIN.password not in headgate.log.read_text()
    secrets = (headgate.state / "secrets.json").read_text()
    assert ADMIN_USER in secrets


def log_in_often(headgate: Headgate) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(log_in(headgate))


def test_a_changed_configuration_is_taken_without_a_new_start_and_a_wrong_one_is_not(
    headgate: Headgate, tmp_path: Path
) -> None:
    config = tmp_path / "headgate.toml"
    config.write_text("[proxy]\nmax_connections = 2000\n")
    headgate.start("--config", str(config))
    headgate.until_ready()
    make_user(headgate)
    with log_in(headgate) as client:
        parts = headgate.pids("-m")
        config.write_text("[proxy]\nmax_connections = 2\nadmin_connections = 0\nworkers = 7\n")
        done = headgate.run("reload")
        assert done.returncode == 0, done.stderr
        assert "taken: proxy.max_connections, proxy.admin_connections" in done.stdout
        assert "waiting for the next start: proxy.workers" in done.stdout
        with pytest.raises(pymysql.err.OperationalError, match="1040"):
            log_in_often(headgate)
        config.write_text("[proxy]\nmax_connections = 0\n")
        done = headgate.run("reload")
        assert done.returncode == 1
        assert "proxy.max_connections" in done.stderr
        config.write_text("[proxy]\nmax_connections = 2000\n")
        os.kill(headgate.process.pid, signal.SIGHUP)  # type: ignore[union-attr]
        wait_until(lambda: '"taken": ["proxy.max_connections", "proxy.admin_connections"]' in headgate.logs())
        assert rows(client, "SELECT 1") == [(1,)]
        assert headgate.pids("-m") == parts
