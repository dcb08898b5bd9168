"""Numbers in the JSON of a page: four significant digits, and long curves as packed bytes."""

from __future__ import annotations

import base64
import math
import zlib
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

DIGITS = 4
DROPPED = 9  # of the 23 bits of a float32's fraction; the 14 that stay are four digits
Number = float | int | str | None


def rounded(values: ArrayLike, digits: int = DIGITS) -> list[Number]:
    """Return numbers with significant digits; NaN as null, infinity as the text inf or -inf, as JSON has none."""
    return [number(value, digits) for value in np.asarray(values, dtype=float).ravel()]


def number(value: float, digits: int = DIGITS) -> Number:
    """Return one number as `rounded` does."""
    if math.isnan(value):
        return None
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    short = float(f"{value:.{digits}g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short


def exact(values: ArrayLike) -> list[Any]:
    """Return the places of an axis: floats as they are, whole ones as integers."""
    return [int(v) if float(v).is_integer() and abs(v) < 1e15 else float(v) for v in np.asarray(values, dtype=float)]


def packed(curves: ArrayLike) -> str:
    """Return curves [k, steps] as text, about 2.5 letters a number: base64 of deflated bytes.

    A number is the upper 23 bits of its float32, rounded. Along a curve their differences are taken, zigzag encoded
    (0, -1, 1, -2, ... as 0, 1, 2, 3, ...), and written as all lowest bytes, all middle and all highest ones.
    `unpacked` in the page's script is the inverse.
    """
    with np.errstate(over="ignore"):  # beyond float32 is infinite
        floats = np.ascontiguousarray(curves, dtype="<f4")
    floats = np.where(np.isnan(floats), np.float32(np.nan), floats)
    bits = ((floats.view("<u4").astype(np.int64) + (1 << (DROPPED - 1))) >> DROPPED).reshape(-1, floats.shape[-1])
    change = np.diff(bits, axis=1, prepend=0).ravel()
    zigzag = (change << 1) ^ (change >> 63)
    planes = b"".join(((zigzag >> shift) & 255).astype(np.uint8).tobytes() for shift in (0, 8, 16))
    return base64.b64encode(zlib.compress(planes, 9)).decode()
