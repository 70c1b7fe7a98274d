"""I am the table of drivers: what each needs, how its program is built and started."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from router.model import Flavor
from router.servers.packages import MANIFEST, fetch
from router.servers.programs import find_server, launch
from tests.support.toolchains import built, cache_folder, missing, run_tool

HERE = Path(__file__).parent
BOTH = (Flavor.MYSQL, Flavor.MARIADB)

# One environment for all of Python's; mysqlclient is compiled against a library that is fetched.
PYTHON_TOOLS = ("apt-get", "gcc")


@dataclass(frozen=True, slots=True)
class Program:
    """How a built program is run, and the versions of what it uses."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    version: str


@dataclass(frozen=True, slots=True)
class Driver:
    """A driver of the matrix.

    `tools` must be on PATH to build or run it; `build` returns its program, given the server's programs (the
    shells are among them). `flavors` are the servers it speaks to, `note` is for readers of the table.
    """

    name: str
    tools: tuple[str, ...]
    build: Callable[[], Awaitable[Program]]
    flavors: tuple[Flavor, ...] = BOTH
    note: str = ""


def _python(script: str, package: str) -> Callable[[], Awaitable[Program]]:
    async def build() -> Program:
        libraries = await fetch("libmariadb", ["libmariadb-dev"], "bookworm", cache_folder())
        library = next(libraries.glob("usr/lib/*/libmariadb.so.3")).parent

        async def install(work: Path) -> None:
            await run_tool(sys.executable, "-m", "venv", "venv", folder=work)
            environment = {
                "MYSQLCLIENT_CFLAGS": f"-I{libraries}/usr/include/mariadb",
                "MYSQLCLIENT_LDFLAGS": f"-L{library} -lmariadb -Wl,-rpath,{library}",
            }
            pip = (str(work / "venv/bin/python"), "-m", "pip", "install", "-q", "-r", "requirements.txt")
            await run_tool(*pip, folder=work, environment=environment)

        folder = await built("python", HERE / "python", ["requirements.txt"], install)
        python = str(folder / "venv/bin/python")
        asked = f"from importlib.metadata import version; print(version({package!r}))"
        version = await run_tool(python, "-c", asked, folder=folder)
        environment = {"MARIADB_PLUGIN_DIR": str(library / "libmariadb3/plugin")}
        return Program((python, str(HERE / "python" / script)), environment, version.strip())

    return build


def _shell(
    flavor: Flavor, plain: Sequence[str], tls: Sequence[str], options: Sequence[str] = ()
) -> Callable[[], Awaitable[Program]]:
    async def build() -> Program:
        programs = await find_server(flavor)
        environment = {
            "DRIVER_SHELL": json.dumps(programs.command(flavor.value)),
            "DRIVER_SHELL_OPTIONS": json.dumps(options),
            "DRIVER_SHELL_PLAIN": json.dumps(plain),
            "DRIVER_SHELL_TLS": json.dumps(tls),
        }
        if programs.root is not None:
            plugins = next(programs.root.glob("usr/lib/*/libmariadb3/plugin"), programs.root)
            environment["MARIADB_PLUGIN_DIR"] = str(plugins)
        command = (sys.executable, str(HERE / "shell/scenario.py"))
        return Program(command, environment, programs.version.split("-")[0])

    return build


async def _node() -> Program:
    async def install(work: Path) -> None:
        options = ("--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")
        await run_tool("npm", "install", *options, folder=work)

    folder = await built("node", HERE / "node", ["package.json"], install)
    manifest = json.loads((folder / "node_modules/mysql2/package.json").read_text())
    environment = {"NODE_PATH": str(folder / "node_modules")}
    return Program(("node", str(HERE / "node/scenario.js")), environment, manifest["version"])


async def _go() -> Program:
    async def compile_(work: Path) -> None:
        await run_tool("go", "build", "-mod=readonly", "-o", "scenario", ".", folder=work)

    folder = await built("go", HERE / "go", ["go.mod", "go.sum", "main.go"], compile_)
    version = _pinned(HERE / "go/go.mod", r"go-sql-driver/mysql v(\S+)")
    return Program((str(folder / "scenario"),), {}, version)


async def _java() -> Program:
    async def compile_(work: Path) -> None:
        fetched = ("dependency:copy-dependencies", "-DoutputDirectory=lib")
        await run_tool("mvn", "-q", "-B", *fetched, folder=work)
        await run_tool(
            "javac", "-encoding", "UTF-8", "-cp", "lib/*", "-d", "classes", "Scenario.java", folder=work
        )

    folder = await built("java", HERE / "java", ["pom.xml", "Scenario.java"], compile_)
    version = _pinned(HERE / "java/pom.xml", r"mysql-connector-j</artifactId>\s*<version>(.+)</version>")
    options = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-Dfile.encoding=UTF-8")
    return Program(("java", *options, "-cp", f"{folder}/classes:{folder}/lib/*", "Scenario"), {}, version)


async def _rust() -> Program:
    async def compile_(work: Path) -> None:
        # What it depends on stays built for the next state of the program.
        target = cache_folder() / "rust-target"
        environment = {"CARGO_TARGET_DIR": str(target)}
        await run_tool("cargo", "build", "--release", "--quiet", folder=work, environment=environment)
        shutil.copy(target / "release/scenario", work / "scenario")

    folder = await built("rust", HERE / "rust", ["Cargo.toml", "src/main.rs"], compile_)
    return Program(
        (str(folder / "scenario"),), {}, _pinned(HERE / "rust/Cargo.toml", r'mysql_async.*"=([\d.]+)"')
    )


async def _php() -> Program:
    root = await fetch("php", ["php-cli", "php-mysql"], "bookworm", cache_folder())
    php = next(root.glob("usr/bin/php[0-9]*"))
    extensions = next(root.glob("usr/lib/php/2*/mysqli.so")).parent
    settings = [f"extension_dir={extensions}", "memory_limit=1G", "display_errors=stderr"]
    settings += [f"extension={name}" for name in ("mysqlnd", "mysqli", "pdo", "pdo_mysql")]
    options = [word for setting in settings for word in ("-d", setting)]
    script = str(HERE / "php/scenario.php")
    return Program((*launch(root, php), "-n", *options, script), {}, _packaged(root, f"{php.name}-mysql"))


async def _ruby() -> Program:
    root = await fetch("ruby", ["ruby", "ruby-mysql2"], "bookworm", cache_folder())
    scripts = next(root.glob("usr/lib/ruby/[0-9]*"))
    folders = [scripts.with_name("vendor_ruby"), scripts]
    for kind in ("ruby/vendor_ruby", "ruby"):
        folders += root.glob(f"usr/lib/*/{kind}/{scripts.name}")
    environment = {
        "RUBYLIB": ":".join(map(str, folders)),
        "MARIADB_PLUGIN_DIR": str(next(root.glob("usr/lib/*/libmariadb3/plugin"))),
        "LC_ALL": "C.UTF-8",
    }
    ruby = launch(root, next(root.glob("usr/bin/ruby[0-9]*")))
    command = (*ruby, "--disable-gems", str(HERE / "ruby/scenario.rb"))
    return Program(command, environment, _packaged(root, "ruby-mysql2"))


def _packaged(root: Path, package: str) -> str:
    """Return the version of a package in a fetched tree."""
    return _pinned(root / MANIFEST, rf"(?m)^{re.escape(package)}_(?:\d+:)?([\d.]+)")


def _pinned(manifest: Path, pattern: str) -> str:
    found = re.search(pattern, manifest.read_text())
    assert found, f"{manifest} names no version by {pattern}"
    return found[1]


_MYSQL_SHELL = _shell(
    Flavor.MYSQL,
    ["--ssl-mode=DISABLED", "--get-server-public-key"],
    ["--ssl-mode=VERIFY_IDENTITY", "--ssl-ca={ca}"],
    ["--commands"],
)
_MARIADB_SHELL = _shell(
    Flavor.MARIADB, ["--skip-ssl"], ["--ssl", "--ssl-ca={ca}", "--ssl-verify-server-cert"]
)

_ALL = (
    Driver("mysql shell", (), _MYSQL_SHELL, (Flavor.MYSQL,), "it has no plugin for MariaDB's passwords"),
    Driver("mariadb shell", (), _MARIADB_SHELL),
    Driver("PyMySQL", PYTHON_TOOLS, _python("with_pymysql.py", "pymysql"), note="it prepares by SQL only"),
    Driver(
        "mysqlclient",
        PYTHON_TOOLS,
        _python("with_mysqlclient.py", "mysqlclient"),
        note="on MariaDB's C library; it prepares by SQL only",
    ),
    Driver(
        "Connector/Python",
        PYTHON_TOOLS,
        _python("with_connector.py", "mysql-connector-python"),
        note="the driver in plain Python; in results of prepared statements it misreads what follows a YEAR",
    ),
    Driver(
        "aiomysql",
        PYTHON_TOOLS,
        _python("with_aiomysql.py", "aiomysql"),
        note="with PyMySQL 1.2 it cannot write bytes into a statement without a converter for them",
    ),
    Driver(
        "asyncmy",
        PYTHON_TOOLS,
        _python("with_asyncmy.py", "asyncmy"),
        note="it loses rows that are longer than a packet (16 MiB), so the long value is read in pieces",
    ),
    Driver("SQLAlchemy", PYTHON_TOOLS, _python("with_sqlalchemy.py", "sqlalchemy"), note="on PyMySQL"),
    Driver("Django", PYTHON_TOOLS, _python("with_django.py", "django"), note="on mysqlclient"),
    Driver("Node mysql2", ("node", "npm"), _node),
    Driver(
        "Go go-sql-driver",
        ("go",),
        _go,
        note="it has no name for its connection's number; its programs ask for `CONNECTION_ID()`",
    ),
    Driver(
        "Java Connector/J",
        ("java", "javac", "mvn"),
        _java,
        note="after a cut-over a prepared `SELECT *` fails until it is prepared again",
    ),
    Driver("Rust mysql_async", ("cargo", "gcc", "pkg-config"), _rust),
    Driver("PHP mysqlnd", ("apt-get",), _php, note="mysqli, and PDO in a step of its own"),
    Driver(
        "Ruby mysql2",
        ("apt-get",),
        _ruby,
        note="after a cut-over a prepared `SELECT *` fails until it is prepared again",
    ),
)

DRIVERS = {driver.name: driver for driver in _ALL}


async def build_all() -> None:
    """Build what this machine can build, and say what is left out."""

    async def build(driver: Driver) -> str:
        if lacking := missing(driver.tools):
            return f"{driver.name} is left out: {', '.join(lacking)} is not on this machine"
        return f"{driver.name} {(await driver.build()).version}"

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(build(driver)) for driver in DRIVERS.values()]
    for task in tasks:
        print(task.result())


if __name__ == "__main__":
    asyncio.run(build_all())
