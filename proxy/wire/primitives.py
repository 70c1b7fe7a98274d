"""I read and write the protocol's integers and strings.

Source: page_protocol_basic_data_types.html of the server's developer manual.
"""

from __future__ import annotations

from collections.abc import Iterable

from proxy.wire.errors import LocalError, RemoteError

_LENENC_SIZES = {0xFC: 2, 0xFD: 3, 0xFE: 8}
_SHORT = [bytes((size,)) for size in range(0xFB)]


class Reader:
    """A position in one packet's payload; reading past its end raises RemoteError."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes, at: int = 0) -> None:
        self._data = data
        self._at = at

    @property
    def remaining(self) -> int:
        """How many bytes are left."""
        return len(self._data) - self._at

    def take(self, size: int) -> bytes:
        """Read exactly `size` bytes."""
        if size > len(self._data) - self._at:
            raise RemoteError(f"a packet ends {size - self.remaining} bytes too early")
        start = self._at
        self._at = start + size
        return self._data[start : self._at]

    @property
    def position(self) -> int:
        """Where in the payload the next byte is."""
        return self._at

    def uint(self, size: int) -> int:
        """Read a little-endian unsigned integer of `size` bytes."""
        data, at = self._data, self._at
        if size > len(data) - at:
            raise RemoteError(f"a packet ends {size - self.remaining} bytes too early")
        self._at = at + size
        if size == 1:
            return data[at]
        if size == 2:
            return data[at] | data[at + 1] << 8
        return int.from_bytes(data[at : at + size], "little")

    def lenenc_int(self) -> int:
        """Read a length-encoded integer; 0xFB and 0xFF are not one."""
        first = self.uint(1)
        if first < 0xFB:
            return first
        size = _LENENC_SIZES.get(first)
        if size is None:
            raise RemoteError(f"0x{first:02X} does not start a length-encoded integer")
        return self.uint(size)

    def lenenc_bytes(self) -> bytes:
        """Read a length-encoded string."""
        data, start = self._data, self._at + 1
        if start <= len(data) and data[start - 1] < 0xFB:
            end = start + data[start - 1]
            if end <= len(data):
                self._at = end
                return data[start:end]
        return self.take(self.lenenc_int())

    def null_terminated(self) -> bytes:
        """Read a string up to its NUL, and skip the NUL."""
        end = self._data.find(b"\0", self._at)
        if end < 0:
            raise RemoteError("a string in a packet has no end")
        start, self._at = self._at, end + 1
        return self._data[start:end]

    def rest(self) -> bytes:
        """Read everything that is left."""
        return self.take(self.remaining)


def lenenc_int(value: int) -> bytes:
    """Write a length-encoded integer."""
    if value < 0 or value >= 1 << 64:
        raise LocalError(f"{value} is not an unsigned 64-bit integer")
    if value < 0xFB:
        return bytes((value,))
    if value < 1 << 16:
        return b"\xfc" + value.to_bytes(2, "little")
    if value < 1 << 24:
        return b"\xfd" + value.to_bytes(3, "little")
    return b"\xfe" + value.to_bytes(8, "little")


def lenenc_bytes(value: bytes) -> bytes:
    """Write a length-encoded string."""
    size = len(value)
    return (_SHORT[size] if size < 0xFB else lenenc_int(size)) + value


def null_terminated(value: bytes) -> bytes:
    """Write a string that ends with NUL, and so cannot contain one."""
    if b"\0" in value:
        raise LocalError("a name for the server contains a NUL byte")
    return value + b"\0"


def lenenc_map(pairs: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Write key/value pairs with the total length in front, as connection attributes are."""
    return lenenc_bytes(b"".join(lenenc_bytes(key) + lenenc_bytes(value) for key, value in pairs))
