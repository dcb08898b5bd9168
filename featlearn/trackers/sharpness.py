"""Sharpness: the curvature of the training loss at the parameters.

Source: the operator norm of the Hessian, as Long & Bartlett 2024 (arXiv 2309.12488) and Cohen et al. 2021 measure it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from featlearn.types import Size

if TYPE_CHECKING:
    from torch import Tensor

    from featlearn.engines.protocol import View


@dataclass(frozen=True, kw_only=True)
class Sharpness:
    """Eigenvalues of the Hessian of the training loss, exact, at the current parameters (not the perturbed ones).

    sharpness: the one of largest absolute value, with its sign: lambda_max for the ReLU, whose Hessian (the one that
    exists almost everywhere) has no negative eigenvalue; a negative value is the most negative curvature. sharpness_2,
    sharpness_3, ...: the next ones by absolute value. Unit: 1 / lr.

    top: how many eigenvalues; at most as many as there are parameters.
    batch: on the full training set, or on the next mini-batch.
    """

    top: Size = 1
    batch: Literal["full", "batch"] = "full"

    @property
    def one_per_parameter(self) -> tuple[int, str]:
        """The number of eigenvalues, which must not exceed that of the parameters, and their name in messages."""
        return self.top, "eigenvalues"

    def __call__(self, view: View) -> dict[str, Tensor]:
        """Return the columns, each [b]."""
        values = view.curvature(self.batch).top(self.top)
        return {"sharpness" if i == 0 else f"sharpness_{i + 1}": values[:, i] for i in range(self.top)}
