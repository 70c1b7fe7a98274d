from __future__ import annotations

from decimal import Decimal

import pytest

from migrator.schema.errors import SchemaError
from migrator.schema.masks import How, Mask, masked, parse_mask

SECRET, OTHER = b"one secret", b"another secret"


def mask(how: How, argument: str = "") -> Mask:
    return Mask("users", "it", how, argument)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("users.email=email", Mask("users", "email", How.EMAIL)),
        (" users.note=fixed:a=b:c ", Mask("users", "note", How.FIXED, "a=b:c")),
        ("orders.total=number:20", Mask("orders", "total", How.NUMBER, "20")),
        ("users.phone=null", Mask("users", "phone", How.NULL)),
    ],
)
def test_a_mask_is_read_as_it_is_written(text: str, expected: Mask) -> None:
    assert parse_mask(text) == expected
    assert parse_mask(str(expected)) == expected


@pytest.mark.parametrize(
    "text", ["email", "users.email", "users.email=magic", "a.b=number:0", "a.b=number:x", "a.b=number:101"]
)
def test_what_is_no_mask_is_refused_with_what_may_be_written(text: str) -> None:
    with pytest.raises(SchemaError, match="is no mask") as refusal:
        parse_mask(text)
    assert refusal.value.hint


@pytest.mark.parametrize("how", [How.HASH, How.EMAIL, How.NAME, How.NUMBER])
def test_the_same_value_becomes_the_same_thing_and_with_another_secret_another(how: How) -> None:
    value = 123_456_789 if how is How.NUMBER else "ada@example.org"
    once = masked(mask(how), value, SECRET)
    assert once == masked(mask(how), value, SECRET)
    assert once != value
    assert once != masked(mask(how), value, OTHER)


def test_null_stays_null_and_fixed_is_what_was_said() -> None:
    assert all(masked(mask(how), None, SECRET) is None for how in How)
    assert masked(mask(How.NULL), "x", SECRET) is None
    assert masked(mask(How.FIXED, "removed"), "x", SECRET) == "removed"


def test_values_that_differ_still_differ() -> None:
    values = [f"user{number}@example.org" for number in range(5000)]
    for how in (How.HASH, How.EMAIL):
        assert len({masked(mask(how), value, SECRET) for value in values}) == len(values)


def test_what_takes_the_place_fits() -> None:
    assert len(str(masked(mask(How.HASH), "x", SECRET, 10))) == 10
    assert len(str(masked(mask(How.EMAIL), "x", SECRET, 16))) == 16
    assert len(str(masked(mask(How.NAME), "x", SECRET, 5))) == 5
    assert masked(mask(How.HASH), b"\x00\xff", SECRET, 16) != b"\x00\xff"
    number = masked(mask(How.HASH), 200, SECRET)
    assert isinstance(number, int)
    assert 0 <= number < 128


@pytest.mark.parametrize("value", [0, 1, 2, -1, -3, 127, Decimal("0.01"), Decimal("0.00"), Decimal(7)])
def test_small_numbers_do_not_stay_what_they_are(value: int | Decimal) -> None:
    last = 1 if isinstance(value, int) else Decimal(1).scaleb(int(value.as_tuple().exponent))
    for secret in (SECRET, OTHER):
        noisy = masked(mask(How.NUMBER, "1"), value, secret)
        assert type(noisy) is type(value)
        assert noisy in ({value - last, value + last} if abs(value) < 100 else {126, 128})
        assert not (value >= 0 and noisy < 0)  # type: ignore[operator]


@pytest.mark.parametrize("value", [1000, -1000, Decimal("1000.00"), 1000.0])
def test_noise_is_bounded_and_of_the_same_kind(value: int | float | Decimal) -> None:
    noisy = masked(mask(How.NUMBER, "20"), value, SECRET)
    assert type(noisy) is type(value)
    assert noisy != value
    assert abs(float(noisy) - float(value)) <= 200.01  # type: ignore[arg-type]
    if isinstance(noisy, Decimal):
        assert noisy.as_tuple().exponent == -2
