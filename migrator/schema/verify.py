"""I prove a plan: on a scratch server I apply it, read everything back and compare."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace

from migrator.schema.clone import create_code, create_database, drop_database, load_code, load_tables
from migrator.schema.diff import diff, unified_diff
from migrator.schema.errors import CloneFailed, NotCanonical, ProofFailed
from migrator.schema.introspect import open_reader, read_code, read_tables
from migrator.schema.known import Known
from migrator.schema.lint.facts import ServerWarning
from migrator.schema.model import Code, CodeKind, Schema, Table
from migrator.schema.plan import Plan, referenced
from migrator.schema.reconcile import reconciled
from migrator.schema.renamed import inverse
from migrator.schema.render import canonical_text
from migrator.schema.views import view_texts
from router.database import Connection, quote_name
from router.errors import ConnectionLost, DatabaseError
from router.model import Server

# Proofs by `_key`; tables as a release prints them, by that release and the table's digest.
_PROVED: Known[str, Proof] = Known(256)
_PRINTED: Known[tuple[str, str], Table] = Known(20_000)

PREFIX = "_headgate_proof_"
_LEFTOVERS = "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME LIKE %s"


@contextlib.asynccontextmanager
async def proving_ground(server: Server, start: Schema) -> AsyncIterator[ProvingGround]:
    """Give a database on a scratch server that holds the tables of `start`, and drop it in any case."""
    name = PREFIX + secrets.token_hex(6)
    async with await open_reader(server) as connection:
        try:
            try:
                await create_database(connection, name, start.collation)
                await load_tables(connection, start)
            except (CloneFailed, DatabaseError) as error:
                raise ProofFailed(
                    "", str(error), f"the scratch server cannot hold this schema: {error}"
                ) from error
            yield ProvingGround(connection, name, start)
        finally:
            await drop_database(connection, name)


async def drop_leftovers(server: Server) -> None:
    """Drop what proofs left behind whose process was killed; call it when no proof runs on that server."""
    async with await Connection.open(server) as connection:
        for (name,) in await connection.fetch_all(_LEFTOVERS, PREFIX.replace("_", r"\_") + "%"):
            await connection.execute(f"DROP DATABASE IF EXISTS {quote_name(name)}")


class ProvingGround:
    """One scratch database on which plans are tried."""

    def __init__(self, connection: Connection, name: str, start: Schema) -> None:
        self._connection = connection
        self._name = name
        self._start = start
        self.warnings: list[ServerWarning] = []

    async def read(self) -> Schema:
        """Return the tables as they are now; raises ProofFailed when one cannot be printed back."""
        try:
            tables = await read_tables(self._connection, self._name)
        except NotCanonical as error:
            raise ProofFailed("", "", f"the result cannot be deployed: {error}") from error
        return replace(self._start, tables=tables, opaque={}, code=())

    async def apply(self, plan: Plan) -> Schema:
        """Run a plan and return the tables as they are then; raises ProofFailed at a refused statement."""
        for operation in plan.operations:
            for statement in operation.statements:
                try:
                    await self._connection.execute(statement)
                    await self._note_warnings(operation.table)
                except ConnectionLost:
                    raise
                except DatabaseError as error:
                    raise ProofFailed(
                        statement,
                        str(error),
                        f"the scratch server refuses the change of table {operation.table!r}: {error}",
                        "Look at the statement; undo or change this part on the branch.",
                        table=operation.table,
                    ) from error
        return await self.read()

    async def refusal(self, statement: str) -> DatabaseError | None:
        """Say why the server does not prepare a statement, which is not run; None when it does."""
        try:
            await self._connection.execute("PREPARE headgate_tried FROM %s", statement)
        except ConnectionLost:
            raise
        except DatabaseError as error:
            return error
        return None

    async def _note_warnings(self, table: str) -> None:
        for level, number, message in await self._connection.fetch_all("SHOW WARNINGS"):
            if level in (b"Warning", "Warning"):
                said = message.decode("utf-8", "replace") if isinstance(message, bytes) else str(message)
                self.warnings.append(ServerWarning(table, int(number), said))

    async def load_code(self, code: Sequence[Code]) -> dict[str, str]:
        """Create views and functions, and return the views that do not work here, with the server's words."""
        return await load_code(self._connection, code)

    async def make(self, code: Code) -> Code:
        """Create a trigger, routine or event and return it as the server prints it; raises DatabaseError."""
        await create_code(self._connection, code)
        return await read_code(self._connection, self._name, code.kind, code.name, code.table)

    async def apply_and_compare(self, plan: Plan, expected: Mapping[str, Table]) -> tuple[Schema, list[str]]:
        """Run a plan, require that the tables are the expected ones then, and return them.

        With them come sentences about indexes in which the server had its own way, harmlessly.
        """
        result = await self.apply(plan)
        notes: list[str] = []
        for name in sorted({*expected, *result.tables}):
            found, wanted = result.tables.get(name), expected.get(name)
            benign = reconciled(found, wanted) if found is not None and wanted is not None else None
            if benign is None:
                raise self._not_as_expected(plan, name, result, expected)
            notes += benign
        return result, notes

    def _not_as_expected(
        self, plan: Plan, table: str, result: Schema, expected: Mapping[str, Table]
    ) -> ProofFailed:
        lines = unified_diff(_only(result, expected, table), _only(result, result.tables, table)).get(table)
        return ProofFailed(
            plan.statements[-1] if plan.statements else "",
            "",
            f"the plan ran, but then {table!r} is not as it should be:\n"
            f"{lines or '(only collations in force differ)'}",
            "This is a change we cannot make exactly; make it in other steps on the branch.",
            table=table,
        )


def _only(schema: Schema, tables: Mapping[str, Table], name: str) -> Schema:
    return replace(schema, tables={name: tables[name]} if name in tables else {}, opaque={}, code=())


async def as_printed_by(server: Server, schema: Schema) -> Schema:
    """Return the schema with its tables as this server prints them.

    Releases print one table in different words; schemas read from servers of different releases can only be
    compared after one server has printed them all.
    """
    if _release(schema.version) == _release(server.version):
        return schema
    keys = {name: (_release(server.version), _digest(table)) for name, table in schema.tables.items()}
    missing = [name for name, key in keys.items() if _PRINTED.get(key) is None]
    if missing:
        async with proving_ground(server, part_of(schema, missing)) as ground:
            for name, table in (await ground.read()).tables.items():
                _PRINTED.put(keys[name], table)
    found = {name: _PRINTED.get(key) for name, key in keys.items()}
    tables = {name: table for name, table in found.items() if table is not None}
    return replace(schema, version=server.version, tables=tables)


def _release(version: str) -> str:
    return version.split("-")[0]


def surroundings(schemas: Iterable[Schema], names: Iterable[str]) -> set[str]:
    """Return the tables whose presence matters to a change of `names`.

    Those are the tables themselves, all that foreign keys tie to them in either direction, and all that hold
    a constraint of a name that one of them has: such names are one per database on MySQL.
    """
    schemas, changed = list(schemas), set(names)
    tables = [schema.tables[name] for schema in schemas for name in changed & schema.tables.keys()]
    constraints = {name for table in tables for name in _named(table)}
    chosen = changed.union(*(referenced(table) for table in tables))
    for schema in schemas:
        for name, table in schema.tables.items():
            if referenced(table) & changed or not constraints.isdisjoint(_named(table)):
                chosen.add(name)
    return chosen


def part_of(schema: Schema, names: Iterable[str]) -> Schema:
    """Return the schema with only these tables, and without all else."""
    wanted = set(names)
    tables = {name: table for name, table in schema.tables.items() if name in wanted}
    sequences = {name: table for name, table in schema.opaque.items() if table.sequence}
    return replace(schema, tables=tables, opaque=sequences, code=())


def _named(table: Table) -> set[str]:
    return {key.name for key in table.foreign_keys} | {check.name for check in table.checks}


async def broken_views(
    scratch: Connection, before: Schema, after: Schema, touched: Set[str]
) -> dict[str, str]:
    """Return the views that work now, or are new, and would not work after the change, with the reasons."""
    was, becomes = view_texts(before), view_texts(after)
    changed = {name for name in {*was, *becomes} if was.get(name) != becomes.get(name)}
    views: set[str] = set()
    while found := {
        name for name in becomes.keys() - views if _mentions(becomes[name], touched | views | changed)
    }:
        views |= found
    if changed:
        views = {*was, *becomes}  # a changed view may be made of any other
    if not views:
        return {}
    text = "".join(was.get(name, "") + becomes.get(name, "") for name in views)
    tables = {name for schema in (before, after) for name in schema.tables if _mentions(text, {name})}
    refused = []
    for schema in (before, after):
        code = [item for item in schema.code if item.kind is CodeKind.FUNCTION or item.name in views]
        async with proving_ground(scratch.server, part_of(schema, tables)) as ground:
            refused.append(await ground.load_code(code))
    worked = was.keys() - refused[0].keys()
    return {name: reason for name, reason in refused[1].items() if name in worked | changed}


def _mentions(text: str, names: Iterable[str]) -> bool:
    return any(quote_name(name) in text for name in names)


@dataclass(frozen=True, slots=True)
class Proof:
    """What a proof showed: the touched tables as the scratch server prints them.

    `no_way_back` says why the statements of the way back do not lead back exactly, None when they do. `notes`
    say where the server had its own way, harmlessly; `warnings` are the server's about the way there.
    """

    tables: Mapping[str, Table]
    no_way_back: str | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[ServerWarning, ...] = ()


async def prove(scratch: Connection, production: Schema, plan: Plan, target: Schema) -> Proof:
    """Prove that `plan` makes `target` of `production`, and see whether there is a plan back.

    Only the tables the plan touches, and those tied to them, are looked at. Raises ProofFailed for the way
    there. The way back does not raise: a deploy is reverted by swapping tables, not by these statements.
    """
    names = surroundings((production, target), plan.touched)
    start, end = part_of(production, names), part_of(target, names)
    key = _key(scratch.server, start, plan, end)
    if (known := _PROVED.get(key)) is not None:
        return known
    async with proving_ground(scratch.server, start) as ground:
        result, notes = await ground.apply_and_compare(plan, end.tables)
        warnings = tuple(dict.fromkeys(ground.warnings))
        try:
            back = diff(result, replace(start, opaque={}), inverse(plan.renames))
            _, more = await ground.apply_and_compare(back, start.tables)
            notes += more
            no_way_back = None
        except ProofFailed as failure:
            no_way_back = f"undoing this by ALTER TABLE was tried and does not work: {failure}"
    tables = {name: table for name, table in result.tables.items() if name in plan.touched}
    proof = Proof(tables, no_way_back, tuple(dict.fromkeys(notes)), warnings)
    _PROVED.put(key, proof)
    return proof


def _key(server: Server, start: Schema, plan: Plan, end: Schema) -> str:
    """Return a digest of all that a proof depends on."""
    parts = [server.flavor, server.version, start.collation]
    for schema in (start, end):
        parts += [_digest(schema.tables[name]) for name in sorted(schema.tables)]
        parts += [schema.opaque[name].text for name in sorted(schema.opaque)]
        parts.append("")
    return _hash(*parts, *plan.statements)


def _digest(table: Table) -> str:
    collations = [table.collation, *(column.collation for column in table.columns)]
    return _hash(canonical_text(table), *map(str, collations))


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()
