"""I know where a server's programs are and how to run them."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from router.errors import ServerNotFound
from router.model import Flavor
from router.servers import packages

SERVER_PROGRAMS = {Flavor.MYSQL: ("mysqld",), Flavor.MARIADB: ("mariadbd", "mysqld")}

# Where distributions put servers besides PATH, which lacks the sbin folders for ordinary users.
SYSTEM_FOLDERS = (
    "/usr/sbin",
    "/usr/local/sbin",
    "/usr/libexec",
    "/usr/local/mysql/bin",
    "/usr/local/mariadb/bin",
)

# Debian's suite and packages of each flavour; the first list whose packages exist is taken. Ubuntu has its
# own suite, where MySQL's packages carry their series in the name.
PACKAGES: dict[Flavor, tuple[str, tuple[tuple[str, ...], ...]]] = {
    Flavor.MYSQL: (
        "sid",
        (
            ("mysql-server-core", "mysql-client-core"),
            ("mysql-server-core-8.4", "mysql-client-core-8.4"),
            ("mysql-server-core-8.0", "mysql-client-core-8.0"),
        ),
    ),
    Flavor.MARIADB: ("bookworm", (("mariadb-server-core", "mariadb-client-core"),)),
}


@dataclass(frozen=True, slots=True)
class Programs:
    """The programs of one server version; `root` is the unpacked tree, None when installed in the system."""

    flavor: Flavor
    version: str
    root: Path | None
    server_program: Path

    def command(self, program: str, *args: str) -> list[str]:
        """Return the command line that runs `program`, through the tree's own loader when unpacked.

        The server's own program gets what it needs to find its files; its configuration files in the system
        are not read.
        """
        if program in SERVER_PROGRAMS[self.flavor]:
            return [*self._launch(self.server_program), "--no-defaults", *self._places(), *args]
        if self.root is None:
            beside = self.server_program.with_name(program)
            return [str(beside) if beside.is_file() else program, *args]
        return [*self._launch(find_program(self.root, program)), *args]

    def server(self, *args: str) -> list[str]:
        """Return the command line that runs the server itself."""
        return self.command(SERVER_PROGRAMS[self.flavor][0], *args)

    @property
    def share(self) -> Path:
        """The folder with the server's messages, character sets and system table scripts."""
        base = self.root / "usr" if self.root else self.server_program.resolve().parent.parent
        candidates = [base / "share" / name for name in ("mysql", "mariadb", "mysql-8.4", "mysql-8.0")]
        candidates += [Path("/usr/share/mysql"), Path("/usr/share/mariadb"), base / "share"]
        return next((folder for folder in candidates if (folder / "charsets").is_dir()), candidates[0])

    def _launch(self, program: Path) -> list[str]:
        return [str(program)] if self.root is None else launch(self.root, program)

    def _places(self) -> list[str]:
        if self.root is None:
            return []
        share = self.share
        return [
            f"--basedir={self.root / 'usr'}",
            f"--lc-messages-dir={share}",
            f"--character-sets-dir={share / 'charsets'}",
        ]


def default_cache() -> Path:
    """Return the folder where fetched programs and templates are kept for all state folders of this user."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "headgate"


async def find_server(
    flavor: Flavor, *, configured: str = "", fetch: bool = True, cache: Path | None = None
) -> Programs:
    """Find a server of this flavour: the configured path, PATH, the cache folder, Debian's packages.

    Raises ServerNotFound naming the ways to get one.
    """
    if configured:
        return await _configured(flavor, configured)
    for name in SERVER_PROGRAMS[flavor]:
        path = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *SYSTEM_FOLDERS]))
        if path and (installed := await _describe(flavor, Path(path), None)):
            return installed
    cache = cache or default_cache()
    if not fetch and not (cache / flavor.value).is_dir():
        raise _nothing_found(flavor, "fetching is switched off by the setting servers.fetch")
    root = await _fetch(flavor, cache)
    for name in SERVER_PROGRAMS[flavor]:
        program = root / "usr/sbin" / name
        if program.is_file() and (unpacked := await _describe(flavor, program, root)):
            return unpacked
    raise _nothing_found(flavor, f"the programs in {root} do not run on this machine; remove that folder")


async def _configured(flavor: Flavor, configured: str) -> Programs:
    path = Path(configured).expanduser().absolute()
    if not os.access(path, os.X_OK) or not path.is_file():
        raise _nothing_found(flavor, f"the setting servers.program is {configured}, which is no program")
    found = await _describe(flavor, path, None)
    if found is None:
        raise _nothing_found(
            flavor, f"the setting servers.program is {configured}, which is no {flavor} server"
        )
    return found


async def _fetch(flavor: Flavor, cache: Path) -> Path:
    suite, choices = PACKAGES[flavor]
    reasons = []
    for choice in choices:
        try:
            return await packages.fetch(flavor.value, choice, suite, cache)
        except ServerNotFound as error:
            reasons.append(str(error))
            if "Unable to locate package" not in str(error):
                break
    raise _nothing_found(flavor, reasons[-1])


async def _describe(flavor: Flavor, program: Path, root: Path | None) -> Programs | None:
    """Ask a server program for its version; None when it does not run or is of the other flavour."""
    try:
        command = launch(root, program) if root else [str(program)]
        process = await asyncio.create_subprocess_exec(
            *command,
            "--no-defaults",
            "--version",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except (OSError, ServerNotFound):
        return None
    output, _ = await process.communicate()
    match = re.search(r"\bVer (\d+\.\d+\.\d+\S*)", output.decode(errors="replace"))
    if process.returncode or match is None:
        return None
    found = Flavor.MARIADB if "MariaDB" in match[1] else Flavor.MYSQL
    return Programs(flavor, match[1], root, program) if found is flavor else None


def find_program(root: Path, program: str) -> Path:
    """Return the path of a program in an unpacked tree, or raise ServerNotFound."""
    for folder in ("usr/sbin", "usr/bin", "sbin", "bin"):
        path = root / folder / program
        if path.is_file():
            return path
    raise ServerNotFound(f"there is no program {program!r} in {root}")


def launch(root: Path, program: Path) -> list[str]:
    """Return the start of the command line that runs a program of a tree with the tree's own libraries.

    A script is run by the interpreter that its first line names, taken from the tree.
    """
    loader = next(
        (
            path
            for pattern in (
                "lib64/ld-linux*.so*",
                "usr/lib64/ld-linux*.so*",
                "*/*/ld-linux*.so*",
                "*/*/*/ld-linux*.so*",
            )
            for path in sorted(root.glob(pattern))
            if path.is_file()
        ),
        None,
    )
    if loader is None:
        raise ServerNotFound(f"the tree {root} has no program loader")
    libraries = [path for base in ("usr/lib", "lib") for path in sorted(root.glob(f"{base}/*-linux-gnu*"))]
    private = [
        path
        for base in ("usr/lib/mysql-router/private", "usr/lib/mysql/private")
        if (path := root / base).is_dir()
    ]
    start = [str(loader), "--library-path", ":".join(map(str, [*private, *libraries]))]
    with program.open("rb") as file:
        first = file.readline(256)
    if not first.startswith(b"#!"):
        return [*start, str(program)]
    words = first[2:].decode(errors="replace").split()
    interpreter = Path(words[1] if words[0].endswith("/env") else words[0]).name
    options = [f"-I{folder}" for folder in _perl_modules(root)] if interpreter == "perl" else []
    return [*start, str(find_program(root, interpreter)), *options, str(program)]


def _perl_modules(root: Path) -> list[Path]:
    """Return the folders where the tree's perl finds modules, as its own build names them below /usr."""
    named = [root / "usr/share/perl5", *root.glob("usr/lib/*/perl-base")]
    versioned = [
        path
        for base in ("usr/lib/*/perl5", "usr/lib/*/perl", "usr/share/perl")
        for path in root.glob(f"{base}/5*")
    ]
    return [path for path in [*named, *sorted(versioned)] if path.is_dir()]


def _nothing_found(flavor: Flavor, reason: str) -> ServerNotFound:
    program = SERVER_PROGRAMS[flavor][0]
    names = {Flavor.MYSQL: "MySQL", Flavor.MARIADB: "MariaDB"}
    return ServerNotFound(
        f"no {names[flavor]} server found: {reason}. "
        f"Ways to get one: install {program} so that it is on PATH; "
        f"or set servers.program (HEADGATE_SERVERS_PROGRAM) to the path of {program}; "
        "or, on Debian or Ubuntu with network access, leave servers.fetch on and it is fetched into a cache "
        "folder without being installed"
    )
