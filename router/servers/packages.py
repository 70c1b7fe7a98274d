"""I fetch Debian packages into a cache folder without installing them.

apt does the work with a sources list, an index folder and an *empty* status file of its own, so that it
resolves every dependency down to the C library and leaves the system alone. It runs as any user. Where to
fetch from is what this machine's own apt configuration says, and signatures are checked with the archive
keyring of this machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import re
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from router.errors import ServerNotFound

log = structlog.get_logger()

MANIFEST = "headgate-packages.txt"

KEYRINGS = {
    "debian": (
        "/usr/share/keyrings/debian-archive-keyring.gpg",
        "/usr/share/keyrings/debian-archive-keyring.pgp",
    ),
    "ubuntu": (
        "/usr/share/keyrings/ubuntu-archive-keyring.gpg",
        "/usr/share/keyrings/ubuntu-archive-keyring.pgp",
    ),
}

COMPONENTS = {"debian": "main", "ubuntu": "main universe"}

# What the machine's apt configuration does after an update or to save space is not for our private folders.
APT_CONFIG = """\
Dir::State "{work}";
Dir::State::Lists "{work}/lists";
Dir::State::status "{work}/status";
Dir::State::extended_states "{work}/extended_states";
Dir::Cache "{work}/cache";
Dir::Cache::Archives "{work}/archives";
Dir::Etc::SourceList "{work}/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
APT::Install-Recommends "false";
APT::Install-Suggests "false";
APT::Sandbox::User "root";
APT::Get::AllowUnauthenticated "false";
APT::Default-Release "";
Acquire::AllowInsecureRepositories "false";
Acquire::AllowWeakRepositories "false";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
"""


@dataclass(frozen=True, slots=True)
class Distribution:
    """What this machine runs: `family` is debian or ubuntu, `codename` its own suite."""

    family: str
    codename: str


def read_distribution(os_release: Path = Path("/etc/os-release")) -> Distribution | None:
    """Say which Debian-like distribution this is, or None when it is none."""
    try:
        lines = os_release.read_text().splitlines()
    except OSError:
        return None
    values = {key: value.strip("\"'") for key, _, value in (line.partition("=") for line in lines)}
    names = [values.get("ID", ""), *values.get("ID_LIKE", "").split()]
    if "ubuntu" in names:
        return Distribution("ubuntu", values.get("UBUNTU_CODENAME") or values.get("VERSION_CODENAME", ""))
    if "debian" in names:
        return Distribution("debian", values.get("VERSION_CODENAME", ""))
    return None


async def fetch(name: str, packages: Sequence[str], suite: str, cache: Path) -> Path:
    """Return the folder `cache/name` with `packages` of `suite` and all they depend on unpacked.

    Does nothing when the folder is there already. It appears by one rename, so it is whole or absent; two
    that fetch at once wait for each other. On Ubuntu its own suite is used, whatever `suite` says. Raises
    ServerNotFound when the packages cannot be had.
    """
    target = cache / name
    if target.is_dir():
        return target
    try:
        cache.mkdir(parents=True, exist_ok=True)
        async with locked(cache / f".{name}.lock"):
            if target.is_dir():
                return target
            remove_leftovers(cache, name)
            with tempfile.TemporaryDirectory(
                prefix=f".{name}.", dir=cache, ignore_cleanup_errors=True
            ) as work:
                began = time.monotonic()
                log.info("fetch.started", packages=list(packages), folder=str(target))
                await _fetch_into(Path(work), packages, suite)
                (Path(work) / "root").rename(target)
                log.info("fetch.ended", duration_ms=round((time.monotonic() - began) * 1000))
    except OSError as error:
        raise ServerNotFound(f"cannot fetch {' and '.join(packages)} into {cache}: {error}") from error
    return target


@contextlib.asynccontextmanager
async def locked(path: Path) -> AsyncIterator[None]:
    """Hold an exclusive lock on the file `path` between all processes of this machine."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(0.02)
        yield
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path, name: str) -> None:
    """Remove the half-made folders that killed makers of `name` left; its lock must be held."""
    for leftover in folder.glob(f".{name}.*"):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)


async def _fetch_into(work: Path, packages: Sequence[str], suite: str) -> None:
    distribution = read_distribution()
    if distribution is None or not shutil.which("apt-get") or not shutil.which("dpkg"):
        raise ServerNotFound(f"cannot fetch {' and '.join(packages)}: this machine has no apt")
    for folder in ("lists/partial", "archives/partial", "cache", "root", "no-lists"):
        (work / folder).mkdir(parents=True)
    (work / "status").touch()
    (work / "sources.list").write_text(await _sources(distribution, suite, work / "no-lists"))
    (work / "apt.conf").write_text(APT_CONFIG.format(work=work))
    apt = ("apt-get", "-c", str(work / "apt.conf"), "-q")
    await _run(*apt, "update", "-o", "APT::Update::Error-Mode=any")
    await _run(*apt, "-y", "--download-only", "install", *packages)
    await _unpack(sorted((work / "archives").glob("*.deb")), work / "root")


async def _sources(distribution: Distribution, suite: str, no_lists: Path) -> str:
    """Write the sources list: one suite of the archive this machine already trusts."""
    if distribution.family == "ubuntu":
        suite = distribution.codename
    listed = await _run("apt-get", "update", "--print-uris", "-o", f"Dir::State::Lists={no_lists}")
    base = find_archive(listed, distribution)
    if base is None:
        raise ServerNotFound(
            "this machine's apt configuration names no Debian or Ubuntu archive to fetch from"
        )
    architecture = (await _run("dpkg", "--print-architecture")).strip()
    keyring = next((path for path in KEYRINGS[distribution.family] if Path(path).is_file()), None)
    options = f"arch={architecture}" + (f" signed-by={keyring}" if keyring else "")
    return f"deb [{options}] {base} {suite} {COMPONENTS[distribution.family]}\n"


def find_archive(printed_uris: str, distribution: Distribution) -> str | None:
    """Return the address of the distribution's main archive, given what `apt-get update --print-uris` says.

    The main archive carries the machine's plain suite with component main; archives of security updates do
    not. Other vendors' may, so one that carries the suite's updates as well is preferred.
    """
    listed = re.findall(r"^'([^']+?)/?/dists/([^'/]+)/main/binary-", printed_uris, re.MULTILINE)
    plain = {distribution.codename, "stable", "oldstable", "testing", "unstable", "sid"}
    bases = [base for base, suite in listed if suite in plain]
    complete = {base for base, suite in listed if suite.endswith("-updates")}
    return next((base for base in bases if base in complete), bases[0] if bases else None)


async def _unpack(archives: Sequence[Path], root: Path) -> None:
    limit = asyncio.Semaphore(2)

    async def unpack(archive: Path) -> None:
        async with limit:
            await _run("dpkg", "-x", str(archive), str(root))

    try:
        async with asyncio.TaskGroup() as group:
            for archive in archives:
                group.create_task(unpack(archive))
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    for folder in ("doc", "man", "locale", "lintian", "info"):
        shutil.rmtree(root / "usr/share" / folder, ignore_errors=True)
    names = [archive.stem.replace("%3a", ":") for archive in archives]
    (root / MANIFEST).write_text("".join(f"{name}\n" for name in names))


async def _run(*command: str) -> str:
    """Run a program and return what it printed; raise ServerNotFound with the end of its errors."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
    )
    try:
        output, errors = await process.communicate()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    if process.returncode:
        last = " / ".join(errors.decode(errors="replace").strip().splitlines()[-4:])
        raise ServerNotFound(f"`{command[0]}` failed: {last or f'exit code {process.returncode}'}")
    return output.decode(errors="replace")
