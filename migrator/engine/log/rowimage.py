"""I find the key columns in the row images of one table, and skip everything else.

Sources: the servers' own pages on the table map and rows events (classbinary__log_1_1Table__map__event.html,
classbinary__log_1_1Rows__event.html, mariadb.com/kb/en/rows_event_v1v2-rows_compressed_event_v1).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from migrator.engine.table.keys import Key, KeyColumn
from migrator.errors import SourceChanged, StreamBroken

# Type numbers of the protocol (field_types.h); MariaDB's own are 140 and 141.
TINY, SHORT, LONG, FLOAT, DOUBLE, NULL, TIMESTAMP, LONGLONG, INT24 = range(1, 10)
DATE, TIME, DATETIME, YEAR, NEWDATE, VARCHAR, BIT, TIMESTAMP2, DATETIME2, TIME2 = range(10, 20)
BLOB_COMPRESSED, VARCHAR_COMPRESSED = 140, 141
VECTOR, JSON, NEWDECIMAL, ENUM, SET = 242, 245, 246, 247, 248
TINY_BLOB, MEDIUM_BLOB, LONG_BLOB, BLOB, VAR_STRING, STRING, GEOMETRY = range(249, 256)

_FIXED = {TINY: 1, SHORT: 2, INT24: 3, LONG: 4, LONGLONG: 8, YEAR: 1, DATE: 3, NEWDATE: 3, TIME: 3} | {
    DATETIME: 8,
    TIMESTAMP: 4,
    NULL: 0,
}
_ONE_BYTE_OF_METADATA = frozenset(
    {FLOAT, DOUBLE, BLOB, TINY_BLOB, MEDIUM_BLOB, LONG_BLOB, GEOMETRY, JSON, VECTOR}
    | {TIMESTAMP2, DATETIME2, TIME2, BLOB_COMPRESSED}
)
_TWO_BYTES_OF_METADATA = frozenset(
    {VARCHAR, VARCHAR_COMPRESSED, BIT, NEWDECIMAL, VAR_STRING, STRING, ENUM, SET}
)
_BLOBS = frozenset({BLOB, TINY_BLOB, MEDIUM_BLOB, LONG_BLOB, GEOMETRY, JSON, VECTOR, BLOB_COMPRESSED})
# Ways over an image, one for each set of columns that are NULL, that are kept.
WALKS_MAX = 1024
_DIGIT_BYTES = (0, 1, 1, 2, 2, 3, 3, 4, 4, 4)

_INTEGERS = {"tinyint": TINY, "smallint": SHORT, "mediumint": INT24, "int": LONG, "bigint": LONGLONG}
# The type number by which a column of each type that can be in a key is logged.
_LOGGED_AS = {
    **_INTEGERS,
    "year": YEAR,
    "decimal": NEWDECIMAL,
    "enum": ENUM,
    "set": SET,
    "bit": BIT,
    "date": DATE,
    "datetime": DATETIME2,
    "timestamp": TIMESTAMP2,
    "time": TIME2,
    "binary": STRING,
    "varbinary": VARCHAR,
    "char": STRING,
    "varchar": VARCHAR,
    "uuid": STRING,
    "inet4": STRING,
    "inet6": STRING,
}
_SMALL = {(1, True): "<b", (1, False): "<B", (2, True): "<h", (2, False): "<H"} | {
    (4, True): "<i",
    (4, False): "<I",
    (8, True): "<q",
    (8, False): "<Q",
}
_MISSING: Any = object()

# How to walk over one image: (bytes to skip, bytes of a length, bytes without one, part of the key or -1).
_Step = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class ColumnImage:
    """How a column is laid out in row images: `fixed` bytes, or a length in `prefix` bytes before it."""

    type: int
    metadata: int
    fixed: int
    prefix: int


def column_images(types: bytes, metadata: bytes) -> tuple[ColumnImage, ...]:
    """Read the layouts out of a table map event; raises StreamBroken for a type it does not know."""
    images, at = [], 0
    for type_ in types:
        if type_ in _ONE_BYTE_OF_METADATA:
            value, at = metadata[at], at + 1
        elif type_ in _TWO_BYTES_OF_METADATA:
            value, at = metadata[at] | metadata[at + 1] << 8, at + 2
        else:
            value = 0
        images.append(_layout(type_, value))
    return tuple(images)


def _layout(type_: int, metadata: int) -> ColumnImage:
    if type_ in _FIXED:
        return ColumnImage(type_, metadata, _FIXED[type_], 0)
    if type_ in (FLOAT, DOUBLE):
        return ColumnImage(type_, metadata, metadata, 0)
    if type_ in _BLOBS:
        return ColumnImage(type_, metadata, 0, metadata)
    if type_ in (VARCHAR, VARCHAR_COMPRESSED, VAR_STRING):
        return ColumnImage(type_, metadata, 0, 1 if metadata < 256 else 2)
    if type_ in (TIMESTAMP2, DATETIME2, TIME2):
        base = {TIMESTAMP2: 4, DATETIME2: 5, TIME2: 3}[type_]
        return ColumnImage(type_, metadata, base + (metadata + 1) // 2, 0)
    if type_ == NEWDECIMAL:
        return ColumnImage(type_, metadata, _decimal_bytes(metadata & 0xFF, metadata >> 8), 0)
    if type_ == BIT:
        bits, full = metadata & 0xFF, metadata >> 8
        return ColumnImage(type_, metadata, full + (bits > 0), 0)
    if type_ in (STRING, ENUM, SET):
        real, length = metadata & 0xFF, metadata >> 8
        if real in (ENUM, SET):
            return ColumnImage(real, metadata, length, 0)
        # The two high bits of a length above 255 hide, inverted, in the type (log_event.h, "Field_string").
        length |= ((real & 0x30) ^ 0x30) << 4
        return ColumnImage(STRING, length, 0, 1 if length < 256 else 2)
    raise StreamBroken(
        f"the table has a column of type number {type_}, whose row images are not understood",
        hint="multi-valued indexes on JSON arrays make such columns: drop the index, add it again later",
    )


def _decimal_bytes(precision: int, scale: int) -> int:
    whole = precision - scale
    return whole // 9 * 4 + _DIGIT_BYTES[whole % 9] + scale // 9 * 4 + _DIGIT_BYTES[scale % 9]


def decimal_of(data: bytes, precision: int, scale: int) -> Decimal:
    """Read a packed DECIMAL: big-endian groups of nine digits, the sign bit inverted (strings/decimal.cc)."""
    negative = not data[0] & 0x80
    raw = bytes((data[0] ^ 0x80,)) + data[1:]
    if negative:
        raw = bytes((data[0] ^ 0x80 ^ 0xFF,)) + bytes(b ^ 0xFF for b in data[1:])
    whole = precision - scale
    groups = [whole % 9, *[9] * (whole // 9)], [*[9] * (scale // 9), scale % 9]
    at, texts = 0, ["", ""]
    for side, digits_of_groups in enumerate(groups):
        for digits in digits_of_groups:
            size = _DIGIT_BYTES[digits]
            if digits:
                texts[side] += str(int.from_bytes(raw[at : at + size], "big")).zfill(digits)
            at += size
    text = f"{texts[0] or '0'}.{texts[1]}" if texts[1] else texts[0]
    # A minus sign would round to the context's precision.
    return Decimal(text).copy_negate() if negative else Decimal(text)


def _fraction(data: bytes, digits: int) -> str:
    if not digits:
        return ""
    value = int.from_bytes(data[: (digits + 1) // 2], "big")
    return "." + str(value).zfill((digits + 1) // 2 * 2)[:digits]


def date_of(data: bytes) -> str:
    """Read a DATE as the server writes it in text."""
    value = int.from_bytes(data, "little")
    return f"{value >> 9:04}-{value >> 5 & 15:02}-{value & 31:02}"


def datetime_of(data: bytes, digits: int) -> str:
    """Read a DATETIME as the server writes it in text."""
    packed = int.from_bytes(data[:5], "big") - 0x8000000000
    day, second = packed >> 17, packed & 0x1FFFF
    year, month = divmod(day >> 5, 13)
    clock = f"{second >> 12:02}:{second >> 6 & 63:02}:{second & 63:02}"
    return f"{year:04}-{month:02}-{day & 31:02} {clock}{_fraction(data[5:], digits)}"


def timestamp_of(data: bytes, digits: int) -> str:
    """Read a TIMESTAMP as a server in time zone +00:00 writes it in text."""
    seconds = int.from_bytes(data[:4], "big")
    if not seconds:
        return "0000-00-00 00:00:00" + _fraction(data[4:], digits)
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    return f"{moment:%Y-%m-%d %H:%M:%S}{_fraction(data[4:], digits)}"


def time_of(data: bytes, digits: int) -> str:
    """Read a TIME2 value of so many fractional digits."""
    fraction_bytes = (digits + 1) // 2
    # Hours, minutes, seconds and the fraction are one number, stored with its sign's place added.
    packed = int.from_bytes(data, "big") - (0x800000 << 8 * fraction_bytes)
    sign, packed = ("-", -packed) if packed < 0 else ("", packed)
    whole = packed >> 8 * fraction_bytes
    text = f"{sign}{whole >> 12 & 0x3FF:02}:{whole >> 6 & 0x3F:02}:{whole & 0x3F:02}"
    return text + _fraction((packed & (1 << 8 * fraction_bytes) - 1).to_bytes(fraction_bytes, "big"), digits)


def _value_reader(column: KeyColumn, image: ColumnImage) -> Callable[[bytes], Any]:
    """Return what turns the raw bytes of a key column (without a length in front) into its value.

    Texts stay bytes in their character set, ENUM and SET are their numbers, UUID and the addresses of MariaDB
    are their bytes in the order in which they are written.
    """
    kind = column.data_type
    if kind in _INTEGERS:
        return _integer_reader(image.fixed, signed=not column.unsigned)
    if kind in ("enum", "set"):
        return _integer_reader(image.fixed, signed=False)
    if kind == "bit":
        return lambda raw: int.from_bytes(raw, "big")
    if kind == "year":
        return lambda raw: raw[0] + 1900 if raw[0] else 0
    if kind == "decimal":
        precision, scale = image.metadata & 0xFF, image.metadata >> 8
        return lambda raw: decimal_of(raw, precision, scale)
    if kind == "date":
        return date_of
    digits = image.metadata
    if kind == "datetime":
        return lambda raw: datetime_of(raw, digits)
    if kind == "timestamp":
        return lambda raw: timestamp_of(raw, digits)
    if kind == "time":
        return lambda raw: time_of(raw, digits)
    if kind in ("binary", "uuid", "inet4", "inet6"):
        # Trailing zero bytes are not written to the log.
        length = {"uuid": 16, "inet6": 16, "inet4": 4}.get(kind, column.length)
        return lambda raw: raw.ljust(length, b"\0")
    return bytes


def _integer_reader(size: int, *, signed: bool) -> Callable[[bytes], int]:
    if (size, signed) in _SMALL:
        unpack = struct.Struct(_SMALL[size, signed]).unpack
        return lambda raw: int(unpack(raw)[0])
    return lambda raw: int.from_bytes(raw, "little", signed=signed)


class RowImages:
    """The row images of one table map: walks over rows and returns their keys.

    `positions` say where the columns of the key are. Raises SourceChanged when the map does not have the
    key's columns there, which means that somebody altered the table.
    """

    def __init__(
        self, images: Sequence[ColumnImage], key: Sequence[KeyColumn], positions: Sequence[int], table: str
    ) -> None:
        self.images = tuple(images)
        self.json_columns = sum(image.type == JSON for image in images)
        for column, position in zip(key, positions, strict=True):
            logged_as = _LOGGED_AS.get(column.data_type)
            if position >= len(images) or images[position].type != logged_as:
                raise SourceChanged(
                    f"column {column.name} of {table} is no longer what it was when the change began",
                    hint="somebody altered the table directly: cancel this deployment and start a new one",
                )
        self._readers = [
            _value_reader(column, images[position]) for column, position in zip(key, positions, strict=True)
        ]
        self._parts = {position: part for part, position in enumerate(positions)}
        self._table = table
        self._plans: dict[bytes, Image] = {}

    def image(self, bitmap: bytes) -> Image:
        """Return how to read images that hold the columns of this bitmap."""
        image = self._plans.get(bitmap)
        if image is None:
            present = [n for n in range(len(self.images)) if bitmap[n >> 3] >> (n & 7) & 1]
            columns = [(self.images[n], self._parts.get(n, -1)) for n in present]
            image = self._plans[bitmap] = Image(columns, self._readers, self._table)
        return image


class Image:
    """How to read the row images that hold certain columns of a table."""

    def __init__(
        self,
        columns: Sequence[tuple[ColumnImage, int]],
        readers: Sequence[Callable[[bytes], Any]],
        table: str,
    ) -> None:
        self._columns, self._readers, self._table = columns, readers, table
        self._null_bytes = (len(columns) + 7) // 8
        self._walks: dict[bytes, tuple[tuple[_Step, ...], int]] = {}
        self._single = len(readers) == 1
        self.has_key = any(part >= 0 for _, part in columns)

    def read(self, data: bytes, at: int, end: int, before: Key = _MISSING) -> tuple[Key, int]:
        """Return the key in the image that begins at `at`, and where it ends.

        Parts that the image leaves out are those of `before`.
        """
        nulls = data[at : at + self._null_bytes]
        walk = self._walks.get(nulls)
        if walk is None:
            walk = self._walk_over(nulls)
        at += self._null_bytes
        steps, rest = walk
        readers = self._readers
        if self._single:
            key = before
            for skip, prefix, size, part in steps:
                at += skip
                if prefix == 1:
                    size, at = data[at], at + 1
                elif prefix:
                    size, at = int.from_bytes(data[at : at + prefix], "little"), at + prefix
                if part >= 0:
                    key = readers[0](data[at : at + size])
                at += size
        else:
            values = [_MISSING] * len(readers) if before is _MISSING else list(before)
            for skip, prefix, size, part in steps:
                at += skip
                if prefix == 1:
                    size, at = data[at], at + 1
                elif prefix:
                    size, at = int.from_bytes(data[at : at + prefix], "little"), at + prefix
                if part >= 0:
                    values[part] = readers[part](data[at : at + size])
                at += size
            key = _MISSING if _MISSING in values else tuple(values)
        at += rest
        if at > end:
            raise StreamBroken(f"a row of {self._table} in the binary log ends too early")
        if key is _MISSING:
            raise StreamBroken(
                f"the binary log does not hold the key of a changed row of {self._table}",
                hint="set binlog_row_image=FULL on the server and start again",
            )
        return key, at

    def _walk_over(self, nulls: bytes) -> tuple[tuple[_Step, ...], int]:
        """Put neighbours of fixed size together, so that a row costs one step for each that is not."""
        steps: list[_Step] = []
        skip = 0
        for n, (image, part) in enumerate(self._columns):
            if nulls[n >> 3] >> (n & 7) & 1:
                continue
            if part < 0 and not image.prefix:
                skip += image.fixed
                continue
            steps.append((skip, image.prefix, image.fixed, part))
            skip = 0
        if len(self._walks) >= WALKS_MAX:
            self._walks.clear()
        walk = self._walks[nulls] = (tuple(steps), skip)
        return walk
