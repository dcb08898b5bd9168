"""Activations of the hidden layer: each is defined once, by the formulas of its value and derivatives.

At a kink the derivatives are torch's: those of ``twin``, torch's own function, by autograd.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from featlearn.functions.formulas import chosen, in_torch, smooth, torch_function

if TYPE_CHECKING:
    from torch import Tensor

    Function = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Activation:
    """A function of the pre-activation z with its derivatives, as formulas (see formulas.py) and on tensors.

    second_formula: None where the second derivative is 0 almost everywhere. degree: q where act(r z) = r^q act(z) for
    r > 0, else None. twin_text: the same function of z by torch's own functions.
    """

    name: str
    value_formula: str
    slope_formula: str
    second_formula: str | None
    degree: int | None
    twin_text: str

    @property
    def smooth(self) -> bool:
        """Whether it is three times continuously differentiable; relu3 is not: its third derivative jumps at 0."""
        return smooth(self.value_formula)

    @cached_property
    def value(self) -> Function:
        """The function itself, elementwise."""
        return torch_function("z", self.value_formula)

    @cached_property
    def slope(self) -> Function:
        """Its derivative."""
        return torch_function("z", self.slope_formula)

    @cached_property
    def second(self) -> Function | None:
        """Its second derivative; None where that is 0 almost everywhere."""
        return None if self.second_formula is None else torch_function("z", self.second_formula)

    @cached_property
    def twin(self) -> Function:
        """The same by torch's own functions, for autograd and as a check of the formulas."""
        return in_torch(f"lambda z: {self.twin_text}")


RELU = Activation("relu", "positive(z)", "step(z)", None, degree=1, twin_text="F.relu(z)")
LEAKY_RELU = Activation(
    "leaky_relu",
    "where(z > 0, z, 0.1 * z)",
    "0.1 + 0.9 * step(z)",
    None,
    degree=1,
    twin_text="F.leaky_relu(z, 0.1)",
)
RELU2 = Activation(
    "relu2",
    "positive(z) * positive(z)",
    "2 * positive(z)",
    "2 * step(z)",
    degree=2,
    twin_text="F.relu(z).square()",
)
RELU3 = Activation(
    "relu3",
    "positive(z) * positive(z) * positive(z)",
    "3 * positive(z) * positive(z)",
    "6 * positive(z)",
    degree=3,
    twin_text="F.relu(z).pow(3)",
)
SMOOTHED_RELU = Activation(  # Allen-Zhu and Li (2023), with q = 3 and threshold 1
    "smoothed_relu",
    "where(z > 1, z - 2 / 3, positive(z) * positive(z) * positive(z) / 3)",
    "where(z > 1, 1, positive(z) * positive(z))",
    "where(z > 1, 0, 2 * positive(z))",
    degree=None,
    twin_text="torch.where(z > 1, z - 2 / 3, F.relu(z).clamp(max=1).pow(3) / 3)",
)
SMOOTHED_LEAKY_RELU = Activation(  # its slope rises from .1 at 0 to 1 at 1
    "smoothed_leaky_relu",
    "where(z > 1, z - 0.45, 0.1 * z + 0.45 * positive(z) * positive(z))",
    "where(z > 1, 1, 0.1 + 0.9 * positive(z))",
    "where(z > 1, 0, 0.9 * step(z))",
    degree=None,
    twin_text="torch.where(z > 1, z - 0.45, 0.1 * z + 0.45 * F.relu(z).clamp(max=1).square())",
)
QUADRATIC = Activation("quadratic", "z * z", "2 * z", "2", degree=2, twin_text="z.square()")
CUBIC = Activation("cubic", "z * z * z", "3 * z * z", "6 * z", degree=3, twin_text="z.pow(3)")
SOFTPLUS = Activation(
    "softplus",
    "softplus(z)",
    "sigmoid(z)",
    "sigmoid(z) * sigmoid(-z)",
    degree=None,
    twin_text="F.softplus(z, threshold=40.0)",
)
GELU = Activation(  # z times the normal distribution function; .3989... is its density at 0
    "gelu",
    "z * (0.5 + 0.5 * erf(0.7071067811865476 * z))",
    "0.5 + 0.5 * erf(0.7071067811865476 * z) + z * (0.3989422804014327 * exp(-0.5 * z * z))",
    "0.3989422804014327 * (2 * exp(-0.5 * z * z) - z * (z * exp(-0.5 * z * z)))",
    degree=None,
    twin_text="F.gelu(z)",
)
SILU = Activation(
    "silu",
    "z * sigmoid(z)",
    "sigmoid(z) * (1 + z * sigmoid(-z))",
    "sigmoid(z) * sigmoid(-z) * (2 + z * (sigmoid(-z) - sigmoid(z)))",
    degree=None,
    twin_text="F.silu(z)",
)
TANH = Activation(
    "tanh",
    "tanh(z)",
    "1 - tanh(z) * tanh(z)",
    "-2 * tanh(z) * (1 - tanh(z) * tanh(z))",
    degree=None,
    twin_text="torch.tanh(z)",
)
ERF = Activation(
    "erf",
    "erf(z)",
    "1.1283791670955126 * exp(-z * z)",
    "-2 * (z * (1.1283791670955126 * exp(-z * z)))",
    degree=None,
    twin_text="torch.erf(z)",
)
IDENTITY = Activation("identity", "z", "1", None, degree=1, twin_text="z * 1")

ACTIVATIONS = {
    act.name: act
    for act in (
        *(RELU, LEAKY_RELU, RELU2, RELU3, SMOOTHED_RELU, SMOOTHED_LEAKY_RELU, QUADRATIC, CUBIC),
        *(SOFTPLUS, GELU, SILU, TANH, ERF, IDENTITY),
    )
}


def activation(name: str) -> Activation:
    """Return the activation of a name. Raises ValueError for an unknown one."""
    found: Activation = chosen("activation", name, ACTIVATIONS)
    return found
