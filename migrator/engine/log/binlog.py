"""I am the stream of row changes since a position: a socket of our own, read as a replica would read it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import cast

from migrator.engine.log.events import EventReader
from migrator.engine.log.gtid import Gtids, MysqlGtids
from migrator.errors import LogGone, StreamBroken
from proxy.wire.commands import command
from proxy.wire.constants import Capability, Command
from proxy.wire.errors import ServerRefused, WireError
from proxy.wire.framing import PacketReader, frame
from proxy.wire.handshake import ClientHandshake, ClientState
from proxy.wire.packets import raise_if_err
from router.errors import ConnectionLost
from router.model import Flavor, Server, TlsMode
from router.tls import client_context, public_key

CHUNK_BYTES = 256 * 1024
LOGIN_TIMEOUT_S = 10.0
HEARTBEAT_S = 1.0
# Unless somebody waits, what comes within this time is read at once: being woken for each commit of a busy
# server costs more than reading what it wrote.
SLICE_S = 0.03
# With so much at once there is more to come, and nothing is gained by waiting.
BACKLOG_BYTES = 64 * 1024
# No event and no heartbeat for this long: the connection is dead, whatever the kernel thinks of it.
SILENCE_S = 15.0

# The errors with which a server says that the place asked for is gone or wrong (1371, 1789: by GTID).
GONE = frozenset({1236, 1371, 1789})
# How servers word them.
PURGED = ("purged", "find first log file", "too old", "find next log")
TOO_SHORT = ("> file size", "impossible position")
REPLACED = "same server"

CAPABILITIES = (
    Capability.LONG_PASSWORD
    | Capability.LONG_FLAG
    | Capability.PROTOCOL_41
    | Capability.TRANSACTIONS
    | Capability.SECURE_CONNECTION
    | Capability.PLUGIN_AUTH
)


class BinlogStream:
    """Reads the log into an EventReader until cancelled.

    `on_progress` is called after every chunk, without awaiting; `may_read` is awaited before every chunk, so
    that a slow consumer leaves the log on the server. While `hurried` is set, nothing is left to gather for a
    moment before it is read. With `gtids` the server sends whatever is not among
    them, else what comes after the reader's position. Raises LogGone or StreamBroken when the server no
    longer has the log, ConnectionLost when the connection breaks (then `reader.boundary` is where to go on).

    A server keeps one connection for each `replica`, a number that no real replica has: one that it did not
    yet see ending is ended when its successor comes.
    """

    def __init__(
        self,
        server: Server,
        reader: EventReader,
        on_progress: Callable[[], None],
        may_read: asyncio.Event,
        hurried: asyncio.Event,
        *,
        replica: int,
        gtids: Gtids | None = None,
    ) -> None:
        self._server, self._reader = server, reader
        self._on_progress, self._may_read, self._hurried = on_progress, may_read, hurried
        self._replica = replica.to_bytes(4, "little")
        self._gtids = gtids

    async def run(self) -> None:
        """Follow the log; returns only by an exception."""
        start = self._reader.received
        link = await _Link.open(self._server)
        try:
            await link.ask(*_setup(self._server.flavor, self._gtids))
            link.send(self._dump())
            await self._follow(link)
        except ServerRefused as error:
            if error.errno in GONE and REPLACED not in error.message:
                raise _gone(str(start), error.message) from error
            raise ConnectionLost(error.errno, error.message) from error
        except WireError as error:
            raise ConnectionLost(0, str(error)) from error
        finally:
            link.close()

    def _dump(self) -> bytes:
        start = self._reader.received
        if self._gtids is None:
            place = start.offset.to_bytes(4, "little") + bytes(2) + self._replica
            return command(Command.BINLOG_DUMP, place + start.file.encode())
        if not isinstance(self._gtids, MysqlGtids):
            # What comes after @slave_connect_state.
            return command(Command.BINLOG_DUMP, (4).to_bytes(4, "little") + bytes(2) + self._replica)
        known = self._gtids.encoded()
        head = bytes(2) + self._replica + bytes(4) + (4).to_bytes(8, "little")
        return command(Command.BINLOG_DUMP_GTID, head + len(known).to_bytes(4, "little") + known)

    async def _follow(self, link: _Link) -> None:
        feed = self._reader.feed
        while True:
            await self._may_read.wait()
            packets = await link.packets(SILENCE_S)
            try:
                for payload in packets:
                    if payload[0] != 0:
                        raise_if_err(payload)
                        raise ConnectionLost(0, "the server ended the binary log")
                    feed(payload[1:])
            finally:
                # Also what came before an error counts: the reader's boundary may already be behind it.
                self._on_progress()
            if not self._hurried.is_set():
                await link.gather(self._hurried)


class _Link:
    """One logged-in connection."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, capabilities: int, thread_id: int
    ) -> None:
        self._reader, self._writer = reader, writer
        self._packets = PacketReader()
        self._last_bytes = 0
        self.capabilities, self.thread_id = capabilities, thread_id

    @classmethod
    async def open(cls, server: Server) -> _Link:
        """Connect and log in."""
        address = server.address
        try:
            async with asyncio.timeout(LOGIN_TIMEOUT_S):
                if address.socket:
                    reader, writer = await asyncio.open_unix_connection(address.socket)
                else:
                    reader, writer = await asyncio.open_connection(address.host, address.port)
                    raw = writer.get_extra_info("socket")
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                try:
                    return await cls._log_in(server, reader, writer)
                except BaseException:
                    cast("asyncio.Transport", writer.transport).abort()
                    raise
        except TimeoutError:
            raise ConnectionLost(0, f"the server at {address} did not answer in time") from None
        except OSError as error:
            raise ConnectionLost(0, f"connecting to {address}: {error}") from error
        except ServerRefused as error:
            # It may have no connection left just now.
            raise ConnectionLost(error.errno, error.message) from error

    @classmethod
    async def _log_in(
        cls, server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> _Link:
        login = ClientHandshake(
            user=server.account.user,
            password=server.account.password,
            wanted=CAPABILITIES,
            secure=server.address.socket is not None,
            tls=server.tls.mode is not TlsMode.DISABLED,
            public_key=public_key(server.public_key),
        )
        while login.state is not ClientState.DONE:
            data = await reader.read(CHUNK_BYTES)
            if not data:
                raise ConnectionLost(0, "the server hung up during login")
            writer.write(login.receive(data))
            if login.state is ClientState.TLS_WANTED:
                # The server says nothing between its greeting and the beginning of TLS, so nothing is lost.
                context = client_context(server.tls)
                assert context is not None
                name = server.address.host if server.address.socket is None else ""
                await writer.start_tls(context, server_hostname=name)
                writer.write(login.tls_started())
        return cls(reader, writer, int(login.capabilities), login.greeting.connection_id)

    def send(self, payload: bytes) -> None:
        """Start a command."""
        self._writer.write(frame(payload))

    async def ask(self, *statements: str) -> None:
        """Run statements that return no rows."""
        for statement in statements:
            self.send(command(Command.QUERY, statement.encode()))
            for payload in await self.packets(LOGIN_TIMEOUT_S):
                raise_if_err(payload)

    async def packets(self, timeout_s: float) -> list[bytes]:
        """Wait for the next whole packets."""
        while True:
            try:
                async with asyncio.timeout(timeout_s):
                    data = await self._reader.read(CHUNK_BYTES)
            except TimeoutError:
                raise ConnectionLost(0, f"the server was silent for {timeout_s:g} s") from None
            except (OSError, ssl.SSLError) as error:
                raise ConnectionLost(0, str(error)) from error
            if not data:
                raise ConnectionLost(0, "the server closed the connection")
            self._last_bytes = len(data)
            packets = [payload for _, payload in self._packets.feed(data)]
            if packets:
                return packets

    async def gather(self, hurried: asyncio.Event) -> None:
        """Let data gather in the kernel for a moment, or until somebody is in a hurry."""
        # Not asked of the object: the transports of uvloop's loop are no subclass.
        link = cast("asyncio.Transport", self._writer.transport)
        # Who does not read has too much already.
        if self._last_bytes >= BACKLOG_BYTES or not link.is_reading():
            return
        link.pause_reading()
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SLICE_S):
                    await hurried.wait()
        finally:
            link.resume_reading()

    def close(self) -> None:
        """Close the socket; the server ends its side when it next writes.

        It says no goodbye by TLS: a server that waits for changes would answer that when it next writes only,
        and until then the event loop could not be closed.
        """
        cast("asyncio.Transport", self._writer.transport).abort()


def _gone(start: str, message: str) -> StreamBroken:
    if any(words in message for words in PURGED):
        return LogGone(
            f"the server no longer has its binary log from {start} on ({message})",
            hint="start the deployment again; keep binary logs for longer than a deployment takes",
        )
    if any(words in message for words in TOO_SHORT):
        return StreamBroken(
            f"the server's binary log ends before {start}: it lost its end in a crash, or was restored "
            f"({message})",
            hint="start the deployment again; with sync_binlog=1 no crash loses the log's end",
        )
    return StreamBroken(
        f"the server cannot continue its binary log from {start} on ({message})",
        hint="start the deployment again",
    )


def _setup(flavor: Flavor, gtids: Gtids | None) -> list[str]:
    heartbeat = int(HEARTBEAT_S * 1e9)
    statements = [
        f"SET @master_heartbeat_period = {heartbeat}, @source_heartbeat_period = {heartbeat}",
        "SET @master_binlog_checksum = @@GLOBAL.binlog_checksum, "
        "@source_binlog_checksum = @@GLOBAL.binlog_checksum",
        "SET SESSION net_write_timeout = 600",
    ]
    if flavor is Flavor.MARIADB:
        # 4: this reader knows GTID events, so the server need not dress them up as BEGIN statements.
        statements.append("SET @mariadb_slave_capability = 4")
        if gtids is not None:
            statements.append(
                f"SET @slave_connect_state = '{gtids}', @slave_gtid_strict_mode = 0, "
                "@slave_gtid_ignore_duplicates = 0"
            )
    return statements
