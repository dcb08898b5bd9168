"""Data sets that come with scikit-learn, an optional dependency: real data without a download."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import ClassVar

import numpy as np

from featlearn.streams import stream


@dataclass(frozen=True, kw_only=True)
class Bundled:
    """Inputs with one-hot targets; every feature has mean 0 and variance 1 over the whole set.

    word: the name in scikit-learn, and of the stream that chooses the samples. dim, n_outputs: features and classes.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"coordinates"})
    word: ClassVar[str]
    dim: ClassVar[int]
    n_outputs: ClassVar[int]

    n_samples: int

    def __post_init__(self) -> None:
        """Refuse where scikit-learn is not installed."""
        if find_spec("sklearn") is None:
            why = "comes with scikit-learn, which is not installed: pip install 'featlearn[digits]'"
            raise ValueError(f"{self.word} {why}")

    def draw(self, seed: int) -> tuple[np.ndarray, ...]:
        """Draw inputs [n, d] and one-hot targets [n, classes] of the run ``seed``."""
        inputs, classes = _whole(self.word)
        chosen = stream(seed, self.word).permutation(len(inputs))[: self.n_samples]
        return inputs[chosen], np.eye(self.n_outputs)[classes[chosen]]


@cache
def _whole(word: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the standardised inputs of the whole set [N, d], with constant features 0, and their classes [N]."""
    from sklearn import datasets

    inputs, classes = getattr(datasets, f"load_{word}")(return_X_y=True)
    std = inputs.std(0)
    return (inputs - inputs.mean(0)) / np.where(std > 0, std, 1), classes
