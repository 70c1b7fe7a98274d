"""I read what a statement uses: tables, columns, how it inserts, which indexes it names, what it joins.

I am asked once for each shape of statement, never for each statement, and I never decide what a schema is. A
shape that the parser does not understand uses every name that stands in it: too much is said rather than too
little.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from typing import Final

from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError

from migrator.schema.shapes import Join, TableUse, Use
from router.tokens import NAME, OTHER, UNSURE, WORD, Quoting, pieces

# It would log each statement that it only half understands.
logging.getLogger("sqlglot").setLevel(logging.CRITICAL)

_REPLACE: Final = re.compile(r"\s*REPLACE\b", re.IGNORECASE)
_BEFORE_TABLES: Final = frozenset({"FROM", "JOIN", "INTO", "UPDATE", "TABLE", "INSERT", "REPLACE", "DELETE"})
_BETWEEN: Final = frozenset({"LOW_PRIORITY", "HIGH_PRIORITY", "DELAYED", "QUICK", "IGNORE", "INTO", "FROM"})


def use_of(shape: str) -> Use:
    """Return what a shape uses. It takes a fraction of a millisecond."""
    # The parser does not know REPLACE, which is written like an INSERT.
    replaces = _REPLACE.match(shape)
    try:
        tree = parse_one("INSERT" + shape[replaces.end() :] if replaces else shape, dialect="mysql")
    except (SqlglotError, RecursionError, ValueError):
        return _mentioned(shape)
    if isinstance(tree, exp.Command) or tree.find(exp.Command) is not None:
        return _mentioned(shape)
    return _Reading(tree, replaces=bool(replaces)).use()


class _Reading:
    """One parsed statement."""

    def __init__(self, tree: exp.Expr, *, replaces: bool) -> None:
        self._tree = tree
        self._replaces = replaces
        made = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
        made |= {derived.alias.lower() for derived in tree.find_all(exp.Subquery) if derived.alias}
        self._made = made
        self._assigned: set[int] = set()
        self._names: dict[str, str] = {}
        for table in tree.find_all(exp.Table):
            if table.name and (table.db or table.name.lower() not in made):
                self._names[table.alias_or_name.lower()] = table.name
        self._reads: dict[str, set[str]] = {name: set() for name in self._names.values()}
        self._writes: dict[str, set[str]] = {name: set() for name in self._names.values()}

    def use(self) -> Use:
        """Return what the statement uses."""
        set_columns = [*self._set_columns()]
        for column in set_columns:
            for name in self._tables_of(column):
                self._writes[name].add(column.name.lower())
        known = self._assigned = {id(column) for column in set_columns}
        for column in self._tree.find_all(exp.Column):
            if id(column) not in known and not isinstance(column.this, exp.Star):
                for name in self._tables_of(column):
                    self._reads[name].add(column.name.lower())
        whole = self._whole()
        target, inserts = self._inserts()
        lenient = self._replaces or bool(self._tree.args.get("ignore") or self._tree.args.get("conflict"))
        hints = self._hints()
        return Use(
            {
                name: TableUse(
                    frozenset(self._reads[name]),
                    frozenset(self._writes[name])
                    | (frozenset(inserts or ()) if name == target else frozenset()),
                    name in whole,
                    inserts if name == target else None,
                    lenient and name == target,
                    frozenset(hints.get(name, ())),
                )
                for name in self._reads
            },
            tuple(sorted({*self._joins()})),
        )

    def _tables_of(self, column: exp.Column) -> Iterable[str]:
        """Return the tables that a column may belong to: all, when it does not say it."""
        if not column.table:
            return self._reads
        name = self._names.get(column.table.lower())
        if name is None and column.table.lower() not in self._made:
            name = next((known for known in self._reads if known.lower() == column.table.lower()), None)
        return () if name is None else (name,)

    def _set_columns(self) -> Iterator[exp.Column]:
        """Yield what stands left of the equals signs of an UPDATE, or of ON DUPLICATE KEY UPDATE."""
        conflict = self._tree.args.get("conflict")
        for one in (self._tree if isinstance(self._tree, exp.Update) else None, conflict):
            for assignment in one.expressions if one is not None else ():
                if isinstance(assignment, exp.EQ) and isinstance(assignment.this, exp.Column):
                    yield assignment.this

    def _whole(self) -> set[str]:
        """Return the tables of which all columns are read."""
        found: set[str] = set()
        for select in self._tree.find_all(exp.Select):
            for one in select.expressions:
                if isinstance(one, exp.Star):
                    inner = select.find_all(exp.Table)
                    found |= {table.name for table in inner if table.name in self._reads}
                elif isinstance(one, exp.Column) and isinstance(one.this, exp.Star):
                    found |= {*self._tables_of(one)}
        if not isinstance(self._tree, (exp.Select, exp.Insert, exp.Update, exp.Delete, exp.SetOperation)):
            found |= self._reads.keys()
        return found

    def _inserts(self) -> tuple[str | None, tuple[str, ...] | None]:
        """Return which table is inserted into, and the columns that are named."""
        if not isinstance(self._tree, exp.Insert):
            return None, None
        target = self._tree.this
        if isinstance(target, exp.Schema):
            columns = tuple(one.name.lower() for one in target.expressions)
            return target.this.name, columns
        return target.name, ()

    def _hints(self) -> dict[str, set[str]]:
        """Return the indexes that hints name, by table."""
        found: dict[str, set[str]] = {}
        for table in self._tree.find_all(exp.Table):
            for hint in table.args.get("hints") or ():
                names = {one.name.lower() for one in hint.find_all(exp.Identifier)}
                found.setdefault(table.name, set()).update(names)
        return found

    def _joins(self) -> Iterator[Join]:
        """Yield the pairs of columns of two tables that are compared."""
        for comparison in self._tree.find_all(exp.EQ):
            sides = comparison.this, comparison.expression
            if id(comparison.this) in self._assigned or not all(
                isinstance(side, exp.Column) and side.table for side in sides
            ):
                continue
            one, two = ([*self._tables_of(side)] for side in sides)
            if one and two:
                pair = sorted([(one[0], sides[0].name.lower()), (two[0], sides[1].name.lower())])
                yield (*pair[0], *pair[1])


def _mentioned(shape: str) -> Use:
    """Take every name for a column, and every name behind a word that a table follows for a table."""
    tokens = [*_words(shape)]
    columns = frozenset(name.lower() for name, _ in tokens if name)
    use = TableUse(columns, columns, whole=True, lenient=True)
    tables: list[str] = []
    expects = False
    for at, (name, sign) in enumerate(tokens):
        following = tokens[at + 1][1] if at + 1 < len(tokens) else ""
        if sign in _BEFORE_TABLES:
            expects = True
        elif expects and name and sign not in _BETWEEN:
            # In front of a dot it is the schema's name.
            expects = following in (".", ",")
            if following != ".":
                tables.append(name)
        elif name or sign not in (".", ","):
            expects = expects and sign in _BETWEEN
    return Use(dict.fromkeys(tables, use), (), understood=False)


def _words(shape: str) -> Iterator[tuple[str, str]]:
    """Yield each word of a shape as the name that it may be, and in upper case or as a sign if not quoted."""
    data = shape.encode()
    for kind, start, end in pieces(data, Quoting()):
        text = data[start:end].decode(errors="replace")
        if kind == UNSURE:
            return
        if kind == WORD:
            yield text, text.upper()
        elif kind == NAME:
            yield text[1:-1].replace("``", "`"), ""
        elif kind == OTHER:
            yield "", text
