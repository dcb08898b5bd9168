"""Points of a Chebyshev polynomial: the smallest regression on which a network trains at the edge of stability.

Source: the one-dimensional data of Cohen et al. 2021 (arXiv 2103.00065): equally spaced points in [-1, 1].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from featlearn.types import Bound, SizeFromTwo


@dataclass(frozen=True, kw_only=True)
class Chebyshev:
    """The points (x_i, T_k(x_i)), x_i equally spaced in [-1, 1]; the same for every seed.

    n_samples: points n.
    degree: degree k of the polynomial T_k.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"coordinates"})
    dim: ClassVar[int] = 1
    n_outputs: ClassVar[int] = 1

    n_samples: SizeFromTwo = 20
    degree: Annotated[int, Bound(ge=1, le=100)] = 5

    def draw(self, seed: int) -> tuple[np.ndarray, ...]:
        """Return inputs [n, 1] and targets [n, 1]."""
        inputs = np.linspace(-1, 1, self.n_samples)[:, None]
        return inputs, np.polynomial.Chebyshev.basis(self.degree)(inputs)
