"""I have Python take the compiled form of some modules, if it was made of exactly their present source.

`make compiled` puts mypyc's modules below build/, beside a list of the sources they were made of. A module
that was edited since, or that imports one that was, runs as plain Python until the next `make compiled`, and
so do all others of the same build. In an installed package the compiled modules stand beside their sources,
where Python finds them by itself. HEADGATE_PURE=1 means plain Python in every case.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import EXTENSION_SUFFIXES, SOURCE_SUFFIXES, FileFinder, ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Final

ROOT: Final = Path(__file__).parent.parent
BUILD: Final = ROOT / "build" / "compiled"
SOURCES: Final = "sources.json"
"""Beside the compiled modules: the sources' paths below the root, and their SHA-256."""
_OURS: Final = ("proxy.", "router.")


class CompiledFinder(MetaPathFinder):
    """Finds the modules of one build."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self.files = files

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Take the compiled form, where there is one."""
        file = self.files.get(fullname)
        return spec_from_file_location(fullname, file) if file else None


class SourceFinder(MetaPathFinder):
    """Finds sources only, though compiled modules may stand beside them."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Take the source of a module of ours."""
        if not path or not fullname.startswith(_OURS):
            return None
        finder = FileFinder(path[0], (SourceFileLoader, SOURCE_SUFFIXES))
        return finder.find_spec(fullname)


def digest(source: Path) -> str:
    """Return what a source is recognized by."""
    return hashlib.sha256(source.read_bytes()).hexdigest()


def compiled_files(build: Path, root: Path) -> dict[str, Path]:
    """Name the compiled modules of a build; none when it was made of other sources, or for another Python."""
    try:
        sources = json.loads((build / SOURCES).read_bytes())
        if any(digest(root / source) != sha256 for source, sha256 in sources.items()):
            return {}
    except (OSError, ValueError, AttributeError):
        return {}
    suffix = EXTENSION_SUFFIXES[0]
    files = build.rglob(f"*{suffix}")
    return {".".join(file.relative_to(build).parts).removesuffix(suffix): file for file in files}


def choose() -> None:
    """Decide for this process; must come before the first import of what may be compiled."""
    if os.environ.get("HEADGATE_PURE", "") not in ("", "0"):
        sys.meta_path.insert(0, SourceFinder())
    elif files := compiled_files(BUILD, ROOT):
        sys.meta_path.insert(0, CompiledFinder(files))
