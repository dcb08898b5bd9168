"""Losses: each is defined once, by the formulas of its value and derivatives in the output f, for a label y.

Labels are +1 and -1, for squared losses also real targets; m = y f is the margin. The cross-entropy of several classes,
whose label is the class number, is a function of all outputs, in torch here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from featlearn.functions.formulas import chosen, in_torch, smooth, torch_function

if TYPE_CHECKING:
    from torch import Tensor

    Function = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class LossFunction:
    """A loss of one output f, with its formulas (see formulas.py); Softmax is a loss of several.

    second_formula: None where the second derivative is 0 almost everywhere. twin_text: the same function of f and y
    by torch's own functions. Outputs are [..., C], with C = 1 here, and labels [...].
    """

    name: str
    value_formula: str
    slope_formula: str
    second_formula: str | None
    twin_text: str

    @property
    def smooth(self) -> bool:
        """Whether it is three times continuously differentiable in the outputs."""
        return smooth(self.value_formula)

    def n_outputs(self, n_classes: int) -> int:
        """Return C."""
        return 1

    def value(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of every sample, [...]."""
        return self._value(outputs[..., 0], labels)

    def slope(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Return its derivatives in the outputs, [..., C]."""
        return self._slope(outputs[..., 0], labels)[..., None]

    def root(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Return R [..., C, C], where R R' is the matrix of second derivatives in the outputs."""
        return self._second(outputs, labels[..., None]).sqrt()[..., None]

    def twin(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of every sample by torch's own functions, for autograd and as a check of the formulas."""
        return self._twin(outputs[..., 0], labels)

    def mistakes(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Return 1 where the sign of the output is wrong, 0 where it is right, 1/2 where f = 0; NaN where f is."""
        return mistakes(labels * outputs[..., 0])

    @cached_property
    def _value(self) -> Function:
        return torch_function("f, y", self.value_formula)

    @cached_property
    def _slope(self) -> Function:
        return torch_function("f, y", self.slope_formula)

    @cached_property
    def _second(self) -> Function:
        return torch_function("f, y", self.second_formula or "0")

    @cached_property
    def _twin(self) -> Function:
        return in_torch(f"lambda f, y: {self.twin_text}")


class Softmax(LossFunction):
    """The cross-entropy log sum_j exp(f_j - f_y) of C outputs, where y is the number of the right class."""

    @property
    def smooth(self) -> bool:
        """True."""
        return True

    def n_outputs(self, n_classes: int) -> int:
        """Return C, one output a class."""
        return n_classes

    def value(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of every sample; small losses keep their digits."""
        top = outputs.argmax(-1, keepdim=True)
        below = outputs - outputs.gather(-1, top)
        others = below.exp().scatter(-1, top, 0.0)
        return others.sum(-1).log1p() - below.gather(-1, _index(labels))[..., 0]

    def slope(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Return p - e_y, with p the probabilities; small slopes keep their digits."""
        others = outputs.softmax(-1).scatter(-1, _index(labels), 0.0)
        return others.scatter(-1, _index(labels), -others.sum(-1, keepdim=True))

    def root(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Return (I - p 1') diag(sqrt p), whose square is diag(p) - p p'."""
        p = outputs.softmax(-1)
        identity = p.new_ones(p.shape[-1]).diag()
        return (identity - p[..., None]) * p.sqrt()[..., None, :]

    def twin(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Return torch's cross-entropy."""
        flat = self._twin(outputs.flatten(0, -2), labels.flatten().long())
        return flat.view(outputs.shape[:-1])

    def mistakes(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Return 1 where a wrong output is largest, 1 - 1/k where the right one ties with k - 1 others; NaN stays."""
        at_top = (outputs == outputs.amax(-1, keepdim=True)).to(outputs.dtype)
        return 1 - at_top.gather(-1, _index(labels))[..., 0] / at_top.sum(-1)


def _index(labels: Tensor) -> Tensor:
    return labels.long()[..., None]


LOGISTIC = LossFunction(
    "logistic",
    "softplus(-m)",
    "-y / (1 + exp(m))",
    "sigmoid(m) * sigmoid(-m)",
    "F.softplus(-y * f, threshold=40.0)",
)
EXPONENTIAL = LossFunction("exponential", "exp(-m)", "-y * exp(-m)", "exp(-m)", "torch.exp(-y * f)")
HINGE = LossFunction("hinge", "positive(1 - m)", "-y * step(1 - m)", None, "F.relu(1 - y * f)")
SMOOTHED_HINGE = LossFunction(
    "smoothed_hinge",
    "where(m > 0, 0.5 * positive(1 - m) * positive(1 - m), 0.5 - m)",
    "-y * positive(1 - positive(m))",
    "step(m) * step(1 - m)",
    "F.smooth_l1_loss(F.relu(1 - y * f), torch.zeros_like(f), reduction='none')",
)
SQUARE = LossFunction("square", "(f - y) * (f - y)", "2 * (f - y)", "2", "F.mse_loss(f, y, reduction='none')")
HALF_SQUARE = LossFunction(
    "half_square", "0.5 * (f - y) * (f - y)", "f - y", "1", "0.5 * F.mse_loss(f, y, reduction='none')"
)
POLYNOMIAL = LossFunction(  # Wang, Chatterji, Haque and Hashimoto (2021), arXiv:2112.12986
    "polynomial",
    "1 / (1 + positive(m)) + positive(-m)",
    "-y / (1 + positive(m)) / (1 + positive(m))",
    "where(m >= 0, 2 / (1 + positive(m)) / (1 + positive(m)) / (1 + positive(m)), 0)",
    "torch.where(y * f >= 0, 1 / (1 + (y * f).clamp(min=0)), 1 - y * f)",
)
SOFTMAX = Softmax("softmax", "", "", None, "F.cross_entropy(f, y, reduction='none')")

LOSSES = {
    loss.name: loss for loss in (LOGISTIC, EXPONENTIAL, HINGE, SMOOTHED_HINGE, SQUARE, HALF_SQUARE, POLYNOMIAL, SOFTMAX)
}
SCALAR_LOSSES = {name: loss for name, loss in LOSSES.items() if name != "softmax"}


def loss(name: str) -> LossFunction:
    """Return the loss of a name. Raises ValueError for an unknown one."""
    found: LossFunction = chosen("loss", name, LOSSES)
    return found


def mistakes(margin: Tensor) -> Tensor:
    """Return 1 where the margin is negative, 0 where it is positive; an output of 0 counts one half; NaN stays."""
    return ((margin < 0).to(margin.dtype) + 0.5 * (margin == 0)).where(~margin.isnan(), margin)
