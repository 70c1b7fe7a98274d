"""I put something harmless in the place of a value that is not for developers.

The same value becomes the same thing everywhere in one copy, so that joins still meet; with another secret it
becomes something else, so that nobody can look up what it was.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final, assert_never

from migrator.schema.errors import SchemaError

DIGITS: Final = 12
NOISE_PERCENT: Final = 10.0
_SPEC: Final = re.compile(
    r"(?P<table>[^.=]+)\.(?P<column>[^.=]+)=(?P<how>[a-z]+)(?::(?P<argument>.*))?", re.DOTALL
)
FIRST_NAMES: Final = (
    *("Ada", "Alan", "Barbara", "Carl", "Donald", "Edith", "Emmy", "Ernst", "Frances", "Grace", "Hedy"),
    *("Ida", "Jean", "John", "Karen", "Konrad", "Lise", "Mary", "Noor", "Radia", "Rosa", "Sofia"),
)
LAST_NAMES: Final = (
    *("Abara", "Bauer", "Cho", "Dahl", "Eriksen", "Fischer", "Garcia", "Haas", "Ito", "Jansen", "Kaur"),
    *("Lopez", "Meyer", "Novak", "Okafor", "Petrov", "Quist", "Rossi", "Silva", "Toth", "Vogel", "Weber"),
)


class How(StrEnum):
    """What takes the place of a value."""

    NULL = "null"
    FIXED = "fixed"
    HASH = "hash"
    EMAIL = "email"
    NAME = "name"
    NUMBER = "number"


@dataclass(frozen=True, slots=True)
class Mask:
    """How the values of one column are masked; `argument` is the fixed value, or the noise in percent."""

    table: str
    column: str
    how: How
    argument: str = ""

    def __str__(self) -> str:
        return f"{self.table}.{self.column}={self.how}" + (f":{self.argument}" if self.argument else "")


def parse_mask(text: str) -> Mask:
    """Read a mask such as `users.email=email`. Raises SchemaError saying what may be written."""
    match = _SPEC.fullmatch(text.strip())
    if match is None or match["how"] not in set(How):
        raise SchemaError(
            f"{text!r} is no mask",
            f"Write TABLE.COLUMN=HOW, where HOW is one of {', '.join(How)}: users.email=email, "
            "users.note=fixed:removed, orders.total=number:20.",
        )
    how, argument = How(match["how"]), match["argument"] or ""
    if how is How.NUMBER:
        try:
            percent = float(argument or NOISE_PERCENT)
        except ValueError:
            percent = -1.0
        if not 0 < percent <= 100:
            raise SchemaError(f"{text!r} is no mask", "The noise of a number is 1 to 100 percent: number:20.")
    return Mask(match["table"], match["column"], how, argument)


def masked(mask: Mask, value: object, secret: bytes, length: int | None = None) -> object:
    """Return what takes the place of a value, at most `length` characters long; NULL stays NULL."""
    if value is None:
        return None
    match mask.how:
        case How.NULL:
            return None
        case How.FIXED:
            return mask.argument
        case How.HASH:
            return _hash(value, secret, length)
        case How.EMAIL:
            return f"{_digest(value, secret).hex()[:DIGITS]}@example.com"[-(length or 255) :]
        case How.NAME:
            number = int.from_bytes(_digest(value, secret)[:8])
            first = FIRST_NAMES[number % len(FIRST_NAMES)]
            last = LAST_NAMES[number // len(FIRST_NAMES) % len(LAST_NAMES)]
            return f"{first} {last}"[:length]
        case How.NUMBER:
            return _noisy(value, float(mask.argument or NOISE_PERCENT), secret)
        case _:
            assert_never(mask.how)


def _hash(value: object, secret: bytes, length: int | None) -> object:
    digest = _digest(value, secret)
    if isinstance(value, int):
        # Within what the smallest type that may hold this value can hold.
        size = (value.bit_length() + 7) // 8 or 1
        return int.from_bytes(digest[:size]) >> 1
    text = digest.hex()[: min(length or 32, 64)]
    return text.encode() if isinstance(value, bytes) else text


def _noisy(value: object, percent: float, secret: bytes) -> object:
    """Return a number that is off by at most so many percent, and by one in its last digit at least.

    So small numbers change, too; towards 0, where they fit into their type.
    """
    share = int.from_bytes(_digest(value, secret)[:8]) / 2**64 * 2 - 1
    if isinstance(value, float):
        return value * (1 + share * percent / 100)
    number = Decimal(str(value))
    noisy = number * (1 + Decimal(share * percent / 100))
    noisy = noisy.quantize(number)
    if noisy == number:
        last = Decimal(1).scaleb(int(number.as_tuple().exponent))
        noisy = number - last if number > 0 else number + last
    return int(noisy) if isinstance(value, int) else noisy


def _digest(value: object, secret: bytes) -> bytes:
    text = value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogateescape")
    return hmac.new(secret, text, hashlib.sha256).digest()
