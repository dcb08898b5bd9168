"""Named random streams of a run: the run's seed and the draw's name determine the generator of every draw.

Therefore runs that differ only in optimizer have the same data, initial weights and mini-batch order, and no run
depends on the others of a sweep.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.random.bit_generator import ISeedSequence


def stream(seed: int, name: str, step: int = 0) -> np.random.Generator:
    """Return the generator of the draw ``name`` of the run ``seed``: Philox, keyed by both.

    The counter starts at ``step`` * 2^64, so that every step has reproducible draws of its own.
    """
    bits = np.random.Philox(_Key(seed, name))  # type: ignore[arg-type]  # numpy's types allow SeedSequence only
    return np.random.Generator(bits.advance(step << 64) if step else bits)


class _Key(ISeedSequence):
    """The key of a Philox generator, unchanged; Philox(key=...) is equivalent but first reads system entropy."""

    def __init__(self, seed: int, name: str) -> None:
        self._words = np.array([seed, zlib.crc32(name.encode())], dtype=np.uint64)

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> np.ndarray:
        """Return the two words of the key, as Philox requires."""
        return self._words
