"""I find the key columns in the row images of one table, and skip everything else.

Sources: the servers' own pages on the table map and rows events (classbinary__log_1_1Table__map__event.html,
classbinary__log_1_1Rows__event.html, mariadb.com/kb/en/rows_event_v1v2-rows_compressed_event_v1).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from migrator.engine.keys import Key, KeyColumn, KeyKind
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
_DIGIT_BYTES = (0, 1, 1, 2, 2, 3, 3, 4, 4, 4)

_INTEGER_TYPES = {
    "tinyint": TINY,
    "smallint": SHORT,
    "mediumint": INT24,
    "int": LONG,
    "bigint": LONGLONG,
    "year": YEAR,
}
_OTHER_TYPES = {
    "decimal": NEWDECIMAL,
    "date": DATE,
    "datetime": DATETIME2,
    "timestamp": TIMESTAMP2,
    "binary": STRING,
    "varbinary": VARCHAR,
}


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


def _value_reader(column: KeyColumn, image: ColumnImage) -> Callable[[bytes], Any]:
    """Return what turns the raw bytes of a key column (without a length in front) into its value."""
    if column.kind is KeyKind.INTEGER:
        if image.type == YEAR:
            return lambda raw: raw[0] + 1900 if raw[0] else 0
        signed = not column.unsigned
        return lambda raw: int.from_bytes(raw, "little", signed=signed)
    if column.kind is KeyKind.DECIMAL:
        precision, scale = image.metadata & 0xFF, image.metadata >> 8
        return lambda raw: decimal_of(raw, precision, scale)
    if column.kind is KeyKind.BINARY:
        # Trailing zero bytes of BINARY(n) are not written to the log.
        length = column.length
        return lambda raw: raw.ljust(length, b"\0")
    if image.type == DATE:
        return date_of
    digits = image.metadata
    if image.type == DATETIME2:
        return lambda raw: datetime_of(raw, digits)
    return lambda raw: timestamp_of(raw, digits)


class RowImages:
    """The row images of one table map: walks over rows and returns their keys.

    `positions` say where the columns of the key are. Raises SourceChanged when the map does not have the
    key's columns there, which means that somebody altered the table.
    """

    def __init__(
        self, images: Sequence[ColumnImage], key: Sequence[KeyColumn], positions: Sequence[int], table: str
    ) -> None:
        self.images = tuple(images)
        self.positions = tuple(positions)
        self.json_columns = sum(image.type == JSON for image in images)
        expected = {**_INTEGER_TYPES, **_OTHER_TYPES}
        for column, position in zip(key, positions, strict=True):
            if position >= len(images) or images[position].type != expected[column.data_type]:
                raise SourceChanged(
                    f"column {column.name} of {table} is no longer what it was when the change began",
                    hint="somebody altered the table directly: cancel this deployment and start a new one",
                )
        self._readers = {
            position: _value_reader(column, images[position])
            for column, position in zip(key, positions, strict=True)
        }
        self._table = table
        self._plans: dict[bytes, tuple[tuple[int, ColumnImage], ...]] = {}

    def present(self, bitmap: bytes) -> tuple[tuple[int, ColumnImage], ...]:
        """Return the columns that images with this bitmap hold."""
        plan = self._plans.get(bitmap)
        if plan is None:
            plan = tuple((n, image) for n, image in enumerate(self.images) if bitmap[n >> 3] >> (n & 7) & 1)
            self._plans[bitmap] = plan
        return plan

    def read(
        self, data: bytes, at: int, plan: tuple[tuple[int, ColumnImage], ...], found: dict[int, Any]
    ) -> int:
        """Walk over one row image from `at`, put the key's values into `found`, return where it ends."""
        nulls, at = at, at + (len(plan) + 7) // 8
        readers = self._readers
        for n, (position, image) in enumerate(plan):
            if data[nulls + (n >> 3)] >> (n & 7) & 1:
                continue
            if image.prefix:
                size = int.from_bytes(data[at : at + image.prefix], "little")
                at += image.prefix
            else:
                size = image.fixed
            if position in readers:
                found[position] = readers[position](data[at : at + size])
            at += size
        if at > len(data):
            raise StreamBroken(f"a row of {self._table} in the binary log ends too early")
        return at

    def key_of(self, found: dict[int, Any], otherwise: dict[int, Any]) -> Key:
        """Make a key of the values found; parts an image left out are those of the image before it."""
        values = [found.get(p, otherwise.get(p, found)) for p in self.positions]
        if any(value is found for value in values):
            raise StreamBroken(
                f"the binary log does not hold the key of a changed row of {self._table}",
                hint="set binlog_row_image=FULL on the server and start again",
            )
        return values[0] if len(values) == 1 else tuple(values)
