"""I know which values of a column another definition of it would refuse, or change without a word.

Each rule is an SQL condition on the values as they are. In strict mode both servers refuse what is out of
range, too long, or not in the character set; they round, cut off times of day and pad silently, and those
values are only found by looking for them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from migrator.schema.changes import character_set_of
from migrator.schema.model import Column

OUT_OF_RANGE, TOO_LONG, NOT_IN_CHARSET, TRUNCATED = 1264, 1406, 1366, 1265
NO_NULL, NOT_A_TIME, NOT_JSON = 1048, 1292, 3140

_INTEGER_BITS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}
_TEXT_BYTES = {"tinytext": 2**8 - 1, "text": 2**16 - 1, "mediumtext": 2**24 - 1, "longtext": 2**32 - 1}
_BLOB_BYTES = {"tinyblob": 2**8 - 1, "blob": 2**16 - 1, "mediumblob": 2**24 - 1, "longblob": 2**32 - 1}
_CHARACTER_BYTES = {"utf8mb4": 4, "utf16": 4, "utf16le": 4, "utf32": 4, "gb18030": 4, "utf8mb3": 3, "utf8": 3}
_CHARACTER_BYTES |= {"ujis": 3, "eucjpms": 3} | dict.fromkeys(
    ("ucs2", "gbk", "big5", "sjis", "cp932", "euckr", "gb2312"), 2
)
_UNICODE = frozenset({"utf8mb4", "utf16", "utf16le", "utf32"})
_MOMENTS = frozenset({"date", "datetime", "timestamp"})
_NUMBER = "^[[:space:]]*[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][-+]?[0-9]+)?[[:space:]]*$"
_MEMBER = re.compile(r"'((?:[^'\\]|''|\\.)*)'", re.DOTALL)
# Of a FLOAT only so much is known of its value; what differs by less is the same.
_FLOAT_DOUBT = "1e-6"


@dataclass(frozen=True, slots=True)
class Doubt:
    """Values that do not survive: `having` names them, `condition` finds them, empty when only a copy can.

    `errno` is how the server refuses them; None when it changes them silently.
    """

    having: str
    condition: str
    errno: int | None


def doubts(old: Column, new: Column, value: str) -> list[Doubt]:
    """List what may not survive when `value` (SQL of the old column) becomes one of the new column."""
    found = []
    if old.nullable and not new.nullable and new.generated is None:
        found.append(Doubt("NULL", f"{value} IS NULL", NO_NULL))
    if new.generated is not None or old.generated is not None:
        # Computed there, or carried over by nobody: not a conversion.
        return found
    if (old.type, old.collation) != (new.type, new.collation):
        found += _conversion(old, new, value)
    return found


def _conversion(old: Column, new: Column, value: str) -> list[Doubt]:
    source, target = _family(old), _family(new)
    rules = {
        "integer": _to_integer,
        "decimal": _to_decimal,
        "float": _to_float,
        "text": _to_text,
        "bytes": _to_bytes,
        "enum": _to_members,
        "set": _to_members,
        "json": _to_json,
        "moment": _to_moment,
        "time": _to_time,
    }
    if source == target == "other" and old.type.base != new.type.base:
        return [Doubt(f"values that are no {new.type}", "", TRUNCATED)]
    rule = rules.get(target)
    if rule is None:
        same = old.type == new.type
        return [] if same else [Doubt(f"values that are no {new.type}", "", TRUNCATED)]
    return rule(source, old, new, value)


def _family(column: Column) -> str:
    base = column.type.base
    if base in _INTEGER_BITS or base in ("year", "bit"):
        return "integer"
    if base in ("float", "double"):
        return "float"
    if base in ("char", "varchar") or base in _TEXT_BYTES:
        return "text"
    if base in ("binary", "varbinary") or base in _BLOB_BYTES:
        return "bytes"
    if base in _MOMENTS:
        return "moment"
    return base if base in ("decimal", "enum", "set", "json", "time") else "other"


# --- numbers ---------------------------------------------------------------------------------------------


def _integer_range(column: Column) -> tuple[int, int]:
    base = column.type.base
    if base == "year":
        return 0, 2155
    if base == "bit":
        return 0, 2 ** int(column.type.arguments or "1") - 1
    bits = _INTEGER_BITS[base]
    return (0, 2**bits - 1) if column.type.unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def _precision(column: Column) -> tuple[int, int]:
    parts = [int(part) for part in (column.type.arguments or "10").split(",")]
    return parts[0], parts[1] if len(parts) > 1 else 0


def _as_number(source: str, old: Column, value: str) -> tuple[str, list[Doubt]] | None:
    """Return a text's or number's numeric value with what is none; None when it has no natural one."""
    if source in ("integer", "decimal", "float"):
        return value, []
    if source == "text":
        doubt = Doubt(
            "texts that are no numbers", f"CAST({value} AS CHAR) NOT REGEXP '{_NUMBER}'", NOT_IN_CHARSET
        )
        return f"CAST({value} AS DECIMAL(65,20))", [doubt]
    return None


def _to_integer(source: str, old: Column, new: Column, value: str) -> list[Doubt]:
    low, high = _integer_range(new)
    if new.type.base == "year":
        low, high = 1901, 2155
    if source == "integer":
        old_low, old_high = _integer_range(old)
        outside = []
        if old_low < low:
            outside.append(f"{value} < {low}")
        if old_high > high:
            outside.append(f"{value} > {high}")
        if new.type.base == "year" and old.type.base != "year" and outside:
            outside = [f"({' OR '.join(outside)}) AND {value} <> 0"]
        condition = " OR ".join(outside)
        return [Doubt(f"values outside {low} … {high}", condition, OUT_OF_RANGE)] if condition else []
    if new.type.base == "bit" and source == "text":
        return [Doubt("texts, whose bytes become bits", f"{value} IS NOT NULL", TOO_LONG)]
    number = _as_number(source, old, value)
    if number is None:
        if source in ("enum", "set"):
            return [Doubt("members, which become their numbers", f"{value} IS NOT NULL", None)]
        if source == "bytes" and new.type.base == "bit":
            return [Doubt(f"values that are no {new.type}", "", TOO_LONG)]
        if source in ("moment", "time"):
            return [
                Doubt(
                    f"values outside {low} … {high}",
                    f"{value} + 0 NOT BETWEEN {low} AND {high}",
                    OUT_OF_RANGE,
                ),
                Doubt("fractions of a second", f"MICROSECOND({value}) <> 0", None),
            ]
        return [Doubt("values that are no numbers", "", NOT_IN_CHARSET)]
    numeric, found = number
    return [
        *found,
        Doubt(
            f"values outside {low} … {high}", f"ROUND({numeric}) NOT BETWEEN {low} AND {high}", OUT_OF_RANGE
        ),
        Doubt("digits behind the point", f"{numeric} <> ROUND({numeric})", None),
    ]


def _to_decimal(source: str, old: Column, new: Column, value: str) -> list[Doubt]:
    number = _as_number(source, old, value)
    if number is None:
        return [Doubt("values that are no numbers", "", NOT_IN_CHARSET)]
    numeric, found = number
    digits, scale = _precision(new)
    whole = digits - scale
    if source == "integer":
        low, high = _integer_range(old)
        wide = max(-low, high) < 10**whole
    elif source == "decimal":
        old_digits, old_scale = _precision(old)
        wide = old_digits - old_scale <= whole and old_scale <= scale
    else:
        wide = False
    if not wide:
        limit = f"1{'0' * whole}"
        rounded = f"ROUND({numeric}, {scale})"
        condition = f"({rounded} >= {limit} OR {rounded} <= -{limit})"
        found.append(Doubt(f"more than {whole} digits before the point", condition, OUT_OF_RANGE))
    if new.type.unsigned and not old.type.unsigned:
        found.append(Doubt("values below 0", f"{numeric} < 0", OUT_OF_RANGE))
    if source == "float" and old.type.base == "float":
        condition = f"ABS({numeric} - ROUND({numeric}, {scale})) > ABS({numeric}) * {_FLOAT_DOUBT}"
    elif source == "float":
        condition = f"{numeric} <> CAST({numeric} AS DECIMAL(65,{scale})) + 0e0"
    else:
        condition = f"{numeric} <> ROUND({numeric}, {scale})"
    if source in ("float", "text") or (source == "decimal" and _precision(old)[1] > scale):
        found.append(Doubt(f"more than {scale} digits behind the point", condition, None))
    return found


def _to_float(source: str, old: Column, new: Column, value: str) -> list[Doubt]:
    number = _as_number(source, old, value)
    if number is None:
        return [Doubt("values that are no numbers", "", NOT_IN_CHARSET)]
    numeric, found = number
    if new.type.unsigned and not old.type.unsigned and source != "integer":
        found.append(Doubt("values below 0", f"{numeric} < 0", OUT_OF_RANGE))
    exact = 2**24 if new.type.base == "float" else 2**53
    if source == "integer":
        low, high = _integer_range(old)
        if max(-low, high) > exact:
            kind = new.type.base.upper()
            back = f"CAST(CAST({numeric} AS {kind}) AS DECIMAL(65,0))"
            found.append(Doubt(f"more digits than {kind} holds", f"{numeric} <> {back}", None))
    elif source == "float" and old.type.base == "double" and new.type.base == "float":
        found.append(Doubt("values beyond 3.4e38", f"ABS({numeric}) > 3.4028234e38", OUT_OF_RANGE))
        rounded = f"ABS({numeric}) <= 3.4028234e38 AND {numeric} <> CAST({numeric} AS FLOAT)"
        found.append(Doubt("more digits than FLOAT holds", rounded, None))
    elif source == "decimal":
        back = f"CAST(CAST({numeric} AS {new.type.base.upper()}) AS DECIMAL(65,{_precision(old)[1]}))"
        found.append(Doubt(f"more digits than {new.type.base.upper()} holds", f"{numeric} <> {back}", None))
    if new.type.arguments and "," in new.type.arguments and new.type != old.type:
        digits, scale = _precision(new)
        found += [
            Doubt(
                f"more than {digits - scale} digits before the point",
                f"ABS(ROUND({numeric}, {scale})) >= 1{'0' * (digits - scale)}",
                OUT_OF_RANGE,
            ),
            Doubt(
                f"more than {scale} digits behind the point",
                f"ABS({numeric} - ROUND({numeric}, {scale})) > ABS({numeric}) * {_FLOAT_DOUBT}",
                None,
            ),
        ]
    return found


def character_bytes(collation: str | None) -> int:
    """Return how many bytes a character takes at most."""
    return _CHARACTER_BYTES.get(character_set_of(collation), 1) if collation else 1


# --- texts and bytes -------------------------------------------------------------------------------------


def _length(column: Column) -> int:
    return int(column.type.arguments or "1")


def _characters(column: Column) -> int:
    """Return how many characters a column's values may have at most."""
    if column.type.base in ("char", "varchar"):
        return _length(column)
    return _TEXT_BYTES[column.type.base]


def _to_text(source: str, old: Column, new: Column, value: str) -> list[Doubt]:
    if old.type.base == "bit":
        return [Doubt("bits, which become bytes", f"{value} IS NOT NULL", NOT_IN_CHARSET)]
    found: list[Doubt] = []
    charset = character_set_of(new.collation) if new.collation else "utf8mb4"
    if source == "bytes":
        condition = f"NOT (CAST(CONVERT({value} USING {charset}) AS BINARY) <=> CAST({value} AS BINARY))"
        found.append(Doubt(f"bytes that are no {charset} text", condition, NOT_IN_CHARSET))
    elif source == "text" and old.collation:
        former = character_set_of(old.collation)
        if not _holds(charset, former):
            back = f"CONVERT(CONVERT({value} USING {charset}) USING {former})"
            condition = f"CAST({value} AS BINARY) <> CAST({back} AS BINARY)"
            found.append(Doubt(f"characters that {charset} does not have", condition, NOT_IN_CHARSET))
    per_character = _CHARACTER_BYTES.get(charset, 1)
    if new.type.base in ("char", "varchar"):
        limit = _length(new)
        if source != "text" or _characters(old) > limit:
            condition = f"CHAR_LENGTH(CONVERT({value} USING {charset})) > {limit}"
            found.append(Doubt(f"more than {limit} characters", condition, TOO_LONG))
    else:
        limit = _TEXT_BYTES[new.type.base]
        former_bytes = limit + 1
        if source == "text":
            short = old.type.base in ("char", "varchar")
            former_bytes = _length(old) * per_character if short else _TEXT_BYTES[old.type.base]
            if not short and old.collation and charset != character_set_of(old.collation):
                former_bytes *= per_character
        elif source == "bytes":
            former_bytes = _bytes(old)
        elif source not in ("json",):
            former_bytes = 0  # numbers, dates and members are short
        if former_bytes > limit:
            condition = f"LENGTH(CONVERT({value} USING {charset})) > {limit}"
            found.append(Doubt(f"more than {limit} bytes", condition, TOO_LONG))
    if new.type.base == "char" and old.type.base != "char" and source == "text":
        condition = f"CHAR_LENGTH({value}) <> CHAR_LENGTH(TRIM(TRAILING ' ' FROM {value}))"
        found.append(Doubt("spaces at the end, which CHAR does not keep", condition, None))
    return found


def _holds(charset: str, former: str) -> bool:
    """Whether every character of one character set is in another."""
    if charset == former or former == "ascii" or charset in _UNICODE:
        return True
    return {charset, former} <= {"utf8", "utf8mb3", "ucs2"}


def _bytes(column: Column) -> int:
    return _BLOB_BYTES.get(column.type.base) or _length(column)


def _to_bytes(source: str, old: Column, new: Column, value: str) -> list[Doubt]:
    if old.type.base == "bit":
        return [Doubt("bits, which become bytes", f"{value} IS NOT NULL", TOO_LONG)]
    limit = _bytes(new)
    found = []
    most = limit + 1
    if source == "bytes":
        most = _bytes(old)
    elif source == "text" and old.collation:
        per_character = _CHARACTER_BYTES.get(character_set_of(old.collation), 1)
        most = _characters(old) * (per_character if old.type.base in ("char", "varchar") else 1)
    if most > limit:
        found.append(Doubt(f"more than {limit} bytes", f"LENGTH({value}) > {limit}", TOO_LONG))
    if new.type.base == "binary" and not (old.type.base == "binary" and most == limit):
        condition = f"LENGTH({value}) < {limit}"
        found.append(Doubt(f"fewer than {limit} bytes, which are filled up with zeros", condition, None))
    return found


def members(column: Column) -> list[str]:
    """List the members of an ENUM or SET."""
    return [_unescaped(text) for text in _MEMBER.findall(column.type.arguments or "")]


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text.replace("''", "'"))


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def _to_members(source: str, old: Column, new: Column, value: str) -> list[Doubt]:
    known = {member.casefold() for member in members(new)}
    if source in ("enum", "set"):
        numbered = list(enumerate(members(old), 1))
        gone = [(number, member) for number, member in numbered if member.casefold() not in known]
        named = ", ".join(_quoted(member) for _, member in gone)
        if source != _family(new):
            return [Doubt(f"members that are not in {new.type}", "", TRUNCATED)] if gone else []
        if not gone:
            return []
        if source == "set":
            mask = sum(1 << (number - 1) for number, _ in gone)
            condition = f"({value} + 0) & {mask} <> 0"
        else:
            condition = f"{value} + 0 IN ({', '.join(str(number) for number, _ in gone)})"
        return [
            Doubt(f"the removed {'member' if len(gone) == 1 else 'members'} {named}", condition, TRUNCATED)
        ]
    if source == "text" and _family(new) == "enum":
        listed = ", ".join(_quoted(member) for member in members(new))
        return [Doubt(f"texts that are not in {new.type}", f"{value} NOT IN ({listed})", TRUNCATED)]
    if source == "integer":
        return [Doubt("numbers, which become members by their place", f"{value} IS NOT NULL", None)]
    return [Doubt(f"values that are not in {new.type}", "", TRUNCATED)]


def _to_json(source: str, old: Column, new: Column, value: str) -> list[Doubt]:
    if source == "text":
        return [Doubt("texts that are no JSON", f"NOT JSON_VALID({value})", NOT_JSON)]
    return [Doubt("values that are no JSON", "", NOT_JSON)]


# --- dates and times -------------------------------------------------------------------------------------


def _fraction(column: Column) -> int:
    return 0 if column.type.base == "date" else int(column.type.arguments or "0")


def _rounding(old: Column, new: Column, value: str) -> list[Doubt]:
    if _fraction(old) <= _fraction(new):
        return []
    step = 10 ** (6 - _fraction(new))
    what = "fractions of a second" if step == 10**6 else f"more than {_fraction(new)} digits of a second"
    return [Doubt(what, f"MICROSECOND({value}) % {step} <> 0", None)]


def _to_moment(source: str, old: Column, new: Column, value: str) -> list[Doubt]:
    if source == "time":
        return [Doubt("times, which get the date of the day", f"{value} IS NOT NULL", None)]
    if source == "text":
        moment = f"CAST({value} AS DATETIME(6))"
        return [
            Doubt("texts that are no dates", f"{value} IS NOT NULL AND {moment} IS NULL", NOT_A_TIME),
        ]
    if source != "moment":
        return [Doubt(f"values that are no {new.type}", "", NOT_A_TIME)]
    if new.type.base == "date":
        if old.type.base == "date":
            return []
        return [Doubt("times of day", f"{value} <> CAST({value} AS DATE)", None)]
    found = _rounding(old, new, value)
    if new.type.base == "timestamp" and old.type.base != "timestamp":
        # In the session's time zone, which must be the one that the rows are copied in.
        there = f"COALESCE(UNIX_TIMESTAMP({value}), 0)"
        condition = (
            f"{value} <> 0 AND ({there} <= 0 OR {there} >= 2147483648 OR FROM_UNIXTIME({there}) <> {value})"
        )
        having = "dates before 1970 or after 2038, or hours that the time zone skips"
        found.append(Doubt(having, condition, NOT_A_TIME))
    return found


def _to_time(source: str, old: Column, new: Column, value: str) -> list[Doubt]:
    if source == "time":
        return _rounding(old, new, value)
    if source == "moment":
        return [Doubt("dates, of which only the time of day is kept", f"{value} IS NOT NULL", None)]
    return [Doubt(f"values that are no {new.type}", "", NOT_A_TIME)]
