"""Named random streams of a run: every draw has its own generator, found from the run's seed and the draw's name.

Because a stream depends on nothing else, runs that differ only in optimizer see the same data, initial weights and
mini-batch order, and no run depends on its neighbours in a sweep.
"""

from __future__ import annotations

import zlib

import numpy as np


def stream(seed: int, name: str) -> np.random.Generator:
    """Return the generator of the draw ``name`` of the run ``seed`` (Philox, keyed by both; counter at zero)."""
    key = np.array([seed, zlib.crc32(name.encode())], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key))
