"""I serve what clients rarely ask: commands that are not statements, several statements at once, goodbyes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import structlog

from proxy.backend import Backend, open_backend
from proxy.errors import ClientTimeout, Malformed, NotPassedOn, ProxyError
from proxy.preparation import converse
from proxy.wire.commands import command, command_name
from proxy.wire.constants import CHARSET_UTF8MB4, Capability, Command, Status
from proxy.wire.framing import HEADER_BYTES, PacketTail, frame
from proxy.wire.packets import EofPacket, OkPacket
from router.classify import Kind, classify, digest, kill_of
from router.model import Branch
from router.policy import refusal
from router.split import split

if TYPE_CHECKING:
    from proxy.branches import Branches
    from proxy.client import Client

log = structlog.get_logger()

SEVERAL_ON: Final = command(Command.SET_OPTION, b"\0\0")
SEVERAL_OFF: Final = command(Command.SET_OPTION, b"\1\0")

LOGICAL_NAMES: Final = frozenset({"", "@primary", "@replica"})
"""What a client may call the branch's schema by, besides the database's own name."""

_TEXT: Final = HEADER_BYTES + 1
_DDL_COMMANDS: Final = frozenset({Command.CREATE_DB, Command.DROP_DB})
_BINLOG_COMMANDS: Final = frozenset({Command.BINLOG_DUMP, Command.BINLOG_DUMP_GTID, Command.REGISTER_REPLICA})
_BYTES_MIN: Final = {
    int(Command.STMT_CLOSE): _TEXT + 4,
    int(Command.STMT_SEND_LONG_DATA): _TEXT + 6,
    int(Command.SET_OPTION): _TEXT + 2,
}
"""Commands that have no answer are passed on only if the server does not answer them with an error."""
_USE: Final = re.compile(rb"(\s*USE\s+)(`[^`]+`|[^\s;`]+)([\s;]*)", re.IGNORECASE)
ASKS_FOR_ID_BYTES_MAX: Final = 128
_ASKS_FOR_ID: Final = re.compile(
    rb"\s*SELECT\s+(CONNECTION_ID\s*\(\s*\))(?:(?:\s+AS\s*|\s+|\s*(?=`))(\w+|`[^`]+`))?[\s;]*", re.IGNORECASE
)
KILLS_MAX: Final = 2
"""How many connections at a time may be about to end a statement on one backend."""
_LOCAL_CAPABILITIES: Final = Capability.LONG_PASSWORD | Capability.CONNECT_ATTRS


def schema_of(branch: Branch, name: str) -> str:
    """Return the schema that a client means by a name."""
    return branch.schema if name in LOGICAL_NAMES or name == branch.database else name


def serve_rarely(client: Client, number: int, data: bytes, tail: PacketTail | None) -> None:
    """Serve a command that is neither a statement nor simply passed on."""
    branch = client.served.branch
    if number == Command.QUIT:
        client.close()
    elif len(data) < _BYTES_MIN.get(number, 0):
        client.refuse(Malformed("Malformed communication packet."), tail)
    elif number == Command.STMT_CLOSE:
        client.closes_statement(data, tail)
    elif number == Command.STMT_SEND_LONG_DATA:
        client.sends_long_data(data, tail)
    elif number in _BINLOG_COMMANDS and client.reads_binlog:
        client.take(number, Kind.COMMAND, data, tail, data)
    elif tail is not None:
        client.refuse(Malformed(f"{command_name(number)} is never this long"), tail)
    elif number == Command.INIT_DB:
        client.take(number, Kind.SESSION, _translated_init_db(branch, data), None, b"")
    elif number == Command.RESET_CONNECTION:
        client.resets(data)
    elif number == Command.CHANGE_USER and client.doors.change_user is not None:
        client.doors.change_user(client, data)
    elif number == Command.SET_OPTION:
        _set_option(client, data)
    elif number == Command.PROCESS_KILL and len(data) >= _TEXT + 4:
        _kill(client, int.from_bytes(data[_TEXT : _TEXT + 4], "little"), False)
    elif number == Command.DEBUG and not branch.safe_migrations:
        client.take(number, Kind.COMMAND, data, None, b"")
    elif number in _DDL_COMMANDS and branch.safe_migrations:
        client.refuse(ProxyError(refusal(branch, Kind.DDL, command_name(number), client.role)))
    else:
        client.refuse(NotPassedOn("Unknown command"))


def translated_question(client: Client, data: bytes) -> bytes:
    """Return a query or PREPARE that asks for nothing but the connection's id with our number in it.

    KILL takes our numbers, and programs ask for theirs to end a statement later. Within other statements the
    server answers, by its own number, which KILL does not know.
    """
    match = _ASKS_FOR_ID.fullmatch(data, _TEXT) if len(data) <= ASKS_FOR_ID_BYTES_MAX else None
    if not match:
        return data
    name = match[2] or b"`" + match[1] + b"`"
    text = b"SELECT CAST(%d AS UNSIGNED) AS %s" % (client.connection_id, name)
    return frame(command(Command(data[HEADER_BYTES]), text))


def translated_use(branch: Branch, data: bytes) -> bytes:
    """Return a COM_QUERY with the schema's name where a plain USE names it as clients know it."""
    match = _USE.fullmatch(data, _TEXT)
    if not match:
        return data
    name = match[2].strip(b"`").decode("utf-8", "replace")
    schema = schema_of(branch, name)
    if schema == name or not name:
        return data
    return frame(command(Command.QUERY, match[1] + b"`" + schema.encode() + b"`" + match[3]))


def _translated_init_db(branch: Branch, data: bytes) -> bytes:
    name = data[_TEXT:].decode("utf-8", "replace")
    schema = schema_of(branch, name)
    if schema == name or not name:
        return data
    return frame(command(Command.INIT_DB, schema.encode()))


def _set_option(client: Client, data: bytes) -> None:
    """Remember whether the client may send several statements at once."""
    option = int.from_bytes(data[_TEXT : _TEXT + 2], "little")
    if option > 1:
        client.refuse(NotPassedOn("Unknown command"))
    elif client.passes_options:
        client.take(int(Command.SET_OPTION), Kind.COMMAND, data, None, b"")
    else:
        client.splits = option == 0
        client.write(end_packet(client))


def ok_packet(client: Client) -> bytes:
    """Return the OK packet of a command that we served ourselves."""
    return frame(OkPacket(status=client.status & ~Status.MORE_RESULTS).build(), 1)


def end_packet(client: Client) -> bytes:
    """Return the packet that ends some commands: an EOF, or the OK in its place."""
    status = client.status & ~Status.MORE_RESULTS
    if client.capabilities & Capability.DEPRECATE_EOF:
        return frame(OkPacket(status=status).build(0xFE), 1)
    return frame(EofPacket(status=status).build(), 1)


# -- several statements -----------------------------------------------------------------------------------


def serve_several(client: Client, data: bytes) -> bool:
    """Serve a text of several statements; false when it is one, or when that cannot be known.

    The server, which takes one only, then decides.
    """
    client.served.home.counts.add("guard_slow_path_total", reason="several")
    parts = _parts(client, data[_TEXT:])
    if parts is None or len(parts) < 2:
        return False
    kinds = [classify(part) for part in parts]
    for kind, part in zip(kinds, parts, strict=True):
        if client.refuses(kind, part):
            client.refuse_statement(kind, data[:_TEXT] + part, None)
            return True
    client.send_several(kinds[0], data, parts)
    return True


def watch_several(client: Client, data: bytes, failed: bool) -> None:
    """Have the statements of a text watched that was served; when one has failed, it is not known which."""
    watch = client.served.watch
    parts = _parts(client, data[_TEXT:]) or [data[_TEXT:]]
    for part in parts:
        kind = classify(part)
        if kind in (Kind.DDL, Kind.DYNAMIC) and not (failed and len(parts) == 1):
            watch.defined(client, part)
        elif client.served.watched and not (failed and len(parts) > 1):
            watch.saw(client, data[:_TEXT] + part, kind, failed)


def _parts(client: Client, text: bytes) -> list[bytes] | None:
    """Cut a text up; where it is not known what quotes mean, every meaning must give the same."""
    ansi_quotes, charset = client.quoting
    if not charset:
        if not text.isascii():
            return None
        charset = "utf8mb4"
    found: list[bytes] | None = None
    for ansi in (False, True) if ansi_quotes is None else (ansi_quotes,):
        parts = split(text, no_backslash=client.no_backslash, ansi_quotes=ansi, charset=charset)
        if parts is None or (found is not None and found != parts):
            return None
        found = parts
    return found


# -- KILL -------------------------------------------------------------------------------------------------


def serve_kill(client: Client, data: bytes) -> bool:
    """Serve a KILL that names a connection by its number."""
    order = kill_of(data[_TEXT:])
    if order is None:
        return False
    _kill(client, *order)
    return True


def _kill(client: Client, connection_id: int, query_only: bool) -> None:
    if client.doors.kill is None:
        client.refuse(NotPassedOn("Unknown command"))
        return
    client.wait()
    at_once = True

    def done(error: ProxyError | None) -> None:
        if client.gone:
            return
        packet = error.packet() if error is not None else ok_packet(client)
        if at_once:
            # Many of these may have come together: each must not be taken from within the one before.
            client.answer_at_once(packet)
        else:
            client.answer(packet)

    client.doors.kill(client, connection_id, query_only, done)
    at_once = False


def kill_on_server(home: Branches, backend: Backend, query_only: bool) -> None:
    """End what runs on a backend; until that is done the backend must not change hands.

    Each takes a connection to the server, so what several are about to end already is left to them.
    """
    if query_only and backend.kills >= KILLS_MAX:
        return
    backend.kills += 1
    home.errands.start(_kill_on_server(home, backend, query_only))


async def _kill_on_server(home: Branches, backend: Backend, query_only: bool) -> None:
    verb = "KILL QUERY" if query_only else "KILL"
    try:
        other: Backend = await open_backend(
            backend.server,
            database="",
            capabilities=_LOCAL_CAPABILITIES,
            charset=CHARSET_UTF8MB4,
            attributes={"_proxy": "headgate"},
            timeout_s=home.limits.connect_timeout_s,
        )
        told = await converse(other, [command(Command.QUERY, f"{verb} {backend.thread_id}".encode())])
        other.leave()
        if told.error is not None:
            log.info("kill.failed", reason=told.error.message)
    except ProxyError as error:
        log.warning("kill.failed", reason=error.message)
    finally:
        backend.kills -= 1


# -- goodbyes ---------------------------------------------------------------------------------------------


def inactivity() -> ProxyError:
    """Say that a client has been silent for too long, in the server's own words."""
    return ProxyError(
        "The client was disconnected by the server because of inactivity. See wait_timeout and "
        "interactive_timeout for configuring this behavior.",
        errno=4031,
    )


def idle_transaction() -> ProxyError:
    """Say that a transaction was left open for too long."""
    return ProxyError(
        "the transaction was rolled back and the connection closed because nothing came for longer than "
        "idle_transaction_timeout_s; start the transaction again",
        errno=1205,
    )


def read_timeout() -> ProxyError:
    """Say that a client stopped in the middle of a packet."""
    return ClientTimeout("Got timeout reading communication packets")


def log_if_slow(client: Client, server_ns: int) -> None:
    """Log a statement that has taken long, with where the time went."""
    gate_ns, pool_ns = client.take_waits()
    if server_ns + gate_ns + pool_ns <= client.served.slow_ns:
        return
    log.info(
        "statement.slow",
        branch=client.served.branch.name,
        user=client.user.name,
        client=client.peer,
        digest=digest(client.statement_text),
        kind=str(client.kind),
        wait_pool_ms=round(pool_ns / 1e6, 3),
        wait_gate_ms=round(gate_ns / 1e6, 3),
        server_ms=round(server_ns / 1e6, 3),
        first_byte_ms=round(client.first_byte_ns(server_ns) / 1e6, 3),
        errno=client.last_errno,
    )
