"""Handwritten digits, 8 x 8 pixels, that come with scikit-learn: real data without a download.

Source: Alpaydin, Kaynak 1998, Optical Recognition of Handwritten Digits (UCI): its test set of 1797 images.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Annotated, ClassVar

import numpy as np

from featlearn.streams import stream
from featlearn.types import Bound


@dataclass(frozen=True, kw_only=True)
class Digits:
    """Images of digits with one-hot targets; every pixel has mean 0 and variance 1 over all 1797 images.

    n_samples: training samples n, chosen at random by the run's seed.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"coordinates"})
    dim: ClassVar[int] = 64
    n_outputs: ClassVar[int] = 10

    n_samples: Annotated[int, Bound(ge=2, le=1797)] = 200

    def __post_init__(self) -> None:
        """Refuse where scikit-learn is not installed."""
        if find_spec("sklearn") is None:
            raise ValueError("digits come with scikit-learn, which is not installed: pip install 'featlearn[digits]'")

    def draw(self, seed: int) -> tuple[np.ndarray, ...]:
        """Draw inputs [n, 64] and one-hot targets [n, 10] of the run ``seed``."""
        images, classes = _images()
        chosen = stream(seed, "digits").permutation(len(images))[: self.n_samples]
        return images[chosen], np.eye(self.n_outputs)[classes[chosen]]


@cache
def _images() -> tuple[np.ndarray, np.ndarray]:
    """Return the standardised images [1797, 64], with constant pixels 0, and their classes [1797]."""
    from sklearn.datasets import load_digits

    images, classes = load_digits(return_X_y=True)
    std = images.std(0)
    return (images - images.mean(0)) / np.where(std > 0, std, 1), classes
