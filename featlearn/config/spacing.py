"""Equally spaced numbers, computed exactly from the decimals as written and rounded once.

So {linspace: [0.1, 0.5, 5]} is exactly [0.1, 0.2, 0.3, 0.4, 0.5] on any machine. Floating-point arithmetic would give
0.30000000000000004, a different run and a different cell than 0.3 in a list.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction

DIGITS = 50  # far more than a double has, so that only the final rounding matters


def linspace(first: float, last: float, n: int) -> list[float]:
    """Return n numbers, equally spaced from first to last; first alone if n = 1."""
    a, b, parts = Fraction(repr(first)), Fraction(repr(last)), max(n - 1, 1)
    below = a.denominator * b.denominator * parts  # one denominator: Python rounds a quotient of integers once
    start, step = int(a * below), int((b - a) * below) // parts
    return [(start + step * i) / below for i in range(n)]


def geomspace(first: float, last: float, n: int) -> list[float]:
    """Return n positive numbers, equally spaced in the logarithm from first to last; first alone if n = 1."""
    with localcontext(prec=DIGITS):
        a, b = Decimal(repr(first)), Decimal(repr(last))
        step = (b / a).ln() / max(n - 1, 1)
        inner = [float(a * (step * i).exp()) for i in range(1, n - 1)]
    return [float(first), *inner, float(last)][:n]
