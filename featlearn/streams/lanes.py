"""Random numbers for many seeds at once: [b, count] for seeds [b], on the device of the seeds.

Every number has its own counter (number, attempt, name) under the key of its seed, so it does not depend on the block,
the order or the device. Rows are padded to whole vector registers before any function that rounds, unless the rows
together fill them: a loop may compute its last numbers with another instruction than the rest, and its bits would then
depend on the block.
"""

from __future__ import annotations

import math
import zlib
from itertools import count as counting

import torch
from torch import Tensor

from featlearn.streams.philox import philox

_MASK = 2**32 - 1
_REGISTER = 16  # numbers: two of the widest vector registers


def uniforms(seeds: Tensor, name: str, count: int, attempt: int = 0) -> Tensor:
    """Return uniform numbers in (0, 1], multiples of 2^-53 in float64; each ``attempt`` is an independent set."""
    first, second = _pairs(seeds, name, _used(count, seeds), attempt)
    return first[:, :count] if count <= first.shape[1] else torch.cat([first, second], 1)[:, :count]


def normals(seeds: Tensor, name: str, count: int, attempt: int = 0) -> Tensor:
    """Return standard normal numbers, by the Box-Muller transform (1958) in float64."""
    first, second = _pairs(seeds, name, _used(count, seeds), attempt)
    radius, angle = first.log_().mul_(-2).sqrt_(), second.mul_(2 * math.pi)
    if count <= radius.shape[1]:
        return (radius * angle.cos())[:, :count]
    return torch.cat([radius * angle.cos(), radius * angle.sin()], 1)[:, :count]


def chi_squares(seeds: Tensor, name: str, degrees: Tensor) -> Tensor:
    """Return chi-square numbers of any real ``degrees`` [b, count] >= 1, accurate also for huge ones.

    By Marsaglia and Tsang 2000, "A simple method for generating gamma variables": with a = degrees / 2 >= 1,
    c = a - 1/3, x normal and y = x / sqrt(9 c), the number 2 c (1 + y)^3 is accepted with probability
    exp(x^2 / 2 + c - c (1 + y)^3 + 3 c log(1 + y)). This exponent is written here as 3 c (log(1 + y) - y + y^2 / 2 -
    y^3 / 3), because its terms would cancel at large c. Below a = 1, a + 1 is drawn and multiplied by u^(1 / a).
    """
    count = degrees.shape[1]
    shape = torch.nn.functional.pad(degrees / 2, (0, _padded(count) - count), value=1e9)  # accepted at once
    small = shape < 1
    c = shape + small.to(shape.dtype) - 1 / 3
    value, waiting = torch.zeros_like(c), torch.ones_like(small)
    for attempt in counting():
        y = normals(seeds, f"{name}, proposed", c.shape[1], attempt) / (9 * c).sqrt()
        exponent = 3 * c * (y.log1p() - y + y * y / 2 - y * y * y / 3)  # NaN, never accepted, where 1 + y < 0
        accepted = waiting & (uniforms(seeds, f"{name}, accepted", c.shape[1], attempt).log() < exponent)
        value = torch.where(accepted, 2 * c * (1 + y) * (1 + y) * (1 + y), value)
        waiting &= ~accepted
        if not waiting.any():
            break
    if small.any():
        value *= torch.where(small, uniforms(seeds, f"{name}, below", c.shape[1]).pow(1 / shape), 1.0)
    return value[:, :count]


def permutations(seeds: Tensor, name: str, size: int, attempt: int = 0) -> Tensor:
    """Return uniformly distributed permutations [b, size] of the numbers below ``size``."""
    return uniforms(seeds, name, size, attempt).argsort(dim=1, stable=True)


def _pairs(seeds: Tensor, name: str, count: int, attempt: int) -> tuple[Tensor, Tensor]:
    """Return two independent sets of uniform numbers in (0, 1], [b, count] each."""
    word = zlib.crc32(name.encode())
    return (plain_pairs if seeds.is_cuda else _fused_pairs)(seeds, word, count, attempt)


def plain_pairs(seeds: Tensor, word: int, count: int, attempt: int) -> tuple[Tensor, Tensor]:
    """Return (1 + 53 random bits) 2^-53, two sets [b, count], in plain torch."""
    number = torch.arange(count, device=seeds.device).expand(len(seeds), count).contiguous()
    zero = torch.zeros_like(number)
    key = (seeds & _MASK)[:, None], (seeds >> 32)[:, None]
    w0, w1, w2, w3 = philox((number, zero + attempt, zero + word, zero), key)
    return _fraction(w0, w1), _fraction(w2, w3)


def _fraction(high: Tensor, low: Tensor) -> Tensor:
    return ((high << 21) + (low >> 11) + 1).to(torch.float64).mul_(2.0**-53)


def _fused_pairs(seeds: Tensor, word: int, count: int, attempt: int) -> tuple[Tensor, Tensor]:
    """Return the same bits as ``plain_pairs``, in one pass; without numba, call ``plain_pairs``."""
    try:
        from featlearn.streams.loops import fractions
    except ImportError:
        return plain_pairs(seeds, word, count, attempt)
    first, second = (torch.empty(len(seeds), count, dtype=torch.float64) for _ in range(2))
    fractions(seeds.numpy(), word, attempt, first.numpy(), second.numpy())
    return first, second


def _used(count: int, seeds: Tensor) -> int:
    """Return how many pairs are computed for ``count`` numbers: the first numbers of all pairs, then the second ones.

    There are half as many pairs as numbers, padded to whole registers. Of few numbers, only those that are used are
    computed where the rows of all runs together fill registers.
    """
    half = _padded((count + 1) // 2)
    return min(count, half) if len(seeds) % _REGISTER == 0 else half


def _padded(count: int) -> int:
    return -(-count // _REGISTER) * _REGISTER


class LaneDraws:
    """The random numbers of the training sets of runs with these seeds [b], by name (see data/model.py)."""

    def __init__(self, seeds: Tensor) -> None:
        self._seeds = seeds

    def uniforms(self, name: str, count: int) -> Tensor:
        """Return uniform numbers in (0, 1], [b, count]."""
        return uniforms(self._seeds, f"law, {name}", count)

    def normals(self, name: str, count: int) -> Tensor:
        """Return standard normal numbers, [b, count]."""
        return normals(self._seeds, f"law, {name}", count)
