"""I turn SHOW CREATE TABLE into the model, and refuse what I cannot print back identically.

The grammar is what the servers print (checked on MySQL 9.7 and MariaDB 10.11), not what they accept. A word
that is not known here ends the reading: nothing is ever skipped.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from migrator.schema.errors import NotCanonical
from migrator.schema.lexer import Kind, Token, tokenize
from migrator.schema.model import (
    OPTION_RESET,
    Check,
    Column,
    ColumnType,
    ForeignKey,
    Generated,
    Index,
    IndexKind,
    IndexPart,
    Option,
    Partitioning,
    Table,
)
from migrator.schema.render import canonical_text
from router.model import Flavor

INDEX_STARTS = {
    "PRIMARY": IndexKind.PRIMARY,
    "UNIQUE": IndexKind.UNIQUE,
    "KEY": IndexKind.PLAIN,
    "FULLTEXT": IndexKind.FULLTEXT,
    "SPATIAL": IndexKind.SPATIAL,
}

# So many tables are not read anew when their text comes again: base, branch and production have most of their
# tables in common.
TABLES_KEPT = 20_000

# Character sets with characters beyond the BMP.
_WIDE = ("utf8mb4", "utf16", "utf32", "gb18030")


@lru_cache(maxsize=TABLES_KEPT)
def parse_create(text: str, flavor: Flavor) -> Table:
    """Read one canonical CREATE TABLE.

    Raises NotCanonical when something is unknown or the model does not print back as exactly this text; the
    message names the first place that differs.
    """
    table = _Reader(text, flavor).table()
    printed = canonical_text(table)
    if printed != text:
        raise NotCanonical(_first_difference(text, printed))
    return table


def with_collations(
    table: Table, default: str, columns: Mapping[str, str | None], *, sure_of: Collection[str] = ()
) -> Table:
    """Return the table with the collations in force; `columns` maps column names as the server gives them.

    Raises NotCanonical for a column whose text the server may have garbled; that depends on its collation.
    Columns in `sure_of` are known to be well.
    """
    known = tuple(
        column if columns.get(column.name) is None else replace(column, collation=columns[column.name])
        for column in table.columns
    )
    for column in known:
        text = _garbled(table.flavor, column)
        if text is not None and column.name not in sure_of:
            raise NotCanonical(
                f"column {column.name!r}: {text} may not be what it says, because servers print characters "
                "beyond the BMP, such as emoji, as '?' there"
            )
    return replace(table, collation=default, columns=known)


def _garbled(flavor: Flavor, column: Column) -> str | None:
    """Return the part of a column's text that may have been something else than the question mark it shows.

    Both servers convert members of ENUM and SET to three-byte UTF-8 for printing, MariaDB also literal
    defaults (MySQL prints those in hexadecimal, and both print expressions well).
    """
    if not (column.collation or "").startswith(_WIDE):
        return None
    if column.type.base in ("enum", "set") and "?" in (column.type.arguments or ""):
        return str(column.type)
    return f"DEFAULT {column.default}" if flavor is Flavor.MARIADB and has_doubtful_default(column) else None


def has_doubtful_default(column: Column) -> bool:
    """Whether a question mark in a literal default may stand for something else, on MariaDB."""
    return column.default is not None and column.default.startswith("'") and "?" in column.default


def _first_difference(text: str, printed: str) -> str:
    at = next(
        (n for n, (a, b) in enumerate(zip(text, printed, strict=False)) if a != b),
        min(len(text), len(printed)),
    )
    start = max(0, text.rfind("\n", 0, at) + 1)
    return f"{text[start : at + 24].strip()!r} would be printed back as {printed[start : at + 24].strip()!r}"


class _Reader:
    """A cursor over the tokens, with one method per construct."""

    def __init__(self, text: str, flavor: Flavor) -> None:
        self.text = text
        self.flavor = flavor
        self.tokens = tokenize(text)
        self.position = 0

    # The cursor.

    def peek(self) -> Token:
        return self.tokens[self.position]

    def sees_mark(self, characters: str) -> bool:
        token = self.peek()
        return token.kind is Kind.PUNCTUATION and token.text in characters

    def take(self) -> Token:
        token = self.peek()
        if token.kind is Kind.END:
            raise NotCanonical("the definition ends too early")
        self.position += 1
        return token

    def refuse(self, token: Token, where: str) -> NotCanonical:
        shown = self.text[token.start : token.start + 40].split("\n")[0]
        return NotCanonical(f"{shown!r} is not known {where}")

    def word(self, *words: str) -> bool:
        """Take these words if they come next, all of them or none."""
        first = self.tokens[self.position]
        if first.value != words[0] or first.kind is not Kind.WORD:
            return False
        if len(words) == 1:
            self.position += 1
            return True
        ahead = self.tokens[self.position : self.position + len(words)]
        if len(ahead) == len(words) and all(
            token.kind is Kind.WORD and token.value == word for token, word in zip(ahead, words, strict=True)
        ):
            self.position += len(words)
            return True
        return False

    def mark(self, character: str) -> bool:
        if self.sees_mark(character):
            self.position += 1
            return True
        return False

    def need_word(self, *words: str) -> None:
        if not self.word(*words):
            raise self.refuse(self.peek(), f"where {' '.join(words)} should be")

    def need_mark(self, character: str) -> None:
        if not self.mark(character):
            raise self.refuse(self.peek(), f"where {character!r} should be")

    def need(self, kind: Kind) -> Token:
        if self.peek().kind is not kind:
            raise self.refuse(self.peek(), f"where a {kind.value} should be")
        return self.take()

    def name(self) -> str:
        return self.need(Kind.NAME).value

    def string(self) -> str:
        return self.need(Kind.STRING).text

    def number(self) -> int:
        token = self.need(Kind.WORD)
        if not token.text.isdigit():
            raise self.refuse(token, "where a number should be")
        return int(token.text)

    def group(self) -> str:
        """Take a balanced pair of parentheses and return the text between them."""
        self.need_mark("(")
        start = self.tokens[self.position - 1].end
        depth = 1
        while depth:
            token = self.take()
            if token.kind is Kind.PUNCTUATION:
                depth += (token.text == "(") - (token.text == ")")
        return self.text[start : self.tokens[self.position - 1].start]

    def close_version(self) -> None:
        self.need(Kind.CLOSE_VERSION)

    # The constructs.

    def table(self) -> Table:
        self.need_word("CREATE", "TABLE")
        name = self.name()
        self.need_mark("(")
        columns: list[Column] = []
        indexes: list[Index] = []
        foreign_keys: list[ForeignKey] = []
        checks: list[Check] = []
        while True:
            if self.peek().kind is Kind.NAME:
                columns.append(self.column())
            elif self.peek().kind is Kind.WORD and self.peek().value in INDEX_STARTS:
                indexes.append(self.index())
            elif self.word("CONSTRAINT"):
                constraint = self.name()
                if self.word("FOREIGN", "KEY"):
                    foreign_keys.append(self.foreign_key(constraint))
                else:
                    checks.append(self.check(constraint))
            else:
                raise self.refuse(self.peek(), "as a part of a table")
            if not self.mark(","):
                break
        self.need_mark(")")
        options = self.options()
        partitioning = self.partitioning()
        if self.peek().kind is not Kind.END:
            raise self.refuse(self.peek(), "after a table's options")
        return Table(
            self.flavor,
            name,
            tuple(columns),
            tuple(indexes),
            tuple(foreign_keys),
            tuple(checks),
            options,
            partitioning,
        )

    def type(self) -> ColumnType:
        base = self.need(Kind.WORD).text
        if base == "double" and self.word("PRECISION"):
            base = "double precision"
        arguments = None
        if self.sees_mark("("):
            arguments = self.group()
        unsigned = self.word("UNSIGNED")
        zerofill = self.word("ZEROFILL")
        return ColumnType(base, arguments, unsigned, zerofill)

    def column(self) -> Column:
        name, type_ = self.name(), self.type()
        found: dict[str, Any] = {}
        while not self.sees_mark(",)"):
            attribute, value = self.attribute(name)
            found[attribute] = value
        return Column(name, type_, **found)

    def attribute(self, column: str) -> tuple[str, Any]:
        """Take one attribute of a column and return its name in the model, and its value."""
        if self.peek().kind is Kind.OPEN_VERSION:
            return self.versioned_attribute(column)
        if self.word("CHARACTER", "SET"):
            return "character_set", self.need(Kind.WORD).text
        if self.word("COLLATE"):
            return "collate", self.need(Kind.WORD).text
        if self.word("NOT", "NULL"):
            return "nullable", False
        if self.word("NULL"):
            return "null_printed", True
        if self.word("GENERATED", "ALWAYS", "AS"):
            expression = self.group()
            token = self.take()
            if token.value not in ("VIRTUAL", "STORED", "PERSISTENT"):
                raise self.refuse(token, "as the storage of a generated column")
            return "generated", Generated(expression, token.value)
        if self.word("DEFAULT"):
            return "default", self.value()
        if self.word("ON", "UPDATE"):
            return "on_update", self.value()
        if self.word("AUTO_INCREMENT"):
            return "auto_increment", True
        if self.word("INVISIBLE"):
            return "invisible", True
        if self.word("COMMENT"):
            return "comment", self.string()
        if self.word("REF_SYSTEM_ID"):
            self.need_mark("=")
            return "srid", self.number()
        if self.word("CHECK"):
            return "check", self.group()
        raise self.refuse(self.peek(), f"as an attribute of column {column!r}")

    def versioned_attribute(self, column: str) -> tuple[str, Any]:
        opening = self.take()
        found: tuple[str, Any]
        if self.word("INVISIBLE"):
            found = "invisible", True
        elif self.word("SRID"):
            found = "srid", self.number()
        elif self.word("STORAGE"):
            found = "storage", self.need(Kind.WORD).text
        elif self.word("COLUMN_FORMAT"):
            found = "column_format", self.need(Kind.WORD).text
        elif self.word("ENGINE_ATTRIBUTE"):
            self.mark("=")
            found = "engine_attribute", self.string()
        elif self.word("COMPRESSED"):
            found = "compressed", True
        else:
            raise self.refuse(opening, f"as an attribute of column {column!r}")
        self.close_version()
        return found

    def value(self) -> str:
        """Take a default or ON UPDATE value, return its text: a literal, a call, anything in parentheses."""
        start = self.peek().start
        if not self.mark("-"):
            self.mark("+")
        if self.sees_mark("("):
            self.group()
        elif self.peek().kind is Kind.STRING:
            self.take()
        else:
            first = self.need(Kind.WORD)
            if self.peek().kind is Kind.STRING and self.peek().start == first.end:
                self.take()  # b'1', x'ff', _utf8mb4'…'
            elif self.sees_mark("(") and self.peek().start == first.end:
                self.group()
        return self.text[start : self.tokens[self.position - 1].end]

    def index(self) -> Index:
        kind = INDEX_STARTS[self.take().value]
        if kind is not IndexKind.PLAIN:
            self.need_word("KEY")
        name = "" if kind is IndexKind.PRIMARY else self.name()
        self.need_mark("(")
        parts = [self.index_part()]
        while self.mark(","):
            parts.append(self.index_part())
        self.need_mark(")")
        index = Index(kind, name, tuple(parts))
        while not self.sees_mark(",)"):
            index = self.index_attribute(index)
        return index

    def index_part(self) -> IndexPart:
        if self.peek().kind is Kind.NAME:
            column, prefix = self.name(), None
            if self.mark("("):
                prefix = self.number()
                self.need_mark(")")
            part = IndexPart(column=column, prefix=prefix)
        else:
            part = IndexPart(expression=self.group())
        return replace(part, descending=self.word("DESC"))

    def index_attribute(self, index: Index) -> Index:
        if self.word("USING"):
            return replace(index, using=self.need(Kind.WORD).text)
        if self.word("KEY_BLOCK_SIZE"):
            self.need_mark("=")
            return replace(index, key_block_size=self.number())
        if self.word("COMMENT"):
            return replace(index, comment=self.string())
        if self.word("IGNORED"):
            return replace(index, visible=False)
        opening = self.need(Kind.OPEN_VERSION)
        if self.word("INVISIBLE"):
            index = replace(index, visible=False)
        elif self.word("WITH", "PARSER"):
            index = replace(index, parser=self.name())
        elif self.word("ENGINE_ATTRIBUTE"):
            self.mark("=")
            index = replace(index, engine_attribute=self.string())
        else:
            raise self.refuse(opening, f"as an attribute of index {index.name!r}")
        self.close_version()
        return index

    def foreign_key(self, constraint: str) -> ForeignKey:
        columns = self.names()
        self.need_word("REFERENCES")
        schema, table = None, self.name()
        if self.mark("."):
            schema, table = table, self.name()
        key = ForeignKey(constraint, columns, schema, table, self.names())
        if self.word("ON", "DELETE"):
            key = replace(key, on_delete=self.action())
        if self.word("ON", "UPDATE"):
            key = replace(key, on_update=self.action())
        return key

    def names(self) -> tuple[str, ...]:
        self.need_mark("(")
        names = [self.name()]
        while self.mark(","):
            names.append(self.name())
        self.need_mark(")")
        return tuple(names)

    def action(self) -> str:
        for words in (("CASCADE",), ("RESTRICT",), ("SET", "NULL"), ("SET", "DEFAULT"), ("NO", "ACTION")):
            if self.word(*words):
                return " ".join(words)
        raise self.refuse(self.peek(), "as the action of a foreign key")

    def check(self, constraint: str) -> Check:
        self.need_word("CHECK")
        check = Check(constraint, self.group())
        if self.peek().kind is Kind.OPEN_VERSION:
            self.take()
            self.need_word("NOT", "ENFORCED")
            self.close_version()
            check = replace(check, enforced=False)
        return check

    def options(self) -> tuple[Option, ...]:
        options: list[Option] = []
        while self.peek().kind in (Kind.WORD, Kind.NAME) and self.peek().value != "PARTITION":
            token = self.take()
            name = token.text
            if token.value in ("DEFAULT", "DATA", "INDEX"):
                name = f"{name} {self.need(Kind.WORD).text}"
            if name not in OPTION_RESET:
                raise self.refuse(token, "as a table option")
            self.need_mark("=")
            start = self.peek().start
            if self.peek().kind not in (Kind.WORD, Kind.STRING):
                raise self.refuse(self.peek(), f"as the value of {name}")
            self.take()
            options.append(Option(name, self.text[start : self.tokens[self.position - 1].end]))
        return tuple(options)

    def partitioning(self) -> Partitioning | None:
        version = None
        if self.peek().kind is Kind.OPEN_VERSION:
            version = self.take().value
        if self.peek().kind is not Kind.WORD or self.peek().value != "PARTITION":
            if version is not None:
                raise self.refuse(self.tokens[self.position - 1], "after a table's options")
            return None
        start = self.peek().start
        while self.peek().kind not in (Kind.END, Kind.CLOSE_VERSION):
            self.take()
        end = self.tokens[self.position - 1].end
        if version is not None:
            self.close_version()
        return Partitioning(self.text[start:end], version)
