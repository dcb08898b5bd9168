"""The proposed mechanism by which SAM prevents noise learning, measured directly.

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

    The shares are over the samples i of the next mini-batch and the filters of the sign, or the class, of y_i. An
    activation is on where its pre-activation is positive. noise_deactivated: share of the noise activations that are on
    at w and off at the perturbed point (0 if none was on). signal_kept: share of the signal activations that are on at
    both points (1 if none was on). A rule without perturbation has 0 and 1. A patch with both signal and noise counts
    as neither.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"patches"})

    def __call__(self, view: PatchView) -> dict[str, Tensor]:
        """Return the columns, each [b]."""
        off, noise, _ = _switched(view, "noise")
        _, signal, on = _switched(view, "signal")
        return {
            "noise_deactivated": off / noise.clamp(min=1),
            "signal_kept": (on / signal.clamp(min=1)).where(signal > 0, 1.0),
        }


def _switched(view: PatchView, role: str) -> tuple[Tensor, Tensor, Tensor]:
    """Return how many activations on the patches of a role turn off, are on, and stay on, [b]."""
    p = view.problem
    slots = [place for place, slot in enumerate(p.slots) if slot.role == role]
    shown = p.shown[..., slots]
    places = shown.flatten(1)[:, None].expand(-1, view.align.shape[1], -1)
    size = *view.align.shape[:2], p.n_samples, len(slots)
    here, there = (x.gather(2, places).reshape(size) > 0 for x in (view.align, view.perturbed_align))
    on = here & (p.own() & (view.batch > 0)[:, None])[..., None]
    n_on, n_stay = (x.sum((1, 2, 3)).to(view.align.dtype) for x in (on, on & there))
    return n_on - n_stay, n_on, n_stay
