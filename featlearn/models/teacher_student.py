"""A two-layer student that learns the function of a two-layer teacher from samples.

Source: the setting of Goldt et al. 2019 (arXiv 1906.08632), both layers of the student being trained.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from featlearn.models.landscape import Arrays, Landscape, Tensors, activated, gaussian, matmul
from featlearn.streams import stream
from featlearn.types import NonNegative, Size

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class TeacherStudent(Landscape):
    """(f(x) - f*(x))^2 / 2, where student and teacher are f(x) = sum_r v_r act(<w_r, x> / sqrt(d)).

    n_hidden: hidden neurons of the student.
    n_teacher: hidden neurons of the teacher, with Gaussian w_r of variance 1 and v_r = 1.
    activation: erf, tanh or relu.
    init_std: standard deviation of the student's initial weights, in both layers.
    """

    sees: ClassVar[tuple[str, ...]] = ("gaussian",)

    n_hidden: Size = 4
    n_teacher: Size = 2
    activation: Literal["erf", "tanh", "relu"] = "erf"
    init_std: NonNegative = 0.5

    @property
    def smooth(self) -> bool:
        """Whether the activation is smooth: all but relu are."""
        return self.activation != "relu"

    def shapes(self, data: Any) -> tuple[tuple[int, ...], ...]:
        """Return the shapes of w [hidden, d] and v [hidden]."""
        return (self.n_hidden, data.dim), (self.n_hidden,)

    def initial(self, seed: int, data: Any) -> Arrays:
        """Draw the student's layers from N(0, init_std^2)."""
        return gaussian(seed, self.shapes(data), self.init_std)

    def teacher(self, seed: int, data: Any) -> Arrays:
        """Draw the teacher's layers, of the student's form."""
        return stream(seed, "teacher").standard_normal((self.n_teacher, data.dim)), np.ones(self.n_teacher)

    def given(self, seed: int, data: Any) -> Arrays:
        """Draw the inputs [n, d]; the teacher gives their targets [n]."""
        import torch

        (inputs,) = data.draw(seed)
        tensors = [torch.tensor(array) for array in (inputs, *self.teacher(seed, data))]
        return inputs, self._output(*tensors).numpy()

    def losses(self, leaves: Tensors, given: Tensors) -> Tensor:
        """Return (f(x_i) - f*(x_i))^2 / 2, [n]."""
        inputs, targets = given
        return (self._output(inputs, *leaves) - targets).square() / 2

    def _output(self, inputs: Tensor, hidden: Tensor, outer: Tensor) -> Tensor:
        return (activated(matmul(inputs, hidden.mT) / inputs.shape[-1] ** 0.5, self.activation) * outer).sum(-1)
