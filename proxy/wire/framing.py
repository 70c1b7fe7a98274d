"""I find packet boundaries in bytes, copying as little as I can.

A packet is one or more frames: 3 bytes length, 1 byte sequence number, payload. A frame of 0xFFFFFF bytes is
continued by the next one (page_protocol_basic_packets.html).
"""

from __future__ import annotations

from proxy.wire.constants import MAX_FRAME
from proxy.wire.errors import RemoteError

HEADER_BYTES = 4

Packet = tuple[int, bytes]
"""Sequence number of the last frame, and the whole payload."""


def frame(payload: bytes, sequence: int = 0) -> bytes:
    """Put headers around a payload, splitting it where it is too long for one frame."""
    if len(payload) < MAX_FRAME:
        return len(payload).to_bytes(3, "little") + bytes((sequence & 0xFF,)) + payload
    parts: list[bytes] = []
    for start in range(0, len(payload) + 1, MAX_FRAME):
        piece = payload[start : start + MAX_FRAME]
        parts += (len(piece).to_bytes(3, "little"), bytes((sequence & 0xFF,)), piece)
        sequence += 1
    return b"".join(parts)


class PacketReader:
    """Whole packets out of chunks that end anywhere.

    `max_bytes` limits one packet's payload: a longer one raises RemoteError as soon as its header is seen,
    before anything is kept.
    """

    __slots__ = ("_buffer", "_max_bytes", "_needed", "_parts", "_parts_bytes")

    def __init__(self, max_bytes: int = 1 << 30) -> None:
        self._max_bytes = max_bytes
        self._buffer = bytearray()
        self._needed = 0
        self._parts: list[bytes] = []
        self._parts_bytes = 0

    @property
    def pending(self) -> bytes:
        """Bytes fed that do not yet belong to a whole frame."""
        return bytes(self._buffer)

    def feed(self, data: bytes) -> list[Packet]:
        """Take a chunk and return every packet that is complete now, in order."""
        if self._buffer:
            self._buffer += data
            if len(self._buffer) < self._needed:
                return []
            data = bytes(self._buffer)
            self._buffer.clear()
        packets: list[Packet] = []
        at, end = 0, len(data)
        while end - at >= HEADER_BYTES:
            length = data[at] | data[at + 1] << 8 | data[at + 2] << 16
            if self._parts_bytes + length > self._max_bytes:
                raise RemoteError(f"a packet is longer than {self._max_bytes} bytes")
            stop = at + HEADER_BYTES + length
            if stop > end:
                break
            self._add(packets, length, data[at + 3], data[at + HEADER_BYTES : stop])
            at = stop
        if at < end:
            self._buffer += data[at:]
            self._needed = HEADER_BYTES if end - at < HEADER_BYTES else HEADER_BYTES + length
        return packets

    def _add(self, packets: list[Packet], length: int, sequence: int, payload: bytes) -> None:
        if length == MAX_FRAME:
            self._parts.append(payload)
            self._parts_bytes += length
        elif self._parts:
            packets.append((sequence, b"".join([*self._parts, payload])))
            self._parts.clear()
            self._parts_bytes = 0
        else:
            packets.append((sequence, payload))


class PacketTail:
    """The end of one packet that is too long to wait for, found by walking its frames' headers.

    `over` is true once the last frame is complete; `sequence` is that frame's number.
    """

    __slots__ = ("_continued", "_header", "_left", "over", "sequence")

    def __init__(self) -> None:
        self.over = False
        self.sequence = 0
        self._header = b""
        self._left = 0
        self._continued = True

    def feed(self, data: bytes) -> int:
        """Take a chunk and return how many of its bytes belong to the packet."""
        at, end = 0, len(data)
        while not self.over:
            step = min(self._left, end - at)
            at += step
            self._left -= step
            if self._left:
                break
            if not self._continued:
                self.over = True
                break
            missing = HEADER_BYTES - len(self._header)
            self._header += data[at : at + missing]
            at = min(at + missing, end)
            if len(self._header) < HEADER_BYTES:
                break
            self._left = int.from_bytes(self._header[:3], "little")
            self.sequence = self._header[3]
            self._continued = self._left == MAX_FRAME
            self._header = b""
        return at
