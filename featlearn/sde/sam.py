"""The limit of SAM: to first order in rho, its drift descends f + rho E|g_b|.

Source: Compagnoni et al. 2023 (arXiv 2301.08203); the closed forms for Gaussian noise are derived in
theory/noisy_gradients.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from featlearn.sde.limit import PerturbedLimit, Response, length
from featlearn.theory.noisy_gradients import response as unit_response

if TYPE_CHECKING:
    from featlearn.engines.loss import Loss
    from featlearn.engines.vector import Vector


class SAMLimit(PerturbedLimit):
    """u_b = g_b / |g_b|, zero where g_b = 0."""

    def ascent(self, loss: Loss, w: Vector, g: Vector) -> Vector:
        """Return g_b / |g_b|."""
        return loss.unit(g)

    def response(self, loss: Loss, g: Vector, s: float) -> Response:
        """Return those of a unit vector along g + s Z in all D parameters."""
        norm, size = length(loss, g).double().cpu().numpy(), float(loss.engine.n_parameters[0])
        with np.errstate(over="ignore", invalid="ignore"):  # of a run that diverges
            a, b, c = (loss.batch.new_tensor(x) for x in unit_response(norm, s, size))
        return a, b, c
