"""The mechanism by which SAM is said to prevent noise learning, measured directly.

Chen et al. 2023 (arXiv 2310.07269): at SAM's perturbed point the filters that had memorized a noise patch are switched
off on it, so it gets no update there, while the filters' activation on the signal survives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from torch import Tensor

    from featlearn.engines.protocol import PatchView


@dataclass(frozen=True, kw_only=True)
class Deactivation:
    """Shares of activations that survive at the point where the rule takes its gradient.

    Over the samples i of the mini-batch about to be used and the filters of the sign of y_i, an activation being on
    where its pre-activation is positive: noise_deactivated is the share of on noise activations that are off at the
    perturbed point (0 if none was on), signal_kept the share of on signal activations that are still on there (1 if
    none was on). A rule without perturbation deactivates 0 and keeps 1.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"patches"})

    def __call__(self, view: PatchView) -> dict[str, Tensor]:
        """Return the columns, each [b]."""
        p, here, there = view.problem, view.align, view.perturbed_align
        own = (p.signs * (p.labels * (view.batch > 0))[:, None, :]) > 0
        noise = (p.noise_preactivations(here) > 0) & own[:, :, None, :]
        noise_off = noise & (p.noise_preactivations(there) <= 0)
        signal = (p.by_true_label(p.signal_preactivations(here)) > 0) & own
        signal_on = signal & (p.by_true_label(p.signal_preactivations(there)) > 0)
        n_noise, n_signal = noise.sum((1, 2, 3)), signal.sum((1, 2))
        dtype = here.dtype
        kept = signal_on.sum((1, 2)).to(dtype) / n_signal.clamp(min=1)
        return {
            "noise_deactivated": noise_off.sum((1, 2, 3)).to(dtype) / n_noise.clamp(min=1),
            "signal_kept": kept.where(n_signal > 0, 1.0),
        }
