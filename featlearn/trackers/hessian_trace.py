"""The trace of the Hessian: SGD noise and 1-SAM reduce it, full-batch SAM the largest eigenvalue.

Source: Wen, Ma & Li 2022 (arXiv 2211.05729).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

    from featlearn.engines.protocol import View


@dataclass(frozen=True, kw_only=True)
class HessianTrace:
    """Trace of the Hessian of the training loss over all parameters, exact.

    For the ReLU it is that of the Hessian that exists almost everywhere. In the weight engine it costs one product with
    the Hessian for every parameter.

    batch: on the full training set, or on the next mini-batch.
    """

    batch: Literal["full", "batch"] = "full"

    def __call__(self, view: View) -> dict[str, Tensor]:
        """Return the column, [b]."""
        return {"hessian_trace": view.curvature(self.batch).trace()}
