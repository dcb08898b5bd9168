"""No data: for landscapes that are functions of their parameters alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np


@dataclass(frozen=True, kw_only=True)
class NoData:
    """No data: the loss is a function of the parameters alone, treated as that of one sample."""

    needs: ClassVar[frozenset[str]] = frozenset({"coordinates"})
    n_samples: ClassVar[int] = 1
    dim: ClassVar[int] = 0

    def draw(self, seed: int) -> tuple[np.ndarray, ...]:
        """Draw nothing."""
        return ()
