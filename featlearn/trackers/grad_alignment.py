"""Alignment of gradients with the direction of largest curvature, to which they turn at the edge of stability.

Source: Long & Bartlett 2024 (arXiv 2309.12488).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

    from featlearn.engines.protocol import Vector, View


@dataclass(frozen=True, kw_only=True)
class GradAlignment:
    """|cos| of gradients with the eigenvector of the Hessian whose eigenvalue has the largest absolute value.

    grad_alignment: of the gradient at the current parameters. sam_grad_alignment: of the gradient at the rule's
    perturbed point (the same for a rule without perturbation). 0 where the gradient or the Hessian is 0; for the ReLU
    the Hessian that exists almost everywhere. Where the largest eigenvalue is double, its eigenvector is arbitrary.

    batch: gradients and Hessian of the full training set, or of the next mini-batch.
    """

    batch: Literal["full", "batch"] = "full"

    def __call__(self, view: View) -> dict[str, Tensor]:
        """Return the columns, each [b]."""
        loss, principal = view.loss(self.batch), view.curvature(self.batch).principal()

        def alignment(point: Vector) -> Tensor:
            return loss.inner(loss.unit(loss.gradient(point)), principal).abs()

        return {"grad_alignment": alignment(view.w), "sam_grad_alignment": alignment(view.probe)}
