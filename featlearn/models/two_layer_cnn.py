"""The two-layer convolutional network.

F_c(x) = a sum_f v_fc s sum_p act(<w_f, x_p> + b_f)

with filters averaged (a = 1/m) or summed (a = 1), patches summed (s = 1) or averaged (s = 1/P), and b = 0 without
bias. For a loss of one output, m filters have the second layer v = +1 and m have v = -1; with the softmax each of C
classes has its own m filters, v = 1 there and 0 elsewhere. The second layer is fixed, or trained from these values.
Papers differ in these scales, and so in the meaning of lr and steps: state the scales with every number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, assert_never

import numpy as np

from featlearn.functions import ACTIVATIONS, LOSSES, activation, loss
from featlearn.streams import stream
from featlearn.types import Bound, Function, Size, TheoryScale


@dataclass(frozen=True, kw_only=True)
class TwoLayerCNN:
    """Two-layer CNN.

    n_filters: filters m for each sign of the second layer, or for each class (2m, or C m in all).
    activation: of the hidden layer (see functions/activations.py), or your own: file.py:Class.
    loss: of the outputs, averaged over samples (see functions/losses.py), or your own: file.py:Class; softmax:
        cross-entropy of C outputs.
    second_layer: fixed, or trained from the fixed values.
    init: law of the initial weights and biases: gaussian or uniform.
    init_std: their standard deviation; a number, {theory: c}, or null for torch's default 1/sqrt(3 dim).
    patches: sum or mean over a sample's patches.
    filters: mean or sum over the filters of one sign.
    bias: whether every filter has a trained bias.
    """

    provides: ClassVar[frozenset[str]] = frozenset({"coordinates", "labels", "patches", "span"})

    n_filters: Size = 10
    activation: Annotated[Literal[*ACTIVATIONS], Function("activation")] = "relu"  # type: ignore[valid-type]
    loss: Annotated[Literal[*LOSSES], Function("loss")] = "logistic"  # type: ignore[valid-type]
    second_layer: Literal["fixed", "trained"] = "fixed"
    init: Literal["gaussian", "uniform"] = "gaussian"
    init_std: Annotated[float, Bound(ge=0), TheoryScale("init_std")] | None = None
    patches: Literal["sum", "mean"] = "sum"
    filters: Literal["mean", "sum"] = "mean"
    bias: bool = False

    @property
    def trained(self) -> bool:
        """Whether the second layer is trained."""
        return {"fixed": False, "trained": True}[self.second_layer]

    @property
    def smooth(self) -> bool:
        """Whether the loss is three times continuously differentiable in the parameters."""
        return bool(activation(self.activation).smooth and loss(self.loss).smooth)

    def n_outputs(self, data: Any) -> int:
        """Return the number C of outputs: one, or with the softmax one a class."""
        return int(data.n_classes) if self.loss == "softmax" else 1

    def n_neurons(self, data: Any) -> int:
        """Return the number of filters f in all."""
        return self.n_filters * max(2, self.n_outputs(data))

    def head(self, data: Any) -> np.ndarray:
        """Return the initial second layer, [f, C]: filters of sign +1, or of class 0, come first."""
        eye = np.eye(self.n_outputs(data)) if self.loss == "softmax" else np.array([[1.0], [-1.0]])
        return np.repeat(eye, self.n_filters, 0)

    def targets(self, labels: Any, data: Any) -> Any:
        """Return labels as the loss takes them: with the softmax, +1 is class 0 and -1 is class 1."""
        return (labels < 0).to(labels.dtype) if self.loss == "softmax" and data.n_classes == 2 else labels

    def refusal(self, data: Any) -> str | None:
        """Say why the network does not go with these data; None if it does."""
        if self.loss != "softmax" and data.n_classes > 2:
            name = self.loss.rpartition(":")[2]
            return f"{name} is a loss of two classes, and the data have {data.n_classes}: use softmax"
        return None

    def scale(self, n_patches: int) -> float:
        """Return a s, the factor of one activation besides its sign j."""
        filters = {"mean": 1 / self.n_filters, "sum": 1.0}
        patches = {"mean": 1 / n_patches, "sum": 1.0}
        return filters[self.filters] * patches[self.patches]

    def std(self, dim: int) -> float:
        """Return the standard deviation of the initial weights; torch's default has bound 1/sqrt(dim)."""
        return 1 / math.sqrt(3 * dim) if self.init_std is None else self.init_std

    def n_parameters(self, data: Any) -> int:
        """Return the number of weights and biases, and of the second layer's entries where it is trained."""
        outputs = self.n_outputs(data) if self.trained else 0
        return self.n_neurons(data) * (int(data.dim) + self.bias + outputs)

    def draw_weights(self, seed: int, data: Any) -> np.ndarray:
        """Draw the initial weights [f, dim] of the run ``seed``."""
        return self._draw(stream(seed, "init_weights"), (self.n_neurons(data), data.dim), self.std(data.dim))

    def draw_biases(self, seed: int, data: Any) -> np.ndarray:
        """Draw the initial biases [f], of the same law as a weight; they enter only where ``bias`` is true."""
        return self._draw(stream(seed, "init_biases"), (self.n_neurons(data),), self.std(data.dim))

    def _draw(self, rng: np.random.Generator, shape: tuple[int, ...], std: float) -> np.ndarray:
        if self.init == "gaussian":
            return std * rng.standard_normal(shape)
        if self.init == "uniform":
            return std * math.sqrt(3) * rng.uniform(-1, 1, shape)
        assert_never(self.init)
