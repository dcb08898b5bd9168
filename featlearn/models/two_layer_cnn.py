"""The two-layer convolutional network with a fixed second layer.

f(x) = F_+(x) - F_-(x),   F_j(x) = a sum_r s sum_p act(<w_jr, x_p> + b_jr)

with filters averaged (a = 1/m) or summed (a = 1), patches summed (s = 1) or averaged (s = 1/P), and b = 0 without
bias. Papers differ in these scales, and hence in the meaning of lr and steps: state them with every number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, assert_never

import numpy as np

from featlearn.streams import stream
from featlearn.types import Bound, Count, TheoryScale


@dataclass(frozen=True, kw_only=True)
class TwoLayerCNN:
    """Two-layer CNN, second layer fixed at +-1.

    n_filters: filters m for each sign of the second layer (2m in all).
    activation: relu, relu2, relu3 (powers of the ReLU) or softplus.
    init: law of the initial weights and biases: gaussian or uniform.
    init_std: their standard deviation; a number, {theory: c}, or null for torch's default 1/sqrt(3 dim).
    patches: sum or mean over a sample's patches.
    filters: mean or sum over the filters of one sign.
    bias: whether every filter has a trained bias.
    """

    sees: ClassVar[tuple[str, ...]] = ("signal_noise",)
    provides: ClassVar[frozenset[str]] = frozenset({"coordinates", "labels", "patches", "span"})

    n_filters: Count = 10
    activation: Literal["relu", "relu2", "relu3", "softplus"] = "relu"
    init: Literal["gaussian", "uniform"] = "gaussian"
    init_std: Annotated[float, Bound(ge=0), TheoryScale("init_std")] | None = None
    patches: Literal["sum", "mean"] = "sum"
    filters: Literal["mean", "sum"] = "mean"
    bias: bool = False

    @property
    def signs(self) -> np.ndarray:
        """Second-layer sign j of every filter, [2m], the positive ones first."""
        return np.repeat([1.0, -1.0], self.n_filters)

    def scale(self, n_patches: int) -> float:
        """Return a s, the factor of one activation besides its sign j."""
        filters = {"mean": 1 / self.n_filters, "sum": 1.0}
        patches = {"mean": 1 / n_patches, "sum": 1.0}
        return filters[self.filters] * patches[self.patches]

    def std(self, dim: int) -> float:
        """Return the standard deviation of the initial weights; torch's default has bound 1/sqrt(dim)."""
        return 1 / math.sqrt(3 * dim) if self.init_std is None else self.init_std

    def n_parameters(self, data: Any) -> int:
        """Return the number of weights and biases."""
        return 2 * self.n_filters * (int(data.dim) + self.bias)

    def draw_weights(self, seed: int, dim: int) -> np.ndarray:
        """Draw the initial weights [2m, dim] of the run ``seed``."""
        return self._draw(stream(seed, "init_weights"), (2 * self.n_filters, dim), self.std(dim))

    def draw_biases(self, seed: int, dim: int) -> np.ndarray:
        """Draw the initial biases [2m], with the distribution of a weight; used only if ``bias`` is true."""
        return self._draw(stream(seed, "init_biases"), (2 * self.n_filters,), self.std(dim))

    def _draw(self, rng: np.random.Generator, shape: tuple[int, ...], std: float) -> np.ndarray:
        if self.init == "gaussian":
            return std * rng.standard_normal(shape)
        if self.init == "uniform":
            return std * math.sqrt(3) * rng.uniform(-1, 1, shape)
        assert_never(self.init)
