"""I find out from a branch's own statements which of its tables and columns are old ones under a new name.

Two schemas do not tell a renaming from a drop and an addition; the statements that led from one to the other
do. The log need not be complete: somebody may have changed the branch without the proxy. So it only explains
what the two schemas show, and where it does not fit them, it says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from migrator.schema.model import Schema
from router.database import quote_name
from router.tokens import COMMENT, NAME, NUMBER, OTHER, SEMICOLON, STRING, UNSURE, WORD, Quoting, pieces


@dataclass(frozen=True, slots=True)
class Reused:
    """A renaming that two schemas cannot bear out: one of its names belongs to another one in one of them.

    `table` is as in the base; `old` and `new` are names of its columns, or of tables where it is empty.
    """

    table: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Renames:
    """What was renamed since the base: old name → new name, as the base and the branch write them.

    `columns` is by table, under the name that the table has in the base. Names that were exchanged are in it
    both ways. What is `reused` was renamed as well, but cannot be deployed as that: a comparison by names
    would take the one for the other.
    """

    columns: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: MappingProxyType({}))
    tables: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    reused: tuple[Reused, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.columns or self.tables)


NONE: Final = Renames()


def fold(statements: Iterable[str], base: Schema, branch: Schema) -> Renames:
    """Return the renames that the statements made, oldest first, as far as both schemas bear them out.

    One counts when the old name is in the base and not on the branch, and the new one the other way round;
    or when what has the name there was renamed, too: so it is when two exchange their names. A statement that
    cannot be read is passed over.
    """
    log = _Log(base)
    for statement in statements:
        _take(_Reader(_tokens(statement)), log)
    moved_tables = log.moved()
    tables = borne_out(moved_tables, base.tables.keys(), branch.tables.keys())
    reused = [Reused("", old, new) for old, new in _lost(moved_tables, tables, branch.tables.keys())]
    columns: dict[str, Mapping[str, str]] = {}
    for name, before in base.tables.items():
        if any(each.old == name and not each.table for each in reused):
            continue
        after = branch.tables.get(tables.get(name, name))
        if after is None:
            continue
        was = {column.key: column.name for column in before.columns}
        now = {column.key: column.name for column in after.columns}
        moves = log.moved_columns(name)
        moved = borne_out(moves, was.keys(), now.keys())
        if moved:
            columns[name] = {was[old]: now[new] for old, new in moved.items()}
        reused += [Reused(name, was[old], now[new]) for old, new in _lost(moves, moved, now.keys())]
    return Renames(columns, tables, tuple(reused))


def _lost(moves: Mapping[str, str], kept: Mapping[str, str], after: Set[str]) -> Iterator[tuple[str, str]]:
    """Return the moves that were made and are not kept, because a name belongs to another one, too."""
    for old, new in moves.items():
        if old != new and new in after and old not in kept:
            yield old, new


def renaming(renames: Renames) -> tuple[str, ...]:
    """Return statements that rename so: `fold` finds the same in them."""
    columns = []
    for table, moves in renames.columns.items():
        parts = [f"RENAME COLUMN {quote_name(old)} TO {quote_name(new)}" for old, new in moves.items()]
        columns.append(f"ALTER TABLE {quote_name(table)} {', '.join(parts)}")
    tables = [f"RENAME TABLE {quote_name(old)} TO {quote_name(new)}" for old, new in renames.tables.items()]
    return (*columns, *tables)


def borne_out(moves: Mapping[str, str], before: Set[str], after: Set[str]) -> dict[str, str]:
    """Keep the moves that two sets of names bear out."""
    found = {old: new for old, new in moves.items() if old != new and old in before and new in after}
    while True:
        doubtful = {
            old
            for old, new in found.items()
            if (old in after and old not in found.values()) or (new in before and new not in found)
        }
        if not doubtful:
            return found
        found = {old: new for old, new in found.items() if old not in doubtful}


# -- what the statements did ------------------------------------------------------------------------------


@dataclass(slots=True)
class _Table:
    """A table as the log has it: what it and its columns, by key, were in the base; None: it is new."""

    origin: str | None
    columns: dict[str, str | None] = field(default_factory=dict)


@dataclass(slots=True)
class _Change:
    """What one ALTER TABLE does to names; all of it is about the names before it."""

    renamed: dict[str, str] = field(default_factory=dict)
    dropped: set[str] = field(default_factory=set)
    added: list[str] = field(default_factory=list)
    new_name: str | None = None


class _Log:
    """The names of tables and columns, from the base on, one statement after the other."""

    def __init__(self, base: Schema) -> None:
        self._tables = {
            name: _Table(name, {key: key for key in table.column_order})
            for name, table in base.tables.items()
        }

    def moved(self) -> dict[str, str]:
        """Return what the base's tables are called now."""
        return {table.origin: name for name, table in self._tables.items() if table.origin is not None}

    def moved_columns(self, origin: str) -> dict[str, str]:
        """Return what the columns of one of the base's tables are called now, by key."""
        tables = [table for table in self._tables.values() if table.origin == origin]
        return {was: key for table in tables for key, was in table.columns.items() if was is not None}

    def create(self, name: str, *, unless_there: bool) -> None:
        """Note a new table."""
        if not unless_there or self._find(name) is None:
            self._tables[name] = _Table(None)

    def drop(self, name: str) -> None:
        """Forget a table."""
        found = self._find(name)
        if found is not None:
            del self._tables[found]

    def rename(self, name: str, new_name: str) -> None:
        """Give a table another name."""
        found = self._find(name)
        if found is not None:
            self._tables[new_name] = self._tables.pop(found)

    def alter(self, name: str, change: _Change) -> None:
        """Change a table's columns, and its name."""
        found = self._find(name)
        if found is None:
            return
        table = self._tables[found]
        table.columns = {
            change.renamed.get(key, key): was
            for key, was in table.columns.items()
            if key not in change.dropped
        }
        for key in change.added:
            table.columns.setdefault(key, None)
        if change.new_name is not None:
            self.rename(found, change.new_name)

    def _find(self, name: str) -> str | None:
        """Find a table as the server would: some write all names in lower case."""
        if name in self._tables:
            return name
        return next((known for known in self._tables if known.lower() == name.lower()), None)


# -- how the statements are read --------------------------------------------------------------------------

_NO_COLUMN: Final = frozenset(
    {
        *("INDEX", "KEY", "UNIQUE", "PRIMARY", "FULLTEXT", "SPATIAL", "VECTOR"),
        *("CONSTRAINT", "FOREIGN", "CHECK", "PARTITION", "PERIOD", "SYSTEM"),
    }
)
"""What may follow ADD and DROP besides a column's name."""


@dataclass(frozen=True, slots=True)
class _Token:
    """A word in upper case or a sign, as far as it is not quoted; and the name that it may be."""

    word: str = ""
    name: str = ""


def _tokens(text: str) -> list[_Token]:
    """Cut one statement up; nothing is returned of one that servers could read in several ways."""
    data = text.encode()
    found: list[_Token] = []
    for kind, start, end in pieces(data, Quoting()):
        piece = data[start:end].decode(errors="replace")
        if kind == UNSURE:
            return []
        if kind == SEMICOLON:
            break
        if kind in (WORD, NUMBER):
            found.append(_Token(piece.upper(), piece))
        elif kind == OTHER:
            found.append(_Token(piece))
        elif kind in (NAME, STRING):
            quote = piece[0]
            found.append(_Token(name="" if quote == "'" else piece[1:-1].replace(quote * 2, quote)))
        else:
            assert kind == COMMENT
    return found


class _Reader:
    """The tokens of a statement, or of a part of one, from first to last."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0

    def take(self, *words: str) -> bool:
        """Go past these words, if they are what comes next."""
        following = tuple(token.word for token in self._tokens[self._at : self._at + len(words)])
        if following != words:
            return False
        self._at += len(words)
        return True

    def take_one(self, *words: str) -> bool:
        """Go past any one of these words."""
        return any(self.take(word) for word in words)

    def next_is(self, words: Set[str]) -> bool:
        """Say whether any of these words comes next."""
        return self._at < len(self._tokens) and self._tokens[self._at].word in words

    def name(self) -> str:
        """Go past a name, and the schema's in front of it, and return it; empty when there is none."""
        name = ""
        while self._at < len(self._tokens) and self._tokens[self._at].name:
            name = self._tokens[self._at].name
            self._at += 1
            if not self.take("."):
                break
        return name

    def wait(self) -> None:
        """Go past how long MariaDB may wait for a lock."""
        if self.take("WAIT"):
            self._at += 1
        else:
            self.take("NOWAIT")

    def parts(self) -> list[_Reader]:
        """Cut what is left at its commas, without those within brackets."""
        parts: list[list[_Token]] = [[]]
        depth = 0
        for token in self._tokens[self._at :]:
            depth += (token.word == "(") - (token.word == ")")
            if token.word == "," and not depth:
                parts.append([])
            else:
                parts[-1].append(token)
        return [_Reader(part) for part in parts]

    def inside(self) -> _Reader:
        """Return what is between the brackets that are all that is left."""
        return _Reader(self._tokens[self._at + 1 : -1])


def _take(reader: _Reader, log: _Log) -> None:
    """Follow one statement, if it is about names of tables and columns."""
    if reader.take("ALTER"):
        reader.take("ONLINE")
        reader.take("IGNORE")
        if reader.take("TABLE"):
            _alter(reader, log)
    elif reader.take("RENAME"):
        if reader.take_one("TABLE", "TABLES"):
            _rename(reader, log)
    elif reader.take("DROP"):
        if reader.take_one("TABLE", "TABLES"):
            reader.take("IF", "EXISTS")
            for part in reader.parts():
                log.drop(part.name())
    elif reader.take("CREATE"):
        reader.take("OR", "REPLACE")
        if reader.take("TABLE"):
            unless_there = reader.take("IF", "NOT", "EXISTS")
            log.create(reader.name(), unless_there=unless_there)


def _rename(reader: _Reader, log: _Log) -> None:
    reader.take("IF", "EXISTS")
    for part in reader.parts():
        name = part.name()
        part.wait()
        if part.take("TO"):
            log.rename(name, part.name())


def _alter(reader: _Reader, log: _Log) -> None:
    reader.take("IF", "EXISTS")
    name = reader.name()
    reader.wait()
    change = _Change()
    for part in reader.parts():
        _take_part(part, change)
    log.alter(name, change)


def _take_part(part: _Reader, change: _Change) -> None:
    """Follow one part of an ALTER TABLE."""
    if part.take("RENAME"):
        if part.take("COLUMN"):
            part.take("IF", "EXISTS")
            old = part.name().lower()
            if part.take("TO"):
                change.renamed[old] = part.name().lower()
        elif not part.take_one("INDEX", "KEY"):
            part.take_one("TO", "AS", "=")
            change.new_name = part.name() or None
    elif part.take("CHANGE"):
        part.take("COLUMN")
        part.take("IF", "EXISTS")
        old = part.name().lower()
        change.renamed[old] = part.name().lower()
    elif part.take("DROP"):
        if part.take("COLUMN") or not part.next_is(_NO_COLUMN):
            part.take("IF", "EXISTS")
            change.dropped.add(part.name().lower())
    elif part.take("ADD") and (part.take("COLUMN") or not part.next_is(_NO_COLUMN)):
        part.take("IF", "NOT", "EXISTS")
        several = part.inside().parts() if part.next_is({"("}) else [part]
        names = (one.name().lower() for one in several if not one.next_is(_NO_COLUMN))
        change.added += [name for name in names if name]
