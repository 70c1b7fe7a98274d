"""I run our own SQL on a server; I am the only file that imports a MySQL driver."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Sequence
from typing import Any

import aiomysql
import pymysql
from pymysql.constants import CLIENT, COMMAND
from pymysql.protocol import MysqlPacket

from router.answers import Column, End, Head, Values
from router.errors import AnswerUnread, ConnectionLost, DatabaseError
from router.model import Server
from router.tls import client_context, public_key

Row = tuple[Any, ...]
Statement = tuple[str, *tuple[object, ...]]
"""A statement's text and its arguments."""

# Client-side numbers that say the connection is gone (2006 gone away, 2013 lost, 2003/2002 cannot connect,
# 2055 lost with a reason), and the server's own ways of ending one (1053, 1927, 3169, 4031).
LOST = frozenset({0, 1053, 1927, 2002, 2003, 2006, 2013, 2014, 2027, 2055, 3169, 4031})


def quote_name(name: str) -> str:
    """Quote an identifier for use in SQL text."""
    return "`" + name.replace("`", "``") + "`"


class _Cursor(aiomysql.Cursor):  # type: ignore[misc]
    """A cursor that does not ask for warnings: that costs a round trip, and the driver prints them."""

    async def _show_warnings(self, connection: aiomysql.Connection) -> None:
        pass


class _Packet(MysqlPacket):  # type: ignore[misc]
    """A packet of the driver's that tells an error's SQLSTATE, too."""

    def raise_for_error(self) -> None:
        """Raise the error that the packet holds."""
        try:
            super().raise_for_error()
        except pymysql.err.Error as error:
            # 0xFF, two bytes with the number, then '#' and the state, if there is one.
            data = self.get_all_data()
            error.state = data[4:9].decode("ascii", "replace") if data[3:4] == b"#" else ""
            raise


class _Link(aiomysql.Connection):  # type: ignore[misc]
    """The driver's connection, with two doors closed that it leaves open.

    It would go on in the clear when the server does not offer the TLS it was told to use, and hide the
    password with whatever key comes by the network. `allowance` is how many bytes may still come, if there is
    a limit.
    """

    def __init__(self, public_key: bytes, **options: Any) -> None:
        super().__init__(**options)
        self._public_key = public_key
        self.allowance: int | None = None

    # Neither is a coroutine of its own: that would cost something for every row of every answer.
    def _read_packet(self, packet_type: type[MysqlPacket] = _Packet) -> Awaitable[MysqlPacket]:
        return super()._read_packet(packet_type)  # type: ignore[no-any-return]

    def _read_bytes(self, num_bytes: int) -> Awaitable[bytes]:
        if self.allowance is not None:
            self.allowance -= num_bytes
            if self.allowance < 0:
                raise AnswerUnread("the answer is too long to be read: ask for fewer columns or rows")
        return super()._read_bytes(num_bytes)  # type: ignore[no-any-return]

    async def _request_authentication(self) -> None:
        if self._ssl_context is not None and not self.server_capabilities & CLIENT.SSL:
            raise pymysql.err.OperationalError(2026, "the server does not offer TLS")
        await super()._request_authentication()

    @property
    def server_public_key(self) -> bytes:
        """The key to hide the password with; asked for only where somebody could listen."""
        if not self._public_key:
            raise pymysql.err.OperationalError(
                2061,
                "the server wants the password itself, and somebody could listen: set production.tls, or "
                "production.public_key to a file with the server's RSA key",
            )
        return self._public_key

    @server_public_key.setter
    def server_public_key(self, key: object) -> None:
        pass

    def drop(self) -> None:
        """Close the socket, however far the login is."""
        if self._writer is not None:
            self._writer.transport.close()


class Connection:
    """One connection of ours to a server, used by one task at a time.

    Errors: `DatabaseError` with the server's number for a refused statement, `ConnectionLost` when the
    connection broke (the statement may have run). After a lost connection or a cancelled statement the object
    is closed and every further call raises ConnectionLost.
    """

    def __init__(self, raw: aiomysql.Connection, server: Server) -> None:
        self._raw = raw
        self.server = server
        self.thread_id: int = raw.thread_id()
        self.last_insert_id = 0

    @classmethod
    async def open(
        cls,
        server: Server,
        *,
        database: str | None = None,
        decode: bool = True,
        timeout_s: float = 10.0,
        setup: Sequence[str] = (),
    ) -> Connection:
        """Connect, log in and run the `setup` statements.

        `decode=False` leaves every string as bytes. The session starts with autocommit on and utf8mb4.
        """
        raw = await _log_in(server, database, decode, timeout_s)
        if server.address.socket is None:
            _notice_silence(raw)
        connection = cls(raw, server)
        try:
            if setup:
                await connection.fetch_each(setup)
        except BaseException:
            connection.abort()
            raise
        return connection

    async def execute(self, sql: str | bytes, *args: object) -> int:
        """Run a statement and return how many rows it affected; bytes go as they are, without arguments."""
        affected, _, _ = await self._run(sql, args, rows=False)
        return affected

    async def fetch_all(self, sql: str, *args: object) -> list[Row]:
        """Run a statement and return its rows."""
        _, rows, _ = await self._run(sql, args, rows=True)
        return rows

    async def fetch_dicts(self, sql: str, *args: object) -> list[dict[str, Any]]:
        """Run a statement and return its rows by column name, for answers whose columns differ by server."""
        _, rows, names = await self._run(sql, args, rows=True)
        return [dict(zip(names, row, strict=True)) for row in rows]

    async def fetch_one(self, sql: str, *args: object) -> Row | None:
        """Run a statement and return its first row, or None when there is none."""
        rows = await self.fetch_all(sql, *args)
        return rows[0] if rows else None

    async def fetch_value(self, sql: str, *args: object) -> Any:
        """Run a statement and return the first column of its first row, or None when there is no row."""
        row = await self.fetch_one(sql, *args)
        return row[0] if row else None

    async def fetch_each(self, statements: Sequence[str]) -> list[list[Row]]:
        """Run statements in one round trip and return the rows of each, as `run_all` does."""
        return [rows for _, rows in await self.run_all(*((sql,) for sql in statements))]

    async def run_all(self, *statements: Statement) -> list[tuple[int, list[Row]]]:
        """Run statements in one round trip; returns how many rows each affected, and its rows.

        After one that is refused none is run; DatabaseError does not say which it was.
        """
        texts = [sql % tuple(map(self._raw.escape, args)) if args else sql for sql, *args in statements]
        async with self._guarded() as cursor:
            affected = await cursor.execute("; ".join(texts))
            answers = [(int(affected or 0), list(await cursor.fetchall()))]
            while await cursor.nextset():
                answers.append((int(cursor.rowcount or 0), list(await cursor.fetchall())))
            return answers

    async def read(self, text: str, *, bytes_max: int) -> AsyncGenerator[Head | Values | End, None]:
        """Run a text and yield its answers as the server sends them: a Head and its rows, if any; an End.

        Values are bytes as the server wrote them, or None. Several statements in the text have an answer
        each. Raises AnswerUnread before more than `bytes_max` bytes are kept. After that, and whenever
        somebody does not read to the last End, the connection is only good for being aborted.
        """
        raw = self._raw
        async with self._guarded():
            raw.allowance = bytes_max
            try:
                await raw._execute_command(COMMAND.COM_QUERY, text)
                more = True
                while more:
                    await raw._read_query_result(unbuffered=True)
                    result = raw._result
                    if result.field_count:
                        yield Head(
                            tuple(Column(one.name, one.type_code, one.charsetnr) for one in result.fields)
                        )
                        result.converters = [(None, None)] * result.field_count
                        while (row := await result._read_rowdata_packet_unbuffered()) is not None:
                            yield row
                    affected = 0 if result.field_count else int(result.affected_rows or 0)
                    yield End(affected, int(result.insert_id or 0), int(result.warning_count))
                    more = bool(result.has_next)
            except UnicodeDecodeError as error:
                # After SET NAMES, names of columns are in a character set that the driver does not know of.
                raise AnswerUnread(f"the answer names columns in another character set: {error}") from error
            finally:
                raw.allowance = None

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """Run the body in one transaction: committed at the end, rolled back on any error."""
        await self.execute("START TRANSACTION")
        try:
            yield
            await self.execute("COMMIT")
        except BaseException:
            if not self.closed:
                with contextlib.suppress(DatabaseError):
                    await self.execute("ROLLBACK")
            raise

    @property
    def closed(self) -> bool:
        """Whether this connection can no longer be used."""
        return bool(self._raw.closed)

    async def close(self) -> None:
        """Say goodbye to the server and close."""
        if not self.closed:
            with contextlib.suppress(pymysql.err.Error, OSError, RuntimeError, TimeoutError):
                async with asyncio.timeout(2.0):
                    writer = self._raw._writer
                    await self._raw.ensure_closed()
                    # TLS ends with a word from each side.
                    await writer.wait_closed()
            self.abort()

    def abort(self) -> None:
        """Close the socket at once, without a word to the server."""
        if not self.closed:
            self._raw.close()

    async def __aenter__(self) -> Connection:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def _run(
        self, sql: str | bytes, args: Sequence[object], *, rows: bool
    ) -> tuple[int, list[Row], list[str]]:
        async with self._guarded() as cursor:
            # Without arguments the text must not go through %-formatting.
            affected = await cursor.execute(sql, args or None)
            self.last_insert_id = int(cursor.lastrowid or 0)
            names = [str(column[0]) for column in cursor.description or ()]
            return int(affected or 0), list(await cursor.fetchall()) if rows else [], names

    @contextlib.asynccontextmanager
    async def _guarded(self) -> AsyncIterator[_Cursor]:
        """Give a cursor; what goes wrong with it comes as an error of ours."""
        if self.closed:
            raise ConnectionLost(2006, "the connection is closed")
        try:
            async with self._raw.cursor(_Cursor) as cursor:
                yield cursor
        except asyncio.CancelledError:
            # The answer is still on its way: nobody may use this connection again.
            self.abort()
            raise
        except (pymysql.err.Error, OSError, EOFError, RuntimeError, AttributeError) as error:
            ours = _ours(error, "")
            if isinstance(ours, ConnectionLost):
                self.abort()
            raise ours from error


async def _log_in(server: Server, database: str | None, decode: bool, timeout_s: float) -> _Link:
    """Connect and log in; when that fails no socket stays open."""
    address, account = server.address, server.account
    raw: _Link | None = None
    try:
        raw = _Link(
            public_key(server.public_key),
            host=address.host,
            port=address.port,
            unix_socket=address.socket,
            user=account.user,
            password=account.password,
            db=database,
            charset="utf8mb4",
            use_unicode=decode,
            autocommit=True,
            ssl=client_context(server.tls),
            # Its own time-out is asyncio.wait_for, which before Python 3.12 may lose a cancellation.
            connect_timeout=None,
        )
        async with asyncio.timeout(timeout_s):
            await raw._connect()
    except BaseException as error:
        if raw is not None:
            raw.drop()
        if isinstance(error, TimeoutError):
            raise ConnectionLost(
                0, f"the server at {address} did not answer within {timeout_s:g} s"
            ) from None
        if isinstance(error, (pymysql.err.Error, OSError, EOFError)):
            raise _ours(error, f"connecting to {address} as {account.user!r}: ") from error
        raise
    return raw


def _notice_silence(raw: aiomysql.Connection) -> None:
    """End a TCP connection within half a minute when the network drops everything without a word (tcp(7))."""
    link: socket.socket = raw._writer.get_extra_info("socket")
    link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    options = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 30_000}
    for name, value in options.items():
        # Not every system has all of them.
        if (option := getattr(socket, name, None)) is not None:
            link.setsockopt(socket.IPPROTO_TCP, option, value)


def _ours(error: BaseException, context: str) -> DatabaseError:
    if isinstance(error, pymysql.err.Error) and error.args and isinstance(error.args[0], int):
        errno = error.args[0]
        message = str(error.args[1]) if len(error.args) > 1 else type(error).__name__
        if isinstance(error.__cause__, ssl.SSLError):
            message += f" ({error.__cause__})"
        kind = ConnectionLost if errno in LOST else DatabaseError
        return kind(errno, context + message, getattr(error, "state", ""))
    return ConnectionLost(2013, context + (str(error) or type(error).__name__))
