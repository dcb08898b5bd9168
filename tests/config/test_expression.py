"""Arithmetic written as text: its value is that of Python, and nothing else is computed."""

from __future__ import annotations

import contextlib
import math
import time

import pytest

from featlearn.config.expression import ExpressionError, parsed, signif

NUMBERS = {"dim": 2000.0, "data.dim": 2000.0, "m": 10.0, "s": 0.3}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.6 * sqrt(1000 / dim)", 1.6 * math.sqrt(1000 / 2000)),
        ("data.dim ** 0.25 - -m", 2000**0.25 + 10),
        ("log(dim) + exp(-s) * pi", math.log(2000) + math.exp(-0.3) * math.pi),
        ("min(dim, m, 3) + max(s, 1) + abs(-2)", 6),
        ("floor(2.7) + ceil(2.1) + round(2.5) + round(3.5)", 2 + 3 + 2 + 4),  # ties to even, as in Python
        ("dim // 300 + dim % 300", 6 + 200),
        (" 1e3 ", 1000),
        ("signif(0.0505964, 3)", 0.0506),
        ("2 ** 0.5", 2**0.5),
    ],
)
def test_the_value_is_that_of_python(text: str, value: float) -> None:
    found = parsed(text).value(NUMBERS)
    assert found == value
    assert type(found) is (int if float(value).is_integer() else float)


def test_names_come_in_their_order() -> None:
    assert parsed("m + data.dim * m / s + pi").names == ("m", "data.dim", "s")


@pytest.mark.parametrize("x", [1.6, 0.50596, 0.16, 0.050596, 1234567.0, -2.5e-7])
def test_signif_is_the_decimal_as_written(x: float) -> None:
    assert signif(x, 3) == float(f"{x:.2e}") and signif(x, 17) == x


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("__import__('os').system('true')", "is not allowed"),
        ("dim.real.__class__", "is not allowed"),
        ("(1).real", "is not allowed"),
        ("eval('1')", "is not allowed"),
        ("[x for x in (1, 2)]", "is not allowed"),
        ("lambda: 1", "is not allowed"),
        ("(x := 1)", "is not allowed"),
        ("'a' * 9", "is not allowed"),
        ("True", "is not allowed"),
        ("1j", "is not allowed"),
        ("1 if m else 2", "is not allowed"),
        ("1 < 2", "is not allowed"),
        ("1 << 9", "is not allowed"),
        ("sqrt(x=1)", "is not allowed"),
        ("min(1, *m)", "is not allowed"),
        ("sqrt(1, 2)", "sqrt() takes 1 arguments"),
        ("max(1)", "max() takes 2 or more arguments"),
        ("", "not an expression"),
        ("1 +", "not an expression"),
        ("1or 2", "not an expression"),
        ("1\0", "not an expression"),
        ("dim dim", "not an expression"),
        ("+".join("1" * 90), "nested too deeply"),
        ("-" * 300 + "1", "nested too deeply"),
        ("(" * 240 + "1" + ")" * 240, "not an expression"),
        ("1" * 501, "501 characters are too many"),
    ],
)
def test_other_text_is_refused(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parsed(text)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 / (dim - 2000)", "division by zero in 1 / (dim - 2000) at dim = 2000"),
        ("m % 0", "division by zero in m % 0 at m = 10"),
        ("10 ** 10 ** 10", "10 ** 10 ** 10 is too large"),
        ("exp(dim)", "exp(dim) is too large at dim = 2000"),
        ("1e308 * 10", "1e+308 * 10 is too large"),
        ("1e999", "is too large"),
        ("exp(dim) - exp(dim)", "exp(dim) is too large"),  # never NaN
        ("(-m) ** 0.5", "(-m) ** 0.5 is not a real number at m = 10"),
        ("sqrt(-1)", "sqrt(-1) is not a real number"),
        ("log(0)", "log(0) is not a real number"),
        ("0 ** (-1)", "0 ** (-1) is not a real number"),
        ("signif(dim, 0)", "signif(x, n) takes n = 1, ..., 17, found 0"),
    ],
)
def test_an_expression_without_a_value_says_where(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parsed(text).value(NUMBERS)
    assert message in str(caught.value)


def test_no_text_takes_long() -> None:
    start = time.process_time()
    for text in ("9**" * 40 + "9", "9" * 499, "sqrt(" * 40 + "2" + ")" * 40):
        with contextlib.suppress(ExpressionError):
            parsed(text).value({})
    assert time.process_time() - start < 0.5
