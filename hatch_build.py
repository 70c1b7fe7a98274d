"""I compile the modules that pay for it with mypyc: for a wheel, and below build/ for `make compiled`.

Everything works without: where there is no C compiler, the same sources run as plain Python.
"""

from __future__ import annotations

import ast
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:
    # `make compiled` needs no hatchling.
    BuildHookInterface = object

ROOT = Path(__file__).parent
MODULES = (
    "proxy/wire/errors.py",
    "proxy/wire/primitives.py",
    "proxy/wire/framing.py",
    "proxy/wire/packets.py",
    "proxy/wire/session_state.py",
    "proxy/wire/response.py",
    "proxy/wire/execute.py",
    "proxy/wire/commands.py",
    "proxy/pins.py",
    "proxy/prepared.py",
    "proxy/stream.py",
    "proxy/login_stream.py",
    "proxy/backend.py",
    "proxy/pooled_backend.py",
    "proxy/stats.py",
    "proxy/session.py",
    "proxy/questions.py",
    "proxy/preparation.py",
    "proxy/stock.py",
    "proxy/pool.py",
    "proxy/watch.py",
    "proxy/branches.py",
    "proxy/intake.py",
    "proxy/waiting.py",
    "proxy/client.py",
    "proxy/borrower.py",
    "proxy/statements.py",
    "proxy/pooled.py",
)
"""What runs for every statement. It is much more than the bytes need: an interpreter whose code and data have
left the processor's caches since the last statement costs more than everything else here."""

_COMPILE = """
import sys
from mypyc.build import mypycify
from setuptools import Distribution

target, modules = sys.argv[1], sys.argv[2:]
extensions = mypycify(
    ["--strict", "--explicit-package-bases", *modules], opt_level="3", target_dir=target + "/c"
)
build = Distribution({"ext_modules": extensions, "packages": []}).get_command_obj("build_ext")
build.build_lib, build.build_temp = target + "/modules", target + "/objects"
build.ensure_finalized()
build.run()
"""


def compile_modules(target: Path) -> Path | None:
    """Compile into a folder and return where the modules are; None, with one line said, when that fails."""
    with tempfile.TemporaryDirectory() as folder:
        # A process of its own: mypyc and setuptools print, and end processes as they like.
        command = [sys.executable, "-c", _COMPILE, folder, *MODULES]
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if run.returncode:
            lines = (run.stdout + run.stderr).strip().splitlines() or ["no reason given"]
            print(f"not compiled, everything runs as plain Python: {lines[-1][:200]}", file=sys.stderr)
            return None
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(Path(folder) / "modules", target)
    return target


def sources_of(modules: tuple[str, ...]) -> dict[str, str]:
    """Name the modules and all of ours that they import, with their SHA-256: what a build depends on."""
    found: dict[str, str] = {}
    waiting = list(modules)
    while waiting:
        path = waiting.pop()
        text = (ROOT / path).read_bytes()
        found[path] = hashlib.sha256(text).hexdigest()
        for node in ast.walk(ast.parse(text)):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                other = f"{name.replace('.', '/')}.py"
                if other not in found and other not in waiting and (ROOT / other).is_file():
                    waiting.append(other)
    return found


class CustomBuildHook(BuildHookInterface):  # type: ignore[misc] # hatchling has no types here
    """Puts the compiled modules into the wheel, each beside its source."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile before the wheel is put together; an editable install stays plain."""
        if version == "editable":
            return
        folder = compile_modules(Path(self.directory) / "compiled")
        if folder is None:
            return
        for file in folder.rglob("*.*"):
            build_data["force_include"][str(file)] = str(file.relative_to(folder))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True


def main() -> None:
    """Compile in place of what was compiled before, unless that is of the same sources."""
    target = ROOT / "build" / "compiled"
    listed = target / "sources.json"
    sources = sources_of(MODULES)
    if listed.is_file() and json.loads(listed.read_bytes()) == sources:
        return
    shutil.rmtree(target, ignore_errors=True)
    print("compiling what runs for every statement; this takes a minute", file=sys.stderr)
    if compile_modules(target):
        listed.write_text(json.dumps(sources, indent=1))


if __name__ == "__main__":
    main()
