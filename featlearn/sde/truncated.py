"""The covariance truncated at first order in rho, for Gaussian noise in few dimensions.

Cov(D) = s^2 (I + rho (H J + J H)) + O(rho^2), with J = E du/dg, is the covariance that papers state. Unlike the
complete one, s^2 (I + rho H J)(I + rho H J)', it need not be positive semi-definite: negative eigenvalues are set to 0,
and the substeps at which there were any are counted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from featlearn.linalg import eigh, times
from featlearn.sde.gaussian import Gaussian

if TYPE_CHECKING:
    from torch import Tensor

    from featlearn.engines.vector import Vector

ROUNDING = 1e-12  # share of the largest eigenvalue below which a negative one is rounding


@dataclass(frozen=True, kw_only=True)
class Truncated(Gaussian):
    """Gradients with the noise s Z, with the truncated covariance. projected: [b], at every evaluation of the noise."""

    projected: list[Tensor] = field(default_factory=list)

    @property
    def n_projected(self) -> Tensor | float:
        """Whether a covariance was projected in this substep, [b]."""
        return torch.stack(self.projected).any(0) if self.projected else 0.0

    def increment(self, w: Vector, h: float, dw: Tensor | None) -> Vector:
        """Return -rate (h E[D] + A^(1/2) dW), A the covariance projected onto the positive semi-definite matrices."""
        moved = super().increment(w, h, None)
        if dw is None:
            return moved
        values, vectors = eigh(self.covariance(w))
        bottom = -ROUNDING * values.abs().amax(1)
        self.projected.append(values[:, 0] < bottom)
        roots = values.clamp(min=0).sqrt()
        noise = times(vectors, roots * times(vectors.mT, dw.double()))
        direction: Vector = self.loss.engine.unflattened(noise.to(dw.dtype))
        return moved - self.rate * direction

    def covariance(self, w: Vector) -> Tensor:
        """Return s^2 (I + rho (H J + J H)), [b, D, D], in float64."""
        loss, s, strength = self.loss.full, self.loss.gradient_noise, self.strength(w)
        identity = torch.eye(self.n_noises, dtype=torch.float64, device=loss.batch.device)
        rows = []
        for unit in identity:
            x = loss.engine.unflattened(unit.to(loss.batch).expand(len(loss.batch), -1))
            # s (I + rho H J) x without the drift
            rows.append(_flat(self.limit.gaussian(loss, w, strength, s, 0.0, x)))
        factor = torch.stack(rows, 2) / s - identity
        return s * s * (identity + factor + factor.mT)


def _flat(u: Vector) -> Tensor:
    return torch.cat([leaf.double().flatten(1) for leaf in u.leaves], 1)
