"""I read a trigger, routine or event exactly as its author made it, and make it so again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from migrator.engine.ground.definers import Definers
from migrator.errors import Refused
from migrator.schema.introspect import open_reader
from migrator.schema.model import Code, CodeKind
from migrator.schema.program_text import (
    event_schedule,
    event_status,
    split_head,
    trigger_moment,
    with_definer,
    with_status,
)
from router.database import Connection, quote_name
from router.errors import ConnectionLost, DatabaseError
from router.model import Server

# Where SHOW CREATE keeps sql_mode, text, character set, collation and the schema's collation.
_PLACES = {CodeKind.EVENT: (1, 3, 4, 5, 6)}
_USUAL = (1, 2, 3, 4, 5)
# There is no trigger, routine, event, table of that name.
MISSING = frozenset({1146, 1305, 1360, 1539})
_TRIGGER_OF = (
    "SELECT EVENT_OBJECT_TABLE, ACTION_TIMING, EVENT_MANIPULATION, ACTION_STATEMENT, DEFINER "
    "FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = %s AND TRIGGER_NAME = %s"
)
_ORDER = (
    "SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_SCHEMA = %s "
    "AND EVENT_OBJECT_TABLE = %s AND ACTION_TIMING = %s AND EVENT_MANIPULATION = %s ORDER BY ACTION_ORDER"
)
COLLATION = "SELECT DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = %s"


@dataclass(frozen=True, slots=True)
class Stored:
    """One program: its CREATE text in the character set of its author, and what it was made under.

    `schema_collation` is what the schema had then. `time_zone` and `status` are an event's; `table`, `moment`
    (timing and event) and `following` (the triggers that fire after it) a trigger's. `digest` is the same for
    the same program under another name.
    """

    kind: CodeKind
    name: str
    text: bytes
    definer: str
    sql_mode: str
    charset: str
    collation: str
    digest: str
    schema_collation: str = ""
    time_zone: str = ""
    status: str = ""
    table: str = ""
    moment: tuple[str, str] = ("", "")
    following: tuple[str, ...] = ()


async def read_stored(server: Server, schema: str, kind: CodeKind, name: str) -> Stored | None:
    """Return what is there, None when nothing is."""
    async with await open_reader(server, database=schema) as reader:
        try:
            row = await reader.fetch_one(f"SHOW CREATE {kind} {quote_name(name)}")
        except ConnectionLost:
            raise
        except DatabaseError as error:
            if error.errno in MISSING:
                return None
            raise
        mode_at, text_at, *others_at = _PLACES.get(kind, _USUAL)
        if row is None or row[text_at] is None:
            raise Refused(
                f"the definition of {kind.lower()} {name!r} is hidden from {server.account.user!r}",
                hint="grant it SHOW_ROUTINE (MySQL) or SELECT on mysql.proc (MariaDB)",
            )
        text = bytes(row[text_at])
        sql_mode, charset, collation, schema_collation = map(
            _text, (row[mode_at], *(row[place] for place in others_at))
        )
        if kind is CodeKind.TRIGGER:
            usual = kind, name, text, sql_mode, charset, collation, schema_collation
            return await _read_trigger(reader, schema, *usual)
    head = split_head(text, name)
    status = event_status(text) if kind is CodeKind.EVENT else ""
    zone = _text(row[2]) if kind is CodeKind.EVENT else ""
    found = Stored(
        *(kind, name, text, head.definer, sql_mode, charset, collation),
        "",
        schema_collation,
        time_zone=zone,
        status=status,
    )
    return replace(found, digest=expected_digest(found))


async def _read_trigger(
    reader: Connection,
    schema: str,
    kind: CodeKind,
    name: str,
    text: bytes,
    sql_mode: str,
    charset: str,
    collation: str,
    schema_collation: str,
) -> Stored | None:
    row = await reader.fetch_one(_TRIGGER_OF, schema, name)
    if row is None:
        return None
    table, timing, event, definer = (_text(row[at]) for at in (0, 1, 2, 4))
    order = await triggers_in_order(reader, schema, table, (timing, event))
    user, _, host = definer.rpartition("@")
    owner = f"{quote_name(user)}@{quote_name(host)}"
    action = row[3] if isinstance(row[3], bytes) else str(row[3]).encode()
    return Stored(
        *(kind, name, text, owner, sql_mode, charset, collation),
        _digest(owner, timing, event, action, sql_mode, charset, collation),
        schema_collation,
        table=table,
        moment=(timing, event),
        following=tuple(order[order.index(name) + 1 :]) if name in order else (),
    )


async def triggers_in_order(link: Connection, schema: str, table: str, moment: tuple[str, str]) -> list[str]:
    """Return the names of a table's triggers of one moment as they fire."""
    return [_text(name) for (name,) in await link.fetch_all(_ORDER, schema, table, *moment)]


def wanted(code: Code, former: Stored | None, definers: Definers, place: str = "") -> Stored:
    """Return the program that a deployment brings.

    An event keeps whether it runs; with its schedule it keeps the time zone in which that is meant. The
    digest is not known before the server has made it.
    """
    owner = definers.of(former.definer if former else None)
    text = with_definer(code.text, owner).encode()
    zone, status, moment = code.time_zone, "", ("", "")
    if code.kind is CodeKind.TRIGGER:
        timing, event = trigger_moment(code.text).split()[:2]
        moment = timing, event
    if code.kind is CodeKind.EVENT:
        status = former.status if former else "ENABLE" if code.enabled else "DISABLE"
        if former and event_schedule(former.text) == event_schedule(text):
            zone = former.time_zone
    collation = code.collation_connection
    return Stored(
        *(code.kind, code.name, text, owner, code.sql_mode, "utf8mb4"),
        collation if collation.startswith("utf8mb4") else "utf8mb4_general_ci",
        "",
        time_zone=zone,
        status=status,
        table=code.table,
        moment=moment,
        following=(place,) if place else (),
    )


async def make_stored(link: Connection, schema: str, program: Stored, text: bytes = b"") -> None:
    """Create a program under the settings of its author; `text` is its own unless given."""
    before = await link.fetch_one(
        "SELECT @@sql_mode, @@character_set_client, @@collation_connection, @@time_zone"
    )
    assert before is not None
    settings = program.sql_mode, program.charset, program.collation, program.time_zone or before[3]
    await link.execute(f"USE {quote_name(schema)}")
    try:
        await _set(link, settings)
        await link.execute(text or program.text)
    finally:
        if not link.closed:
            await _set(link, before)


def expected_digest(program: Stored) -> str:
    """Return the digest of a program that is not a trigger, if the server prints it as it is written."""
    head = split_head(program.text, program.name)
    if program.kind is CodeKind.EVENT:
        # Whoever switches an event on or off lends it a definer and settings, too.
        return _digest(head.kind, with_status(head.rest, "ENABLE"))
    return _digest(head.definer, head.kind, head.rest, program.sql_mode, program.charset, program.collation)


async def schema_collation(link: Connection, schema: str) -> str:
    """Return the collation that programs made now are made with."""
    return str(await link.fetch_value(COLLATION, schema))


async def _set(link: Connection, settings: tuple[object, ...]) -> None:
    names = "sql_mode", "character_set_client", "collation_connection", "time_zone"
    assignments = ", ".join(f"{name} = '{value}'" for name, value in zip(names, settings, strict=True))
    await link.execute(f"SET SESSION {assignments}")


def _digest(*parts: str | bytes) -> str:
    encoded = [part if isinstance(part, bytes) else part.encode() for part in parts]
    return hashlib.sha256(b"\0".join(encoded)).hexdigest()


def _text(value: object) -> str:
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)
