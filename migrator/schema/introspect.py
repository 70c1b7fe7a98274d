"""I read a database's schema, on a session set so that definitions come in one form only."""

from __future__ import annotations

import contextlib
import gc
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from typing import assert_never

from migrator.schema.errors import NotCanonical, ReadFailed, SchemaMoved
from migrator.schema.model import Code, CodeKind, Column, OpaqueTable, Schema, Table
from migrator.schema.parse import has_doubtful_default, parse_create, with_collations
from migrator.schema.render import literal_bytes
from router.beside import beside
from router.database import Connection, Row, quote_name
from router.errors import ConnectionLost, DatabaseError
from router.model import Flavor, Server

# No ANSI_QUOTES, NO_BACKSLASH_ESCAPES or PIPES_AS_CONCAT: they change how definitions are printed and read.
SQL_MODE = "STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION"

_SETUP = (
    f"SET SESSION sql_mode = '{SQL_MODE}'",
    "SET SESSION sql_quote_show_create = 1",
    "SET SESSION time_zone = '+00:00'",
    "SET SESSION character_set_results = NULL",
)
_MYSQL_SETUP = (
    "SET SESSION show_create_table_verbosity = 0"
    " /*!80030 , SESSION show_gipk_in_create_table_and_information_schema = 1 */",
    "SET SESSION information_schema_stats_expiry = 0",
)

TABLES = (
    "SELECT TABLE_NAME, TABLE_TYPE, TABLE_COLLATION FROM information_schema.TABLES "
    "WHERE TABLE_SCHEMA = %s ORDER BY TABLE_NAME"
)
# Only of those that have one: most have none, and reading all takes as long as reading many tables.
COLUMNS = (
    "SELECT TABLE_NAME, COLUMN_NAME, COLLATION_NAME FROM information_schema.COLUMNS "
    "WHERE COLLATION_NAME IS NOT NULL AND TABLE_SCHEMA = %s"
)
COLLATION = "SELECT DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = %s"
TRIGGERS = (
    "SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = %s "
    "ORDER BY EVENT_OBJECT_TABLE, ACTION_TIMING, EVENT_MANIPULATION, ACTION_ORDER"
)
ROUTINES = (
    "SELECT ROUTINE_TYPE, ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = %s "
    "ORDER BY ROUTINE_TYPE, ROUTINE_NAME"
)
EVENTS = "SELECT EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA = %s ORDER BY EVENT_NAME"

# What the engine keeps beside what it changes; it is nobody's schema.
_ENGINES_OWN = re.compile(r"__hg[0-9]+_(?:new|old|guard)$")
_SUFFIX = re.compile(r"__hg[0-9]+$")
_READS = 3
# Opening a second connection takes as long as reading some tables.
SHARED_FROM = 60
# So many definitions are asked for at once: a round trip takes as long as what the server does for one.
AT_ONCE = 50
_NO_SUCH_TABLE = 1146

# In double quotes where a program was written under ANSI_QUOTES.
_QUOTED = r"""(?:`(?:[^`]|``)*`|"(?:[^"]|"")*")"""
_DEFINER = re.compile(rf"\bDEFINER=({_QUOTED}(?:@{_QUOTED})?)\s+")
_EVENT_STATUS = re.compile(r"(ON COMPLETION (?:NOT )?PRESERVE) (ENABLE|DISABLE(?: ON \w+)?)")
_COUNTER = re.compile(r" AUTO_INCREMENT=[0-9]+")


def reader_setup(flavor: Flavor) -> tuple[str, ...]:
    """Return the statements that a session must run before schemas are read on it."""
    match flavor:
        case Flavor.MYSQL:
            return _SETUP + _MYSQL_SETUP
        case Flavor.MARIADB:
            return _SETUP
        case _:
            assert_never(flavor)


READER_SETUP = reader_setup


async def open_reader(server: Server, *, database: str | None = None) -> Connection:
    """Open a connection for `read_schema`: pinned, and giving bytes where a server may print bytes."""
    return await Connection.open(server, database=database, decode=False, setup=reader_setup(server.flavor))


async def read_schema(connection: Connection, schema: str) -> Schema:
    """Read everything in one database; the connection comes from `open_reader`.

    Raises ReadFailed when a definition cannot be read, naming it. Tables that cannot be printed back are in
    `Schema.opaque`, with the reason. Tables that the engine keeps while it changes another one are left out.
    """
    with _uncollected():
        for _ in range(_READS - 1):
            try:
                return await _read_schema(connection, schema)
            except SchemaMoved:
                continue  # somebody renames or drops tables at this moment
        return await _read_schema(connection, schema)


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Keep Python from looking for garbage: all that is read stays, and looking through it grows with it."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def _read_schema(connection: Connection, schema: str) -> Schema:
    server = connection.server
    collation = await connection.fetch_value(COLLATION, schema)
    if collation is None:
        raise ReadFailed(f"there is no database {schema!r}, or {server.account.user!r} may not see it")
    await connection.execute(f"USE {quote_name(schema)}")
    tables, opaque, views = await _read_tables(connection, schema)
    code = await _read_all_code(connection, schema, views)
    return Schema(server.flavor, server.version, _text(collation), tables, opaque, tuple(code))


async def read_tables(connection: Connection, schema: str) -> dict[str, Table]:
    """Read only the tables of a database, raising NotCanonical for one that cannot be printed back."""
    await connection.execute(f"USE {quote_name(schema)}")
    tables, opaque, _ = await _read_tables(connection, schema)
    for table in opaque.values():
        if table.sequence:
            continue
        raise NotCanonical(f"table {table.name!r}: {table.reason}")
    return tables


async def read_table(connection: Connection, schema: str, name: str) -> Table:
    """Read one table, whatever it is called; raises NotCanonical when it cannot be printed back."""
    await connection.execute(f"USE {quote_name(schema)}")
    text = _text((await _show(connection, "TABLE", name))[1])
    facts = await connection.fetch_all(f"{COLUMNS} AND TABLE_NAME = %s", schema, name)
    collations = {_text(column): _text(its) for _, column, its in facts}
    default = await connection.fetch_value(
        "SELECT TABLE_COLLATION FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s",
        *(schema, name),
    )
    table, sure_of = await _with_true_defaults(connection, parse_create(text, connection.server.flavor))
    return with_collations(table, _text(default), collations, sure_of=sure_of)


async def _read_tables(
    connection: Connection, schema: str
) -> tuple[dict[str, Table], dict[str, OpaqueTable], list[str]]:
    listed, collations = await _list_tables(connection, schema)
    names = [name for name, kind, _ in listed if kind not in ("VIEW", "SEQUENCE")]
    texts = await _table_texts(connection, schema, names)
    tables: dict[str, Table] = {}
    opaque: dict[str, OpaqueTable] = {}
    views: list[str] = []
    for name, kind, collation in listed:
        if kind == "VIEW":
            views.append(name)
        elif kind == "SEQUENCE":
            row = await _show(connection, "SEQUENCE", name)
            opaque[name] = OpaqueTable(name, _text(row[1]), "it is a sequence", sequence=True)
        else:
            text = texts[name]
            try:
                table = parse_create(text, connection.server.flavor)
                table, sure_of = await _with_true_defaults(connection, table)
                tables[name] = with_collations(table, collation, collations[name], sure_of=sure_of)
            except NotCanonical as error:
                opaque[name] = OpaqueTable(name, _COUNTER.sub("", text), str(error))
    # Texts and collations come from different queries: they belong together only if nothing moved between.
    if await _list_tables(connection, schema) != (listed, collations):
        raise SchemaMoved(f"database {schema!r} changes while it is read", "Try again in a moment.")
    return tables, opaque, views


async def _table_texts(connection: Connection, schema: str, names: Sequence[str]) -> dict[str, str]:
    """Return the CREATE TABLE of each table; many are asked for on two connections at once."""

    async def show(link: Connection, some: Sequence[str]) -> dict[str, str]:
        rows = await _show_all(link, [("TABLE", name) for name in some])
        return {name: _text(row[1]) for name, row in zip(some, rows, strict=True)}

    if len(names) < SHARED_FROM:
        return await show(connection, names)
    async with (
        await open_reader(connection.server, database=schema) as other,
        beside(show(other, names[1::2])) as rest,
    ):
        return await show(connection, names[::2]) | await rest


async def _with_true_defaults(connection: Connection, table: Table) -> tuple[Table, list[str]]:
    """Ask MariaDB for defaults that it may have printed with question marks; return the columns asked for.

    A default that is not what was printed becomes a hexadecimal literal. The join makes a row even of an
    empty table.
    """
    doubtful = [column for column in table.columns if has_doubtful_default(column)]
    if table.flavor is not Flavor.MARIADB or not doubtful:
        return table, []
    expressions = ", ".join(
        f"HEX(DEFAULT({quote_name(column.name)})), "
        f"HEX(CONVERT(DEFAULT({quote_name(column.name)}) USING utf8mb4))"
        for column in doubtful
    )
    try:
        row = await connection.fetch_one(
            f"SELECT {expressions} FROM (SELECT 1) one LEFT JOIN {quote_name(table.name)} ON FALSE"
        )
    except ConnectionLost:
        raise
    except DatabaseError as error:
        raise SchemaMoved(f"cannot read the defaults of table {table.name!r}: {error}") from error
    assert row is not None
    true: dict[str, Column] = {}
    for column, own, utf8 in zip(doubtful, row[::2], row[1::2], strict=True):
        if bytes.fromhex(_text(utf8)) != literal_bytes(column.default or ""):
            true[column.name] = replace(column, default="0x" + _text(own))
    columns = tuple(true.get(column.name, column) for column in table.columns)
    return replace(table, columns=columns), [column.name for column in doubtful]


async def _list_tables(
    connection: Connection, schema: str
) -> tuple[list[tuple[str, str, str]], dict[str, dict[str, str]]]:
    """Return name, kind and default collation of each table, and the collations of each table's columns."""
    listed = [
        (_text(name), _text(kind), _text(collation))
        for name, kind, collation in await connection.fetch_all(TABLES, schema)
        if not _ENGINES_OWN.search(_text(name))
    ]
    collations: dict[str, dict[str, str]] = {name: {} for name, _, _ in listed}
    for table, column, collation in await connection.fetch_all(COLUMNS, schema):
        if _text(table) in collations:
            collations[_text(table)][_text(column)] = _text(collation)
    return listed, collations


async def _read_all_code(connection: Connection, schema: str, views: Sequence[str]) -> list[Code]:
    listed = [
        *[(CodeKind.VIEW, name, "") for name in views],
        *[
            (CodeKind(_text(kind)), _text(name), "")
            for kind, name in await connection.fetch_all(ROUTINES, schema)
        ],
        *[
            (CodeKind.TRIGGER, _text(name), _text(table))
            for name, table in await connection.fetch_all(TRIGGERS, schema)
        ],
        *[(CodeKind.EVENT, _text(name), "") for (name,) in await connection.fetch_all(EVENTS, schema)],
    ]
    ours = [each for each in listed if not _ENGINES_OWN.search(each[1]) and not _ENGINES_OWN.search(each[2])]
    code = []
    async with _as_utf8(connection):
        rows = await _show_all(connection, [(kind, name) for kind, name, _ in ours])
    for (kind, name, table), row in zip(ours, rows, strict=True):
        read = _code(connection, schema, kind, name, table, row)
        code.append(_under_its_own_name(read) if table else read)
    return code


async def read_code(
    connection: Connection, database: str, kind: CodeKind, name: str, table: str = ""
) -> Code:
    """Read one view, trigger, routine or event of the connection's default database; raises ReadFailed."""
    async with _as_utf8(connection):
        row = await _show(connection, kind, name)
    return _code(connection, database, kind, name, table, row)


@contextlib.asynccontextmanager
async def _as_utf8(connection: Connection) -> AsyncIterator[None]:
    """Have texts in UTF-8: they come in the character set that their author used otherwise."""
    await connection.execute("SET SESSION character_set_results = utf8mb4")
    try:
        yield
    finally:
        if not connection.closed:
            await connection.execute("SET SESSION character_set_results = NULL")


def _code(connection: Connection, database: str, kind: CodeKind, name: str, table: str, row: Row) -> Code:
    # Where each answer keeps sql_mode, text and collation_connection.
    places = {CodeKind.VIEW: (None, 1, 3), CodeKind.EVENT: (1, 3, 5)}
    mode_at, text_at, collation_at = places.get(kind, (1, 2, 4))
    sql_mode = "" if mode_at is None else _text(row[mode_at])
    text, collation = row[text_at], row[collation_at]
    if text is None:
        raise ReadFailed(
            f"the definition of {kind.lower()} {name!r} is hidden from {connection.server.account.user!r}",
            "Grant that account SHOW_ROUTINE (MySQL) or SELECT on mysql.proc (MariaDB), and SHOW VIEW.",
        )
    definer, bare = split_definer(_text(text))
    if kind is CodeKind.VIEW:
        bare = _without_database(bare, database)
    if kind is CodeKind.EVENT:
        # Clones never run events: whether one is switched on does not belong to the schema.
        running = _EVENT_STATUS.search(bare)
        enabled = running is None or running[2] == "ENABLE"
        bare = _EVENT_STATUS.sub(r"\1 DISABLE", bare, count=1)
        return Code(
            *(kind, name, bare, sql_mode, definer, _text(collation)), time_zone=_text(row[2]), enabled=enabled
        )
    return Code(kind, name, bare, sql_mode, definer, _text(collation), table)


def _under_its_own_name(trigger: Code) -> Code:
    """Return a trigger without the suffix that the engine lets it have while a deployment can be reverted."""
    own = _SUFFIX.sub("", trigger.name)
    if own == trigger.name:
        return trigger
    text = trigger.text.replace(quote_name(trigger.name), quote_name(own), 1)
    return replace(trigger, name=own, text=text)


def split_definer(text: str) -> tuple[str, str]:
    """Return the definer of a CREATE statement as written ('' when there is none), and the text without."""
    match = _DEFINER.search(text)
    if match is None:
        return "", text
    return match[1], text[: match.start()] + text[match.end() :]


def _without_database(text: str, database: str) -> str:
    """Return a view's text without its own database before `table`.`column`.

    MariaDB prints it once a view has become invalid, which would look like a change of the view.
    """
    own = re.escape(quote_name(database))
    part = r"`(?:[^`]|``)*`"
    pattern = rf"('(?:[^'\\]|\\.|'')*')|{own}\.(?={part}\.{part})"
    return re.sub(pattern, lambda match: match[1] or "", text, flags=re.DOTALL)


async def _show_all(connection: Connection, wanted: Sequence[tuple[str, str]]) -> list[Row]:
    """Return what the server shows of each of these, by kind and name; many are asked for at once."""
    rows: list[Row] = []
    for start in range(0, len(wanted), AT_ONCE):
        some = wanted[start : start + AT_ONCE]
        try:
            answers = await connection.fetch_each([_show_create(kind, name) for kind, name in some])
        except ConnectionLost:
            raise
        except DatabaseError:
            answers = []  # one is refused: asked for alone, it says which
        if all(answers) and len(answers) == len(some):
            rows += [answer[0] for answer in answers]
        else:
            rows += [await _show(connection, kind, name) for kind, name in some]
    return rows


def _show_create(kind: str, name: str) -> str:
    return f"SHOW CREATE {kind} {quote_name(name)}"


async def _show(connection: Connection, kind: str, name: str) -> Row:
    try:
        row = await connection.fetch_one(_show_create(kind, name))
    except ConnectionLost:
        raise
    except DatabaseError as error:
        failure = SchemaMoved if error.errno == _NO_SUCH_TABLE else ReadFailed
        raise failure(f"cannot read the definition of {kind.lower()} {name!r}: {error}") from error
    if row is None:
        raise ReadFailed(f"cannot read the definition of {kind.lower()} {name!r}: the server gives no row")
    return row


def _text(value: object) -> str:
    """Bytes as text: what is no UTF-8 survives as surrogates, and goes back as the same bytes."""
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)
