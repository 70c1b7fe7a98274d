"""I unpack and pack the frames in which a compressed connection carries its packets.

A frame is 3 bytes length, 1 byte number, 3 bytes length of what is inside (0: it is not compressed), payload
(page_protocol_basic_compression_packet.html). Frames and packets know nothing of each other: either may
begin and end anywhere in the other.
"""

from __future__ import annotations

import functools
import zlib
from enum import StrEnum
from typing import Final

import zstandard

from proxy.wire.constants import MAX_FRAME, Capability
from proxy.wire.errors import RemoteError
from proxy.wire.framing import HEADER_BYTES

COMPRESSION: Final = Capability.COMPRESS | Capability.ZSTD
"""What a server that speaks all this offers."""
FRAME_HEADER_BYTES: Final = 7
COMPRESS_BYTES_MIN: Final = 50
"""Shorter payloads are sent as they are, as the servers do (MIN_COMPRESS_LENGTH)."""
ZSTD_LEVEL_DEFAULT: Final = 3
FRAME_INSIDE_MAX: Final = MAX_FRAME - (1 << 14)
"""How much goes into one frame: what cannot be compressed becomes a little longer by it."""

# What is packed here is read by a decoder that does not care for the level. zlib's first costs a third of the
# usual sixth; and a client that asks for zstd's 22nd would have us spend half a second on one chunk of rows.
_ZLIB_LEVEL: Final = 1
_ZSTD_LEVEL_MAX: Final = 3
_KEPT_BYTES: Final = 64 * 1024

# A zstd decoder gives back all it can make of what it gets, and 4 bytes can become a block of 128 KiB. So it
# gets little at a time: what comes out before the announced length is compared is 8 MiB at most.
_ZSTD_SLICE_BYTES: Final = 256
_ZSTD_WINDOW_BYTES_MAX: Final = 1 << 24


class Scheme(StrEnum):
    """How frames are compressed."""

    ZLIB = "zlib"
    ZSTD = "zstd"


def scheme_of(capabilities: Capability) -> Scheme | None:
    """Return what was agreed on at login; as the servers do, zlib of both."""
    if capabilities & Capability.COMPRESS:
        return Scheme.ZLIB
    return Scheme.ZSTD if capabilities & Capability.ZSTD else None


class _Inflater:
    """Makes one frame's payload longer again, never longer than it said it would be."""

    __slots__ = ("_left", "_stream", "_zlib")

    def __init__(self, scheme: Scheme, announced: int) -> None:
        self._left = announced
        self._zlib: zlib._Decompress | None = None
        self._stream: zlib._Decompress | zstandard.ZstdDecompressionObj
        if scheme is Scheme.ZLIB:
            self._stream = self._zlib = zlib.decompressobj()
        else:
            # One of its own for each frame: it keeps much that a client that rests does not need.
            self._stream = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES_MAX).decompressobj()

    @property
    def over(self) -> bool:
        """Whether the payload has come to its end."""
        return self._stream.eof

    def inflate(self, data: bytes, piece_bytes: int) -> tuple[bytes, int]:
        """Return the next bytes of the inside, and how many bytes of `data` they took."""
        try:
            if self._zlib is not None:
                # One byte more than may come shows that more would come.
                piece = self._zlib.decompress(data, min(piece_bytes, self._left + 1))
                used = len(data) - len(self._zlib.unconsumed_tail)
            else:
                used = min(len(data), _ZSTD_SLICE_BYTES)
                piece = self._stream.decompress(data[:used])
        except (zlib.error, zstandard.ZstdError) as error:
            raise RemoteError(f"a compressed frame cannot be read: {error}") from error
        self._left -= len(piece)
        if self._left < 0 or self._stream.unused_data:
            raise RemoteError("a compressed frame holds more than its header says")
        return piece, used

    def check_complete(self) -> None:
        """Raise RemoteError when there should have been more."""
        if self._left or not self._stream.eof:
            raise RemoteError("a compressed frame holds less than its header says")


class _Packets:
    """Walks a stream of packets and numbers the frames of those that take several.

    Inside compression, MariaDB's client library gives each of them the number 0, and servers do not look. One
    that is passed on to a server without compression is refused then (error 1156).
    """

    __slots__ = ("_continued", "_header", "_left", "_number")

    def __init__(self) -> None:
        self._header = b""
        self._left = 0
        self._number = 0
        self._continued = False

    def walk(self, data: bytes) -> tuple[bytes, int]:
        """Take the next bytes; return them numbered, and where in them the last whole packet ends, or 0."""
        mended: bytearray | None = None
        at, end, whole = 0, len(data), 0
        while at < end:
            step = min(self._left, end - at)
            at += step
            self._left -= step
            if self._left:
                break
            whole = at
            missing = HEADER_BYTES - len(self._header)
            self._header += data[at : at + missing]
            at = min(at + missing, end)
            if len(self._header) < HEADER_BYTES:
                break
            number = (self._number + 1) & 0xFF if self._continued else self._header[3]
            if number != self._header[3]:
                mended = mended or bytearray(data)
                mended[at - 1] = number
            self._number = number
            self._left = int.from_bytes(self._header[:3], "little")
            self._continued = self._left == MAX_FRAME
            self._header = b""
            if not self._left:
                whole = at
        return bytes(mended) if mended is not None else data, whole


@functools.cache
def _compressor(level: int) -> zstandard.ZstdCompressor:
    """What compresses at once is shared by all: between two calls it holds nothing of anybody's."""
    return zstandard.ZstdCompressor(level=level)


class _Deflater:
    """Makes what goes into one frame shorter, as it comes; `level` is zstd's, 0 for zlib."""

    __slots__ = ("_level", "_packed", "_parts", "_stream", "size")

    def __init__(self, level: int) -> None:
        self.size = 0
        """How much has gone in."""
        self._level = level
        self._parts: list[bytes] = []
        self._packed: list[bytes] = []
        self._stream: zlib._Compress | zstandard.ZstdCompressionObj | None = None

    def add(self, data: bytes) -> None:
        """Take more."""
        self.size += len(data)
        self._parts.append(data)
        if self.size > _KEPT_BYTES:
            if self._stream is None and self._level:
                self._stream = zstandard.ZstdCompressor(level=self._level).compressobj()
            elif self._stream is None:
                self._stream = zlib.compressobj(_ZLIB_LEVEL)
            self._packed += map(self._stream.compress, self._parts)
            self._parts.clear()

    def finish(self) -> tuple[bytes, int]:
        """Return the frame's payload, and the length of what is inside; 0 when that is as it was."""
        if self._stream is not None:
            return b"".join([*self._packed, self._stream.flush()]), self.size
        inside = b"".join(self._parts)
        if self.size >= COMPRESS_BYTES_MIN:
            level = self._level
            packed = _compressor(level).compress(inside) if level else zlib.compress(inside, _ZLIB_LEVEL)
            if len(packed) < self.size:
                return packed, self.size
        return inside, 0


class FrameCodec:
    """Both directions of one compressed connection, seen from the server.

    `feed` what the client sends, then `take` what is inside until nothing comes; `wrap` what the client is
    to be sent. Frames are numbered across both directions from 0, and anew with each command.
    """

    __slots__ = (
        "_deflater",
        "_inflater",
        "_input",
        "_left",
        "_level",
        "_received",
        "_scheme",
        "_sent",
        "_sequence",
    )

    def __init__(self, scheme: Scheme, level: int = ZSTD_LEVEL_DEFAULT) -> None:
        self._sequence = 0
        self._input = bytearray()
        self._left = 0
        self._inflater: _Inflater | None = None
        self._received = _Packets()
        self._scheme = scheme
        self._level = max(1, min(level, _ZSTD_LEVEL_MAX)) if scheme is Scheme.ZSTD else 0
        self._deflater = _Deflater(self._level)
        self._sent = _Packets()

    def feed(self, data: bytes) -> None:
        """Keep a chunk for `take`."""
        self._input += data

    def take(self, piece_bytes: int) -> bytes:
        """Return the next bytes from inside the frames; nothing when more must be fed first.

        They are about `piece_bytes` at most, and of one frame: a command sent by itself is returned by
        itself. Raises RemoteError when the bytes fed are not frames.
        """
        parts: list[bytes] = []
        wanted = piece_bytes
        while wanted > 0:
            if not self._left and self._inflater is None and (parts or not self._open_frame()):
                break
            piece, used = self._next_piece(wanted)
            if piece:
                parts.append(piece)
                wanted -= len(piece)
            elif not used:
                break
        return self._received.walk(b"".join(parts))[0]

    def wrap(self, data: bytes) -> bytes:
        """Return frames with whole packets inside; the beginning of one waits for its end, being compressed.

        Connector/Python expects a packet to end in the frame it begins in, or in the next one. So does this
        end, as frames are as long as they can be.
        """
        _, whole = self._sent.walk(data)
        frames: list[bytes] = []
        if whole:
            self._add(data[:whole], frames)
            frames.append(self.flush())
        self._add(data[whole:], frames)
        return b"".join(frames)

    def flush(self) -> bytes:
        """Return a frame with what waits for the end of its packet, or nothing."""
        if not self._deflater.size:
            return b""
        payload, announced = self._deflater.finish()
        header = _header(len(payload), self._sequence, announced)
        self._deflater = _Deflater(self._level)
        self._sequence = (self._sequence + 1) & 0xFF
        return header + payload

    def _add(self, data: bytes, frames: list[bytes]) -> None:
        """Put bytes into frames; those that are full go to the list."""
        while data:
            room = FRAME_INSIDE_MAX - self._deflater.size
            self._deflater.add(data[:room])
            data = data[room:]
            if data:
                frames.append(self.flush())

    def _open_frame(self) -> bool:
        """Read the next frame's header; say whether it is there."""
        if len(self._input) < FRAME_HEADER_BYTES:
            return False
        header = bytes(self._input[:FRAME_HEADER_BYTES])
        del self._input[:FRAME_HEADER_BYTES]
        length, number = int.from_bytes(header[:3], "little"), header[3]
        announced = int.from_bytes(header[4:], "little")
        if number not in (0, self._sequence):
            raise RemoteError(f"a compressed frame has number {number} in place of {self._sequence}")
        if not length:
            raise RemoteError("a compressed frame is empty")
        self._sequence = (number + 1) & 0xFF
        self._left = length
        if announced:
            self._inflater = _Inflater(self._scheme, announced)
        return True

    def _next_piece(self, wanted: int) -> tuple[bytes, int]:
        """Return the frame's next bytes, and how many of the input they took; close it at its end."""
        inflater = self._inflater
        visible = bytes(self._input[: min(self._left, wanted)])
        if inflater is None:
            piece, used = visible, len(visible)
        else:
            piece, used = inflater.inflate(visible, wanted)
        del self._input[:used]
        self._left -= used
        # What zlib has swallowed may be longer than what was wanted of it: the end is where nothing comes.
        if inflater is not None and (inflater.over or not (self._left or piece or used)):
            if self._left:
                raise RemoteError("a compressed frame holds more than its header says")
            inflater.check_complete()
            self._inflater = None
        return piece, used


def _header(length: int, number: int, announced: int) -> bytes:
    return length.to_bytes(3, "little") + bytes((number,)) + announced.to_bytes(3, "little")
