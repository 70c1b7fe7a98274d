"""I build small programs in other languages into a cache folder, once for each state of their sources."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from router.servers.packages import locked
from router.servers.programs import default_cache

BUILD_S = 1200.0

_compilers = asyncio.Semaphore(2)


class BuildFailed(Exception):
    """A program could not be built; the text has the end of what its tools said."""


def cache_folder() -> Path:
    """The folder that keeps what was built, for all sessions of this user."""
    folder = default_cache() / "drivers"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def missing(tools: Sequence[str]) -> list[str]:
    """Those of the tools that are not on PATH."""
    return [tool for tool in tools if shutil.which(tool) is None]


async def built(
    name: str, sources: Path, patterns: Sequence[str], build: Callable[[Path], Awaitable[None]]
) -> Path:
    """Return the folder with the files of `sources` that match the patterns, on which `build` was done.

    It is done again when a file changed. The folder appears by one rename, so it is whole or absent; two that
    build at once wait for each other. What was built of earlier states is removed.
    """
    files = sorted({path for pattern in patterns for path in sources.glob(pattern) if path.is_file()})
    digest = hashlib.sha256()
    for path in files:
        digest.update(str(path.relative_to(sources)).encode() + b"\0" + path.read_bytes())
    cache = cache_folder()
    target = cache / f"{name}-{digest.hexdigest()[:12]}"
    if target.is_dir():
        return target
    async with locked(cache / f".{name}.lock"):
        if target.is_dir():
            return target
        work = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=cache))
        try:
            for path in files:
                copy = work / path.relative_to(sources)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, copy)
            async with _compilers:
                await build(work)
            for old in cache.glob(f"{name}-{'[0-9a-f]' * 12}"):
                shutil.rmtree(old)
            work.rename(target)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return target


async def run_tool(*command: str, folder: Path, environment: Mapping[str, str] | None = None) -> str:
    """Run a build tool to its end and return what it printed; raise BuildFailed when it fails."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env={**os.environ, **(environment or {})},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(BUILD_S):
            output, _ = await process.communicate()
    except BaseException:
        if process.returncode is None:
            process.kill()
        await process.wait()
        raise
    text = output.decode(errors="replace")
    if process.returncode:
        raise BuildFailed(f"`{' '.join(command)}` ended with {process.returncode}:\n{text[-3000:]}")
    return text
