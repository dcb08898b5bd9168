"""The trace of the Hessian, which SGD noise and 1-SAM act on where full-batch SAM acts on its largest eigenvalue.

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
    """Trace of the Hessian of the training loss over all parameters, exact; for the ReLU where it exists.

    In the weight engine it costs one product with the Hessian for every parameter.

    batch: on the full training set, or on the mini-batch about to be used.
    """

    batch: Literal["full", "batch"] = "full"

    def __call__(self, view: View) -> dict[str, Tensor]:
        """Return the column, [b]."""
        return {"hessian_trace": view.curvature(self.batch).trace()}
