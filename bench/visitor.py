"""I log in, ask one thing and leave, as often as I can.

`python -m bench.visitor` reads from its input, as JSON, whom to visit and how. I am a process of my own, with
plain blocking sockets and nothing decoded that need not be, so that the proxy has more to do than I. The last
line I print says how many visits there were and how many seconds they took.
"""

from __future__ import annotations

import hashlib
import json
import socket
import ssl
import sys
import time
from dataclasses import dataclass
from typing import Final

# Capabilities of page_group__group__cs__capabilities__flags.html: long password, connect with database,
# protocol 4.1, transactions, secure connection, plugin, no EOF packets.
CAPABILITIES: Final = 0x0108A209
SSL: Final = 0x0800
PLUGIN: Final = b"caching_sha2_password\0"
CHARSET_UTF8MB4: Final = 255
RECEIVE_BYTES: Final = 1 << 18
NONCE_BYTES: Final = 20
PATIENCE_S: Final = 60.0

LAST_BYTES: Final = 11
"""The OK packet behind the rows: header, 0xFE, two empty counts, status, warnings."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who comes, how, and what it asks."""

    port: int
    user: str
    password: str
    schema: str
    query: str
    context: ssl.SSLContext | None = None

    def visit(self) -> int:
        """Come, ask, leave; return how many bytes the answer had. Raises RuntimeError when refused."""
        with self.enter() as sock:
            size = self.ask(sock)
            sock.sendall(_frame(b"\x01", 0))
        return size

    def enter(self) -> socket.socket:
        """Connect and log in."""
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            nonce = _nonce(_packet(sock))
            flags, sequence = CAPABILITIES, 1
            if self.context is not None:
                flags |= SSL
                sock.sendall(_frame(_head(flags), sequence))
                sequence += 1
                sock = self.context.wrap_socket(sock)
            sock.sendall(_frame(self._response(flags, nonce), sequence))
            self._be_let_in(sock)
        except BaseException:
            sock.close()
            raise
        return sock

    def ask(self, sock: socket.socket) -> int:
        """Send the query and read its whole answer, of which nothing is kept; return how long it was."""
        sock.sendall(_frame(b"\x03" + self.query.encode(), 0))
        buffer = bytearray(RECEIVE_BYTES)
        size, last = 0, b""
        while len(last) < LAST_BYTES or last[:3] != b"\x07\0\0" or last[4] != 0xFE:
            received = sock.recv_into(buffer)
            if not received or (not size and buffer[4] == 0xFF):
                raise RuntimeError(f"the query was answered with {bytes(buffer[:received])!r}")
            size += received
            last = (last + buffer[max(0, received - LAST_BYTES) : received])[-LAST_BYTES:]
        return size

    def _response(self, flags: int, nonce: bytes) -> bytes:
        proof = _proof(self.password.encode(), nonce)
        return b"".join(
            (
                _head(flags),
                self.user.encode() + b"\0",
                bytes((len(proof),)),
                proof,
                self.schema.encode() + b"\0",
                PLUGIN,
            )
        )

    def _be_let_in(self, sock: socket.socket) -> None:
        data = b""
        while True:
            data += _receive(sock)
            while len(data) >= 4 and len(data) >= 4 + data[0]:
                payload, sequence = data[4 : 4 + data[0]], data[3]
                data = data[4 + data[0] :]
                if payload[:1] == b"\0":
                    return
                if payload == b"\x01\x04" and self.context is not None:
                    sock.sendall(_frame(self.password.encode() + b"\0", sequence + 1))
                elif payload != b"\x01\x03":
                    raise RuntimeError(f"the login was answered with {payload!r}")


def _head(flags: int) -> bytes:
    size = (1 << 24).to_bytes(4, "little")
    return flags.to_bytes(4, "little") + size + bytes((CHARSET_UTF8MB4,)) + bytes(23)


def _proof(password: bytes, nonce: bytes) -> bytes:
    once = hashlib.sha256(password).digest()
    mask = hashlib.sha256(hashlib.sha256(once).digest() + nonce).digest()
    return bytes(a ^ b for a, b in zip(once, mask, strict=True))


def _nonce(greeting: bytes) -> bytes:
    """Return the two pieces of the nonce (page_protocol_connection_phase_packets_protocol_handshake_v10)."""
    at = greeting.index(b"\0", 1) + 5
    return greeting[at : at + 8] + greeting[at + 27 : at + 27 + NONCE_BYTES - 8]


def _frame(payload: bytes, sequence: int) -> bytes:
    return len(payload).to_bytes(3, "little") + bytes((sequence,)) + payload


def _receive(sock: socket.socket) -> bytes:
    data = sock.recv(RECEIVE_BYTES)
    if not data:
        raise RuntimeError("the connection was closed")
    return data


def _packet(sock: socket.socket) -> bytes:
    data = _receive(sock)
    while len(data) < 4 or len(data) < 4 + int.from_bytes(data[:3], "little"):
        data += _receive(sock)
    return data[4:]


def main() -> None:
    task = json.loads(sys.stdin.read())
    context = None
    if task.pop("tls"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    seconds = task.pop("seconds")
    visitor = Visitor(**task, context=context)
    visitor.visit()
    visits, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        visitor.visit()
        visits += 1
    print(json.dumps({"visits": visits, "seconds": time.perf_counter() - started}))


if __name__ == "__main__":
    main()
