"""The signal-noise decomposition: how much of each filter is signal learned, and how much is noise memorized.

w_jr = w0_jr + j gamma_jr signal / |signal|^2 + (1 / noise_count) sum_i rho_jri xi_i / |xi_i|^2
Source: Kou et al. 2023 (arXiv 2303.04145), Chen et al. 2023 (2310.07269). The coefficients are accumulated over the
steps, not projected: with noise that is not orthogonal to the signal, gamma is not <w - w0, signal>.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from torch import Tensor

    from featlearn.engines.protocol import PatchView


@dataclass(frozen=True, kw_only=True)
class Decomposition:
    """Signal coefficients gamma and noise coefficients rho of the papers.

    signal_coef_max, signal_coef_mean: over all 2m filters. noise_coef_pos_max, noise_coef_pos_mean: over filters and
    noise vectors with j = y_i, where rho >= 0 under gradient descent. noise_coef_neg_min, noise_coef_neg_mean: over
    those with j = -y_i.

    per_filter: also the list column signal_coef [2m], positive filters first.
    per_sample: also the list column noise_coef [2m * n_noises], filter by filter.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"span"})

    per_filter: bool = False
    per_sample: bool = False

    def __call__(self, view: PatchView) -> dict[str, Tensor]:
        """Return the columns, each [b], the list columns [b, length]."""
        p = view.problem
        square = p.gram.diagonal(dim1=1, dim2=2)[:, None, :]
        coef = view.coef * square
        signal = (p.signs * coef[..., :1]).squeeze(-1)
        noise = p.noise_count * coef[..., 1 : 1 + p.n_noises]
        own = (p.signs * p.labels.repeat(1, p.noises_per_sample)[:, None, :]) > 0
        columns = {
            "signal_coef_max": signal.amax(1),
            "signal_coef_mean": signal.mean(1),
            "noise_coef_pos_max": noise.where(own, -math.inf).amax((1, 2)),
            "noise_coef_pos_mean": _mean_where(own, noise),
            "noise_coef_neg_min": noise.where(~own, math.inf).amin((1, 2)),
            "noise_coef_neg_mean": _mean_where(~own, noise),
        }
        if self.per_filter:
            columns["signal_coef"] = signal
        if self.per_sample:
            columns["noise_coef"] = noise.flatten(1)
        return columns


def _mean_where(mask: Tensor, values: Tensor) -> Tensor:
    """Return the mean of the selected values of every run."""
    return (values * mask).sum((1, 2)) / mask.sum((1, 2))
