"""I am the text of a `.pscale.yml`: I read which branch a project is at, and write another one into it.

Of YAML I know lines of `key: value`. Whatever I could not print back as it was, I refuse with its line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from router.errors import RouteError
from router.model import check_name

ENTRY: Final = re.compile(
    r"(?P<key>[A-Za-z_][\w.-]*):"
    r"(?: +(?P<value>'[^'\n]*'|\"(?:[^\"\\\n]|\\.)*\"|[\w./~](?:[^\s:#]|:(?=\S)| +(?![#\s]))*))?"
    r"(?P<rest> *| +#.*)",
    re.ASCII,
)
NOTHING: Final = re.compile(r" *(?:#.*)?")
PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
OTHER_THINGS: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
"""Words that are no texts to readers of YAML unless they stand in quotes."""


class LineRefused(Exception):
    """A line says what cannot be used; the message says why, and `number` which it is, from 1."""

    def __init__(self, number: int, why: str) -> None:
        super().__init__(why)
        self.number = number


@dataclass(frozen=True, slots=True)
class Place:
    """What commands are about: names of an organization, a database and a branch, '' where none is said."""

    org: str = ""
    database: str = ""
    branch: str = ""


@dataclass(frozen=True, slots=True)
class _Entry:
    key: str
    value: str
    rest: str


def read_place(text: str) -> Place:
    """Return what a project's file says. Raises LineRefused."""
    said = {}
    for number, _, entry in _lines(text):
        if entry is None or entry.key not in Place.__dataclass_fields__:
            continue
        if entry.value:
            _check(number, entry)
        said[entry.key] = entry.value
    return Place(**said)


def with_place(text: str, place: Place) -> str:
    """Return the text that says `place`; other keys, comments and the order stay. Raises LineRefused."""
    wanted = {key: getattr(place, key) for key in Place.__dataclass_fields__}
    written = ""
    for _, line, entry in _lines(text):
        if entry is not None and entry.key in wanted:
            end = line[len(line.rstrip("\r\n")) :]
            line = f"{entry.key}: {_printed(wanted.pop(entry.key))}{entry.rest}{end}"
        written += line
    if written and not written.endswith("\n"):
        written += "\n"
    return written + "".join(f"{key}: {_printed(value)}\n" for key, value in wanted.items())


def _check(number: int, entry: _Entry) -> None:
    """Refuse what is no name: whoever wrote the file may be somebody else than who uses it."""
    if entry.key == "org":
        if not entry.value.isprintable():
            raise LineRefused(number, f"{entry.value!r} cannot be the name of an organization")
        return
    try:
        check_name(entry.key, entry.value)
    except RouteError as error:
        raise LineRefused(number, str(error)) from None


def _lines(text: str) -> Iterator[tuple[int, str, _Entry | None]]:
    """Give each line with its number from 1 and what it says, None where it says nothing."""
    keys: set[str] = set()
    for number, line in enumerate(re.findall(r"[^\n]*\n|[^\n]+", text), start=1):
        bare = line.rstrip("\r\n")
        if NOTHING.fullmatch(bare) or (bare == "---" and not keys):
            yield number, line, None
            continue
        found = ENTRY.fullmatch(bare)
        if found is None:
            raise LineRefused(number, f"only `key: value` is understood, not {bare.strip()!r}")
        if found["key"] in keys:
            raise LineRefused(number, f"{found['key']!r} is said a second time")
        keys.add(found["key"])
        yield number, line, _Entry(found["key"], _read(found["value"] or "", number), found["rest"])


def _read(written: str, number: int) -> str:
    match written[:1]:
        case "'":
            return written[1:-1]
        case '"':
            try:
                return str(json.loads(written))
            except json.JSONDecodeError:
                raise LineRefused(number, f"{written!r} cannot be read: leave out the backslash") from None
        case _:
            return written


def _printed(value: str) -> str:
    """Return a value as every reader of YAML takes it for a text."""
    if PLAIN.fullmatch(value) and value.lower() not in OTHER_THINGS:
        return value
    return json.dumps(value)
