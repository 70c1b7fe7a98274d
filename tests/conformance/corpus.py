"""I read the cases of tests/corpus/migrate: a table, a change of it, and what is written meanwhile.

A case is a folder. `create.sql` says in its first line what it is about and makes the tables and rows,
`alter.sql` changes table `t`, `traffic.sql` is what clients write meanwhile, `expect_refusal` is a text that
the refusal must contain. `servers` names the one server a case is for and says why; `fails_because` says why
a case is known to fail.

Statements end with a semicolon at the end of a line. A comment before them can say more:

* `-- rows 500`: the INSERT below makes 500 rows, one for each number in place of `{n}`;
* `-- renames old new`: in alter.sql, a column that keeps its values under another name;
* `-- ignores column`: in alter.sql, what no other run could repeat, such as DEFAULT (UUID());
* `-- forgets column`: in alter.sql, a dropped column that traffic would have changed by itself;
* `-- needs FULL`: in alter.sql, the row image without which the change is refused;
* `-- session SET …`: in any file, a setting of the sessions that run it;
* `-- allows 1364`: in traffic.sql, an error that clients may see of one of the two definitions;
* `-- alone`: in traffic.sql, what clients do would end every other change on the server, too;
* `-- xa`: in traffic.sql, the transaction below is an XA transaction.

In traffic.sql an empty line ends a transaction. traffic.py says what may stand in braces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from router.model import Flavor

CORPUS = Path(__file__).parents[1] / "corpus" / "migrate"


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement, and how many rows it makes when it is an INSERT of numbered rows."""

    sql: str
    rows: int = 0


@dataclass(frozen=True, slots=True)
class Transaction:
    """What one client does at once."""

    statements: tuple[str, ...]
    xa: bool = False


@dataclass(frozen=True, slots=True)
class Script:
    """A file of statements with what its comments say."""

    statements: tuple[Statement, ...] = ()
    said: tuple[tuple[str, str], ...] = ()

    def all(self, word: str) -> list[str]:
        """Return everything that comments with this first word say."""
        return [rest for each, rest in self.said if each == word]


@dataclass(frozen=True, slots=True)
class Case:
    """One folder."""

    name: str
    about: str
    create: Script
    alter: Script
    traffic: Script
    transactions: tuple[Transaction, ...]
    refusal: str | None
    only: Flavor | None
    fails_because: str | None

    @property
    def renames(self) -> dict[str, str]:
        """Old column name → new."""
        return dict(each.split(maxsplit=1) for each in self.alter.all("renames"))

    @property
    def ignored(self) -> frozenset[str]:
        """Columns of the new definition that are not compared."""
        return frozenset(self.alter.all("ignores"))

    @property
    def forgotten(self) -> frozenset[str]:
        """Columns of the old definition that are not compared after the revert."""
        return frozenset(self.alter.all("forgets"))

    @property
    def allowed_errors(self) -> frozenset[int]:
        """Errors that clients may see."""
        return frozenset(int(each) for line in self.traffic.all("allows") for each in line.split())

    @property
    def alone(self) -> bool:
        """Whether no other case may run at the same time."""
        return bool(self.traffic.all("alone"))

    def expected_refusal(self, row_image: str) -> str | None:
        """Return a part of the refusal, when the case must be refused."""
        if row_image not in (self.alter.all("needs") or [row_image]):
            return "binlog_row_image"
        return self.refusal

    @property
    def settings(self) -> list[str]:
        """Statements with which every session of the case begins."""
        scripts = (self.create, self.alter, self.traffic)
        return [each.rstrip(";") for script in scripts for each in script.all("session")]

    def runs_on(self, flavor: Flavor) -> bool:
        """Whether the case is for this server."""
        return self.only in (None, flavor)


def cases(names: Sequence[str] = ()) -> list[Case]:
    """Read all cases, or those named."""
    folders = [CORPUS / name for name in names] or sorted(each for each in CORPUS.iterdir() if each.is_dir())
    return [_read(folder) for folder in folders]


def _read(folder: Path) -> Case:
    about, _, create = (folder / "create.sql").read_text().partition("\n")
    traffic = _optional(folder / "traffic.sql") or ""
    servers = _optional(folder / "servers")
    return Case(
        name=folder.name,
        about=about.removeprefix("-- "),
        create=script(create),
        alter=script((folder / "alter.sql").read_text()),
        traffic=script(traffic),
        transactions=transactions(traffic),
        refusal=_optional(folder / "expect_refusal"),
        only=Flavor(servers.split(":")[0]) if servers else None,
        fails_because=_optional(folder / "fails_because"),
    )


def _optional(file: Path) -> str | None:
    return file.read_text().strip() if file.exists() else None


def script(text: str) -> Script:
    """Split a file into statements and what its comments say."""
    statements: list[Statement] = []
    said: list[tuple[str, str]] = []
    lines: list[str] = []
    rows = 0
    for line in text.splitlines():
        if line.startswith("-- ") and not lines:
            word, _, rest = line.removeprefix("-- ").partition(" ")
            said.append((word, rest.strip()))
            rows = int(rest) if word == "rows" else rows
        elif line.strip():
            lines.append(line)
            if line.endswith(";"):
                statements.append(Statement("\n".join(lines)[:-1], rows))
                lines, rows = [], 0
    assert not lines, f"a statement without an end: {lines}"
    return Script(tuple(statements), tuple(said))


def transactions(text: str) -> tuple[Transaction, ...]:
    """Split a traffic file into transactions."""
    found = []
    for block in text.split("\n\n"):
        part = script(block + "\n")
        if part.statements:
            texts = tuple(each.sql for each in part.statements)
            found.append(Transaction(texts, xa=any(word == "xa" for word, _ in part.said)))
    return tuple(found)
