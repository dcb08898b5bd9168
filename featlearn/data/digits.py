"""Handwritten digits, 8 x 8 pixels, that come with scikit-learn.

Source: Alpaydin, Kaynak 1998, Optical Recognition of Handwritten Digits (UCI): its test set of 1797 images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from featlearn.data.bundled import Bundled
from featlearn.types import Bound


@dataclass(frozen=True, kw_only=True)
class Digits(Bundled):
    """Images of digits with one-hot targets; every pixel has mean 0 and variance 1 over all 1797 images.

    n_samples: training samples n, chosen at random by the run's seed.
    """

    word: ClassVar[str] = "digits"
    dim: ClassVar[int] = 64
    n_outputs: ClassVar[int] = 10

    n_samples: Annotated[int, Bound(ge=2, le=1797)] = 200
