"""I make the data directory every local server of a flavour starts as a copy of.

The template is made once per server version: system tables, no account that can log in. A copy brings a file
with the statements that make its admin account; the first start runs and removes it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import structlog

from router.errors import ServerFailed
from router.model import Account, Flavor
from router.servers.packages import locked, remove_leftovers
from router.servers.programs import Programs

log = structlog.get_logger()

ADMIN_FILE = "headgate-admin.sql"

# `auto.cnf` holds the server's own UUID, which two servers must not share; keys likewise; the rest the server
# makes anew at each start.
NOT_COPIED = ("auto.cnf", "*.pem", "ibtmp1", "ib_buffer_pool", "*_tmp")

MYSQL_OPTIONS = (
    "--initialize-insecure",
    "--loose-innodb-redo-log-capacity=8M",
    "--skip-log-bin",
    "--loose-mysqlx=0",
    "--secure-file-priv=NULL",
    "--performance-schema=0",
    "--loose-auto-generate-certs=0",
    "--loose-caching-sha2-password-auto-generate-rsa-keys=0",
    "--loose-sha256-password-auto-generate-rsa-keys=0",
    "--character-set-server=utf8mb4",
    "--innodb-flush-log-at-trx-commit=0",
)

# With a lock and a password nobody knows, root is of no use to anybody; our admin account has its rights.
MYSQL_ACCOUNTS = "ALTER USER 'root'@'localhost' IDENTIFIED BY RANDOM PASSWORD ACCOUNT LOCK;\n"

MARIADB_OPTIONS = (
    "--bootstrap",
    "--innodb-log-file-size=8M",
    "--skip-log-bin",
    "--character-set-server=utf8mb4",
    "--innodb-flush-log-at-trx-commit=0",
    "--log-warnings=0",
)

MARIADB_SCRIPTS = (
    "system_tables.sql",
    "performance_tables.sql",
    "system_tables_data.sql",
    "maria_add_gis_sp_bootstrap.sql",
    "sys_schema.sql",
)

MARIADB_ACCOUNTS = (
    "DELETE FROM mysql.global_priv WHERE User = '' OR (User = 'root' AND Host <> 'localhost');\n"
    "UPDATE mysql.global_priv SET Priv = JSON_SET(Priv, '$.plugin', 'mysql_native_password', "
    "'$.authentication_string', 'invalid', '$.account_locked', TRUE) WHERE User = 'root';\n"
)


async def make_data_directory(programs: Programs, target: Path, *, admin: Account, cache: Path) -> None:
    """Make `target` the data directory of a new server, whole or not at all; do nothing when it exists.

    The admin account gets every right with GRANT OPTION, from any host the server listens to. Raises
    ServerFailed when the template cannot be made or copied.
    """
    if target.is_dir() and any(target.iterdir()):
        return
    template = await _template(programs, cache)
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        await asyncio.to_thread(_copy, template, work)
        _write_private(work / ADMIN_FILE, admin_statements(admin))
        work.rename(target)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return  # somebody else was quicker
        raise ServerFailed(f"cannot make the data directory {target}: {error}") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def admin_statements(admin: Account) -> str:
    """Return the statements that make the admin account, one per line, kept out of the binary log."""
    user, password = _quote(admin.user), _quote(admin.password)
    return (
        "SET SESSION sql_log_bin = 0;\n"
        f"CREATE USER IF NOT EXISTS {user}@'%' IDENTIFIED BY {password};\n"
        f"ALTER USER {user}@'%' IDENTIFIED BY {password};\n"
        f"GRANT ALL PRIVILEGES ON *.* TO {user}@'%' WITH GRANT OPTION;\n"
    )


def _quote(text: str) -> str:
    if "\n" in text or "\0" in text:
        raise ValueError("an account's name and password are one line of text")
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


async def _template(programs: Programs, cache: Path) -> Path:
    """Return the template's folder, made now when it is not there yet."""
    recipe = repr((MYSQL_OPTIONS, MYSQL_ACCOUNTS, MARIADB_OPTIONS, MARIADB_SCRIPTS, MARIADB_ACCOUNTS))
    digest = hashlib.sha256(recipe.encode()).hexdigest()[:8]
    name = f"template-{programs.flavor}-{programs.version}-{digest}"
    template = cache / name
    if template.is_dir():
        return template
    try:
        cache.mkdir(parents=True, exist_ok=True)
        async with locked(cache / f".{name}.lock"):
            if not template.is_dir():
                remove_leftovers(cache, name)
                with tempfile.TemporaryDirectory(
                    prefix=f".{name}.", dir=cache, ignore_cleanup_errors=True
                ) as work:
                    data = Path(work) / "data"
                    data.mkdir(mode=0o700)
                    began = time.monotonic()
                    await _initialize(programs, data)
                    data.rename(template)
                    duration_ms = round((time.monotonic() - began) * 1000)
                    log.info("template.made", folder=str(template), duration_ms=duration_ms)
    except OSError as error:
        raise ServerFailed(f"cannot make the template {template}: {error}") from error
    return template


async def _initialize(programs: Programs, data: Path) -> None:
    # A tmpdir of its own: a starting MariaDB deletes every temporary table in it.
    temporary = data.with_name("tmp")
    temporary.mkdir()
    options = [f"--datadir={data}", f"--tmpdir={temporary}", *(["--user=root"] if os.geteuid() == 0 else [])]
    if programs.flavor is Flavor.MYSQL:
        accounts = data.with_name("accounts.sql")
        accounts.write_text(MYSQL_ACCOUNTS)
        await _run(programs.server(*options, *MYSQL_OPTIONS, f"--init-file={accounts}"), "")
    else:
        await _run(programs.server(*options, *MARIADB_OPTIONS), _mariadb_script(programs.share))


def _mariadb_script(share: Path) -> str:
    texts = ["CREATE DATABASE IF NOT EXISTS mysql;\nUSE mysql;\nSET @auth_root_socket=NULL;\n"]
    for script in MARIADB_SCRIPTS:
        names = [script] if script.startswith("maria_") else [f"mariadb_{script}", f"mysql_{script}"]
        path = next((share / name for name in names if (share / name).is_file()), None)
        if path is None:
            raise ServerFailed(f"this MariaDB lacks the script {names[0]} in {share}")
        texts.append(path.read_text(encoding="utf-8"))
    return "\n".join([*texts, MARIADB_ACCOUNTS])


async def _run(command: Sequence[str], script: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await process.communicate(script.encode())
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    if process.returncode:
        last = "\n".join(output.decode(errors="replace").splitlines()[-20:])
        raise ServerFailed(f"initialising a data directory failed (exit code {process.returncode}):\n{last}")


def _copy(source: Path, target: Path) -> None:
    for path in source.iterdir():
        if path.is_dir():
            (target / path.name).mkdir(mode=0o750)
            _copy(path, target / path.name)
        elif not any(path.match(pattern) for pattern in NOT_COPIED):
            shutil.copyfile(path, target / path.name)


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
