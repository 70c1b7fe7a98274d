"""I read the PROXY protocol header in which a load balancer says whose connection it passes on.

Source: The PROXY protocol, versions 1 and 2 (proxy-protocol.txt of HAProxy), sections 2.1 and 2.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final

from proxy.wire.errors import RemoteError

TEXT_BYTES_MAX: Final = 107
"""The longest header of version 1, its line end included."""
BINARY_BYTES_MAX: Final = 16 + 4096
"""The longest header of version 2 that is taken; the format allows 65,535 bytes after the first 16."""

_SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
_TEXT_START: Final = b"PROXY "
_FIXED_BYTES: Final = 16
_START_BYTES: Final = len(_SIGNATURE)
_LINE_END: Final = b"\r\n"
_TEXT_FIELDS: Final = 6

_LOCAL, _PROXY = 0x20, 0x21
_UNSPECIFIED, _TCP4, _TCP6, _UNIX_STREAM = 0x00, 0x11, 0x21, 0x31
_ADDRESS_BYTES: Final = {_UNSPECIFIED: 0, _TCP4: 12, _TCP6: 36, _UNIX_STREAM: 216}


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """Whose connection it is.

    `source` is empty when the header names nobody (version 1 UNKNOWN, version 2 LOCAL, a Unix socket): then
    the connection is the load balancer's own, a health check for example. An IPv4 address written as an
    IPv6 one is given as IPv4, so that it matches what address lists say.
    """

    source: str = ""
    port: int = 0


class ProxyHeaderReader:
    """Finds the end of a header without ever asking for a byte behind it.

    Read at most `missing` bytes and `feed` them, until `header` is there. What follows the header belongs
    to somebody else: to TLS, or to the login.
    """

    __slots__ = ("_data", "header", "missing")

    def __init__(self) -> None:
        self._data = b""
        self.header: ProxyHeader | None = None
        self.missing = _START_BYTES
        """How many bytes the header has more, at least; 0 when it is complete."""

    def feed(self, data: bytes) -> None:
        """Take at most `missing` bytes. Raises RemoteError as soon as they cannot be a header."""
        if not data or len(data) > self.missing:
            raise ValueError("feed takes what was missing, or a part of it")
        self._data += data
        start = self._data[:_START_BYTES]
        if _SIGNATURE.startswith(start):
            self._read_binary()
        elif start.startswith(_TEXT_START) or _TEXT_START.startswith(start):
            self._read_text()
        else:
            raise RemoteError("the connection does not begin with a PROXY protocol header")

    def _read_text(self) -> None:
        data = self._data
        if data.endswith(_LINE_END):
            self.missing = 0
            self.header = _parse_text(data[: -len(_LINE_END)])
        elif b"\n" in data:
            raise RemoteError("a PROXY protocol header has a line end that is not CR LF")
        elif len(data) < _START_BYTES:
            self.missing = _START_BYTES - len(data)
        elif data.endswith(b"\r"):
            self.missing = 1
        else:
            # Each field that is still to come has a space before it and at least one character.
            fields = 0 if data.startswith(b"PROXY U") else _TEXT_FIELDS - 1 - data.count(b" ")
            self.missing = 2 * max(fields, 0) + len(_LINE_END)
        if len(data) + self.missing > TEXT_BYTES_MAX:
            raise RemoteError(f"a PROXY protocol header is longer than {TEXT_BYTES_MAX} bytes")

    def _read_binary(self) -> None:
        data = self._data
        if len(data) < _FIXED_BYTES:
            self.missing = (_START_BYTES if len(data) < _START_BYTES else _FIXED_BYTES) - len(data)
            return
        command, family = data[12], data[13]
        if command not in (_LOCAL, _PROXY):
            raise RemoteError(f"a PROXY protocol header has version and command 0x{command:02X}")
        length = int.from_bytes(data[14:16], "big")
        if _FIXED_BYTES + length > BINARY_BYTES_MAX:
            raise RemoteError(f"a PROXY protocol header announces {length} bytes")
        if command == _PROXY:
            if family not in _ADDRESS_BYTES:
                raise RemoteError(f"a PROXY protocol header has address family 0x{family:02X}")
            if length < _ADDRESS_BYTES[family]:
                raise RemoteError(f"a PROXY protocol header has {length} bytes, too few for its addresses")
        self.missing = _FIXED_BYTES + length - len(data)
        if not self.missing:
            self.header = ProxyHeader() if command == _LOCAL else _parse_addresses(family, data)


def _parse_text(line: bytes) -> ProxyHeader:
    """Parse a version 1 header without its line end."""
    if line == b"PROXY UNKNOWN" or line.startswith(b"PROXY UNKNOWN "):
        return ProxyHeader()
    fields = line.split(b" ")
    if len(fields) != _TEXT_FIELDS or fields[1] not in (b"TCP4", b"TCP6"):
        raise RemoteError("a PROXY protocol header has other fields than TCP4 or TCP6, addresses and ports")
    kind = IPv4Address if fields[1] == b"TCP4" else IPv6Address
    try:
        # The destination and its port are not used, but must be right as well.
        source, _ = (kind(field.decode("ascii")) for field in fields[2:4])
    except (AddressValueError, UnicodeDecodeError) as error:
        raise RemoteError("a PROXY protocol header has an address that is none") from error
    port, _ = (_port(field) for field in fields[4:])
    return ProxyHeader(_plain(source), port)


def _port(field: bytes) -> int:
    if not field.isdigit() or len(field) > 5 or int(field) > 0xFFFF:
        raise RemoteError("a PROXY protocol header has a port that is none")
    return int(field)


def _parse_addresses(family: int, data: bytes) -> ProxyHeader:
    """Parse the addresses of a version 2 header; what follows them (TLVs) is skipped."""
    if family == _TCP4:
        return ProxyHeader(_plain(IPv4Address(data[16:20])), int.from_bytes(data[24:26], "big"))
    if family == _TCP6:
        return ProxyHeader(_plain(IPv6Address(data[16:32])), int.from_bytes(data[48:50], "big"))
    return ProxyHeader()


def _plain(address: IPv4Address | IPv6Address) -> str:
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            raise RemoteError("a PROXY protocol header has an address with a zone")
        return str(address.ipv4_mapped or address)
    return str(address)
