"""I read the corpus: table definitions, and cases of two people changing one schema."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from migrator.schema.introspect import open_reader
from router.database import Connection, quote_name
from router.errors import DatabaseError
from router.model import Flavor, Server

CORPUS = Path(__file__).parents[2] / "corpus" / "schema"
SECTIONS = ("base", "branch", "production")


def table_statements(flavor: Flavor) -> list[str]:
    """Return the CREATE TABLE statements for one flavour."""
    files = [CORPUS / "tables" / f"{name}.sql" for name in ("common", flavor.value)]
    return [statement for file in files for statement in split(file.read_text())]


def split(text: str) -> list[str]:
    """Split a file into its statements: each ends with a semicolon at the end of a line."""
    return [statement.strip() for statement in (text + "\n").split(";\n") if statement.strip()]


@dataclass
class Case:
    """What base, branch and production did, and what should come of it."""

    name: str
    statements: dict[str, list[str]] = field(default_factory=dict)
    expected: dict[str, str] = field(default_factory=dict)
    reason: str = ""
    plan: str = ""
    note: str = ""
    strict: str = ""
    only: str = ""

    def expect(self, flavor: Flavor) -> str:
        """Return 'ok', 'nothing' or 'conflict'; 'proved' or 'nothing' for a change."""
        return self.expected.get(flavor.value) or self.expected["any"]


def conflict_cases() -> list[Case]:
    """Read all cases of the corpus."""
    return [_read_case(file) for file in sorted((CORPUS / "conflicts").glob("*.sql"))]


def change_cases() -> list[Case]:
    """Read the changes that are to be proved: a base and what a branch does to it."""
    return [_read_case(file) for file in sorted((CORPUS / "changes").glob("*.sql"))]


def _read_case(file: Path) -> Case:
    case = Case(file.stem)
    section = ""
    texts: dict[str, str] = dict.fromkeys(SECTIONS, "")
    for line in file.read_text().splitlines():
        word, _, rest = line.removeprefix("-- ").partition(" ")
        if not line.startswith("-- "):
            texts[section] += line + "\n"
        elif word in SECTIONS:
            section = word
        elif word == "expect":
            *flavor, verdict = rest.split()
            case.expected[flavor[0] if flavor else "any"] = verdict
        else:
            setattr(case, word, rest)
    case.statements = {name: split(text) for name, text in texts.items()}
    return case


async def load(server: Server, database: str, statements: list[str]) -> Connection:
    """Run statements in a database on a reader session, leniently, and return the open connection."""
    connection = await open_reader(server, database=database)
    await connection.execute("SET SESSION sql_mode = 'NO_ENGINE_SUBSTITUTION'")
    await connection.execute("SET SESSION foreign_key_checks = 0")
    for statement in statements:
        try:
            await connection.execute(statement)
        except DatabaseError as error:
            raise AssertionError(f"{statement}\n{error}") from error
    return connection


async def make_database(server: Server, name: str, statements: list[str]) -> None:
    """Create a database and run statements in it."""
    async with await open_reader(server) as connection:
        await connection.execute(f"DROP DATABASE IF EXISTS {quote_name(name)}")
        await connection.execute(f"CREATE DATABASE {quote_name(name)}")
        await connection.execute(f"USE {quote_name(name)}")
        for statement in statements:
            await connection.execute(statement)


async def drop_databases(server: Server, *names: str) -> None:
    """Drop databases that may exist."""
    async with await open_reader(server) as connection:
        await connection.execute("SET SESSION foreign_key_checks = 0")
        for name in names:
            await connection.execute(f"DROP DATABASE IF EXISTS {quote_name(name)}")
