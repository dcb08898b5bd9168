"""The diagonal linear network: f(x) = <u * v, x>, whose implicit bias depends on how it is trained.

Source: Woodworth et al. 2020 (arXiv 2002.09277), and for SAM Andriushchenko and Flammarion 2022 (arXiv 2206.06232),
section 4 (recalled): with a sparse teacher and fewer samples than coordinates, gradient flow from a small start finds
nearly the solution of least l1 norm, from a large one that of least l2 norm; SAM, with micro-batches of one sample more
than with the full batch, acts like a smaller start.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from featlearn.models.landscape import Arrays, Landscape, Tensors, half_square, matmul
from featlearn.streams import stream
from featlearn.types import NonNegative, Size

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class DiagonalNetwork(Landscape):
    """|X (u * v) - y|^2 / (2n), entry by entry u * v; with several targets, one u and v for each.

    start_u: initial value of every entry of u.
    start_v: initial value of every entry of v; with 0 the network starts from u * v = 0.
    n_active: nonzero entries of the teacher that gives targets to data without them: +-1 at the first places.
    noise: standard deviation of the noise of its targets.
    """

    sees: ClassVar[tuple[str, ...]] = ("gaussian", "chebyshev", "digits", "iris", "breast_cancer")

    start_u: float = 0.1
    start_v: float = 0.0
    n_active: Size = 3
    noise: NonNegative = 0.0

    def refusal(self, data: Any) -> str | None:
        """Refuse a teacher with more nonzero entries than the inputs have coordinates."""
        if not hasattr(data, "n_outputs") and self.n_active > data.dim:
            return f"n_active = {self.n_active} is more than the {data.dim} coordinates of the inputs"
        return None

    def shapes(self, data: Any) -> tuple[tuple[int, ...], ...]:
        """Return the shapes of u and v, [targets, d] each."""
        shape = getattr(data, "n_outputs", 1), data.dim
        return shape, shape

    def initial(self, seed: int, data: Any) -> Arrays:
        """Return the constant start, the same for every seed."""
        of_u, of_v = self.shapes(data)
        return np.full(of_u, self.start_u), np.full(of_v, self.start_v)

    def teacher(self, seed: int, data: Any) -> np.ndarray:
        """Draw the teacher [d]: signs at its first n_active places, as good as any where the inputs are isotropic."""
        signs = stream(seed, "teacher").choice([-1.0, 1.0], self.n_active)
        return np.concatenate([signs, np.zeros(data.dim - self.n_active)])

    def given(self, seed: int, data: Any) -> Arrays:
        """Draw the inputs [n, d] and the targets [n, targets]: the data's own, or the teacher's."""
        inputs, *targets = data.draw(seed)
        if targets:
            return inputs, targets[0]
        noise = self.noise * stream(seed, "target noise").standard_normal(len(inputs))
        return inputs, ((inputs * self.teacher(seed, data)).sum(1) + noise)[:, None]

    def losses(self, leaves: Tensors, given: Tensors) -> Tensor:
        """Return |x_i (u * v) - y_i|^2 / 2, [n]."""
        u, v = leaves
        inputs, targets = given
        return half_square(matmul(inputs, (u * v).mT) - targets)
