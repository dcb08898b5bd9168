"""Philox4x32-10, a counter-based generator: 128 random bits are a function of a counter and a key only.

Source: Salmon, Moraes, Dror and Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3". All arithmetic is on
integers, so that the bits do not depend on the device or on the position in a tensor.
"""

from __future__ import annotations

from torch import Tensor

Words = tuple[Tensor, Tensor, Tensor, Tensor]

_MASK = 2**32 - 1
_MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
_WEYL = 0x9E3779B9, 0xBB67AE85
_ROUNDS = 10


def philox(counter: Words, key: tuple[Tensor, Tensor]) -> Words:
    """Return four random words for each counter of four words under a key of two: 32 bits each, held in int64.

    A product of two words fills all 64 bits of an int64; its sign bit is part of the upper word.
    """
    c0, c1, c2, c3 = counter
    for number in range(_ROUNDS):
        left, right = _MULTIPLIERS[0] * c0, _MULTIPLIERS[1] * c2
        k0, k1 = (word + number * weyl for word, weyl in zip(key, _WEYL, strict=True))
        c0 = (right >> 32).bitwise_xor_(c1).bitwise_xor_(k0).bitwise_and_(_MASK)
        c2 = (left >> 32).bitwise_xor_(c3).bitwise_xor_(k1).bitwise_and_(_MASK)
        c1, c3 = right.bitwise_and_(_MASK), left.bitwise_and_(_MASK)
    return c0, c1, c2, c3
