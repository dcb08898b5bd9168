"""The multilayer perceptron, for regression on few points or for classes.

Source: the small networks of Cohen et al. 2021 (arXiv 2103.00065), with their loss: half the square, summed over the
outputs and averaged over the samples, or cross-entropy.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, assert_never

from featlearn.models.landscape import Arrays, Landscape, Tensors, activated, half_square, matmul
from featlearn.streams import stream
from featlearn.types import Bound, Positive, Size

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class MLP(Landscape):
    """Fully connected network with biases: input, n_hidden layers of equal width, linear output.

    width: neurons of a hidden layer.
    n_hidden: hidden layers.
    activation: tanh, relu, sigmoid or identity; with the last the network is linear in its inputs.
    loss: half_square (of output minus target) or cross_entropy (softmax of the outputs, for classes).
    init_scale: initial weights and biases are uniform within +- init_scale / sqrt(inputs); 1 is torch's default.
    """

    sees: ClassVar[tuple[str, ...]] = ("chebyshev", "digits", "iris", "breast_cancer")

    width: Size = 40
    n_hidden: Annotated[int, Bound(ge=1, le=1000)] = 1
    activation: Literal["tanh", "relu", "sigmoid", "identity"] = "tanh"
    loss: Literal["half_square", "cross_entropy"] = "half_square"
    init_scale: Positive = 1.0

    @property
    def smooth(self) -> bool:
        """Whether the activation is smooth: all but relu are."""
        return self.activation != "relu"

    def shapes(self, data: Any) -> tuple[tuple[int, ...], ...]:
        """Return the shapes of weights [to, from] and biases [to], layer by layer."""
        sizes = [data.dim, *[self.width] * self.n_hidden, data.n_outputs]
        return tuple(shape for inner, outer in pairwise(sizes) for shape in ((outer, inner), (outer,)))

    def initial(self, seed: int, data: Any) -> Arrays:
        """Draw weights and biases from the uniform law."""
        rng, shapes = stream(seed, "init_weights"), self.shapes(data)
        bounds = [self.init_scale / shape[1] ** 0.5 for shape in shapes[::2] for _ in range(2)]
        return tuple(rng.uniform(-bound, bound, shape) for bound, shape in zip(bounds, shapes, strict=True))

    def outputs(self, leaves: Tensors, inputs: Tensor) -> Tensor:
        """Return the outputs [n, outputs] at inputs [n, d]."""
        *layers, last = zip(leaves[::2], leaves[1::2], strict=True)
        for weight, bias in layers:
            inputs = activated(matmul(inputs, weight.mT) + bias, self.activation)
        return matmul(inputs, last[0].mT) + last[1]

    def losses(self, leaves: Tensors, given: Tensors) -> Tensor:
        """Return the loss of every sample, [n]; targets of classes are one-hot."""
        inputs, targets = given
        outputs = self.outputs(leaves, inputs)
        if self.loss == "half_square":
            return half_square(outputs - targets)
        if self.loss == "cross_entropy":
            return outputs.logsumexp(-1) - (outputs * targets).sum(-1)
        assert_never(self.loss)

    def margins(self, leaves: Tensors, given: Tensors) -> Tensor:
        """Return the right class's output minus the largest of the others, [n]; [0] for a single output."""
        inputs, targets = given
        if targets.shape[-1] == 1:
            return inputs.new_empty(0)
        outputs = self.outputs(leaves, inputs)
        return (outputs * targets).sum(-1) - outputs.masked_fill(targets > 0, float("-inf")).amax(-1)

    def refusal(self, data: Any) -> str | None:
        """Refuse cross-entropy where there are no classes."""
        if self.loss == "cross_entropy" and data.n_outputs == 1:
            return "cross_entropy needs classes, which these data do not have; use half_square"
        return None
