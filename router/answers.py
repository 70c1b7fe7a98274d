"""I am the steps in which a server answers a text of statements, for who reads them one by one."""

from __future__ import annotations

from dataclasses import dataclass

Values = tuple[bytes | None, ...]
"""A row, each value as the server wrote it."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a result: its name, and the protocol's numbers of its type and its character set."""

    name: str
    type_code: int
    charset: int


@dataclass(frozen=True, slots=True)
class Head:
    """The beginning of a result with rows."""

    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class End:
    """The end of an answer; `affected` counts rows, and is 0 behind a result with rows."""

    affected: int
    last_insert_id: int
    warnings: int
