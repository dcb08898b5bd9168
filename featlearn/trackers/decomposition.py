"""The signal-noise decomposition: how much signal each filter has learned, and how much noise it has memorized.

w_r = w0_r + j_r sum_s gamma_rs mu_s / |mu_s|^2 + sum_k (1 / times_k) rho_rk xi_k / |xi_k|^2

over the signals mu_s and the noises xi_k, each shown by times_k patches of its sample; j_r is the sign of filter r.
Source: Kou et al. 2023 (arXiv 2303.04145), Chen et al. 2023 (2310.07269). The coefficients are accumulated over the
steps, not projected: with noise that is not orthogonal to the signal, gamma is not <w - w0, signal>.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from featlearn.data.model import Frame
    from featlearn.engines.problem import Problem
    from featlearn.engines.protocol import PatchView


@dataclass(frozen=True, kw_only=True)
class Decomposition:
    """Signal coefficients gamma and noise coefficients rho of the papers.

    signal_coef_max, signal_coef_mean: over all filters and signals; with several signals also signal_coef_max.<name>
    and signal_coef_mean.<name> of each. noise_coef_pos_max, noise_coef_pos_mean: over noises and the filters of their
    sample's label, j = y_i, where rho >= 0 under gradient descent. noise_coef_neg_min, noise_coef_neg_mean: over the
    other filters, j = -y_i.

    A filter's sign j is that of its initial second layer; of two classes, + for the first. A signal that is shown with
    both signs under one label, as in XOR, has gamma = |j gamma|. Filters of three or more classes have j = 1: gamma is
    positive where a filter has grown along the signal, and y_i's filters are those of its class.

    per_filter: also the list column signal_coef, filter by filter of the first signal, then of the next; positive
    filters, or those of the first class, come first.
    per_sample: also the list column noise_coef, noise by noise of the first filter, then of the next.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"span"})

    per_filter: bool = False
    per_sample: bool = False

    def __call__(self, view: PatchView) -> dict[str, Tensor]:
        """Return the columns, each [b], the list columns [b, length]."""
        p = view.problem
        frame = p.composed.frame
        signal, noise = self._coefficients(view)
        _, owners, _ = _roles(frame, view.coef.device)
        own = p.own().index_select(2, owners)
        columns = {"signal_coef_max": signal.amax((1, 2)), "signal_coef_mean": signal.mean((1, 2))}
        names = [x.name for x in frame.signals]
        for name in dict.fromkeys(name for name in names if name and len(names) > 1):
            part = signal[:, [place for place, other in enumerate(names) if other == name]]
            columns[f"signal_coef_max.{name}"] = part.amax((1, 2))
            columns[f"signal_coef_mean.{name}"] = part.mean((1, 2))
        columns |= {
            "noise_coef_pos_max": noise.where(own, -math.inf).amax((1, 2)),
            "noise_coef_pos_mean": _mean_where(own, noise),
            "noise_coef_neg_min": noise.where(~own, math.inf).amin((1, 2)),
            "noise_coef_neg_mean": _mean_where(~own, noise),
        }
        if self.per_filter:
            columns["signal_coef"] = signal.flatten(1)
        if self.per_sample:
            columns["noise_coef"] = noise.flatten(1)
        return columns

    def _coefficients(self, view: PatchView) -> tuple[Tensor, Tensor]:
        """Return gamma [b, S, f] and rho [b, f, R]."""
        composition = view.problem.composed
        frame, coef = composition.frame, view.coef * composition.squares[:, None]
        even, _, times = _roles(frame, coef.device)
        signal = coef[..., : len(even)].mT * filter_signs(view.problem)
        return signal.abs().where(even, signal), coef[..., len(even) :] * times


@lru_cache(maxsize=2)  # the same frame at every step of a block
def _roles(frame: Frame, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return which signals are even, [S, 1], and the noises' owners and times, [R]."""
    import torch

    even = torch.tensor([[signal.even] for signal in frame.signals], device=device)
    return even, torch.tensor(frame.owners, device=device), torch.tensor(frame.times, device=device)


def filter_signs(problem: Problem) -> Tensor:
    """Return the sign of every filter by its initial second layer, [f]; 1 where there are more than two classes."""
    head = problem.head
    if head.shape[1] > 2:
        return head.new_ones(len(head))
    return head[:, 0].sign() if head.shape[1] == 1 else (head[:, 0] - head[:, 1]).sign()


def _mean_where(mask: Tensor, values: Tensor) -> Tensor:
    """Return the mean of the selected values of every run."""
    return (values * mask).sum((1, 2)) / mask.sum((1, 2))
