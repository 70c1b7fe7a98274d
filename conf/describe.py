"""I write `headgate.toml` and the settings' reference page from the settings' own words."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import sys
import textwrap
from collections.abc import Iterator

from conf import settings as source
from conf.reload import is_live
from conf.settings import Settings


@dataclasses.dataclass(frozen=True, slots=True)
class Described:
    """One setting: its section ('' for none), name, default as TOML, and what it means."""

    section: str
    name: str
    default: str
    meaning: str


def describe() -> Iterator[Described]:
    """Yield every setting in the order of the source."""
    tree = {
        node.name: node
        for node in ast.parse(inspect.getsource(source)).body
        if isinstance(node, ast.ClassDef)
    }
    defaults = Settings()
    sections = [("", "Settings")] + [
        (field.name, type(getattr(defaults, field.name)).__name__)
        for field in dataclasses.fields(Settings)
        if dataclasses.is_dataclass(getattr(defaults, field.name))
    ]
    for section, kind in sections:
        values = getattr(defaults, section) if section else defaults
        for name, meaning in _meanings(tree[kind]):
            yield Described(section, name, _toml(getattr(values, name)), meaning)


def section_meanings() -> dict[str, str]:
    """Return what each section is about."""
    defaults = Settings()
    return {
        field.name: (type(getattr(defaults, field.name)).__doc__ or "").strip()
        for field in dataclasses.fields(Settings)
        if dataclasses.is_dataclass(getattr(defaults, field.name))
    }


def example() -> str:
    """Return the text of `headgate.toml`: every setting, commented, at its default."""
    lines = [
        "# Every setting of Headgate at its default. Uncomment what you want to change.",
        "# The environment wins over this file: HEADGATE_PROXY_PORT sets port of [proxy].",
    ]
    about = section_meanings()
    last = ""
    for setting in describe():
        if setting.section != last:
            last = setting.section
            lines += ["", "", *_comment(about[last]), f"[{last}]"]
        lines += ["", *_comment(setting.meaning), f"#{setting.name} = {setting.default}"]
    return "\n".join(lines) + "\n"


def reference() -> str:
    """Return the settings' reference page as Markdown."""
    lines = [
        "# Settings",
        "",
        "One TOML file (`headgate --config headgate.toml serve`), with the environment over it: `port` of",
        "`[proxy]` is `HEADGATE_PROXY_PORT`. `headgate check-config` reports every mistake at once.",
        "Settings that are `live` are taken by `headgate reload`, or by SIGHUP, and cost no connection.",
        "This page is written by `python -m conf.describe reference`.",
    ]
    about = section_meanings()
    last = None
    for setting in describe():
        if setting.section != last:
            last = setting.section
            title = f"`[{last}]` {about[last]}" if last else "Outside any section"
            lines += ["", f"## {title}", "", "| setting | default | live | meaning |", "|---|---|---|---|"]
        live = "yes" if is_live(setting.section, setting.name) else ""
        lines.append(f"| `{setting.name}` | `{setting.default}` | {live} | {setting.meaning} |")
    return "\n".join(lines) + "\n"


def _meanings(section: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, text in zip(section.body, section.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
        ):
            yield field.target.id, " ".join(str(text.value.value).split())


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, 98)]


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return str(value)


if __name__ == "__main__":
    sys.stdout.write(reference() if sys.argv[1:] == ["reference"] else example())
