"""Iris, 150 flowers of three species, that comes with scikit-learn.

Source: Fisher 1936 (Annals of Eugenics 7, 179-188).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from featlearn.data.bundled import Bundled
from featlearn.types import Bound


@dataclass(frozen=True, kw_only=True)
class Iris(Bundled):
    """Four lengths of a flower with one-hot species; each length has mean 0 and variance 1 over all 150 flowers.

    n_samples: training samples n, chosen at random by the run's seed; by default all.
    """

    word: ClassVar[str] = "iris"
    dim: ClassVar[int] = 4
    n_outputs: ClassVar[int] = 3

    n_samples: Annotated[int, Bound(ge=2, le=150)] = 150
