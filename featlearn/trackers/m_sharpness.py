"""m-sharpness: how much the loss of m samples can rise at a distance, averaged over the training set.

Source: Foret et al. 2021 (arXiv 2010.01412), section 4.1; Andriushchenko & Flammarion 2022 (arXiv 2206.06232).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from featlearn.types import Positive, Size

if TYPE_CHECKING:
    from torch import Tensor

    from featlearn.engines.protocol import View


@dataclass(frozen=True, kw_only=True)
class MSharpness:
    """m_sharpness: mean over the shards S of L_S(w + radius g_S / |g_S|) - L_S(w), with g_S = grad L_S(w).

    The shards are m consecutive samples each (the last may have fewer, and is weighted by its size), the same at every
    step and for every rule, so that only the point changes; those of mSAM are drawn anew at each step. They are random,
    since the samples are drawn independently. This is the ascent step that SAM takes, not the maximum over the
    ball: it may be negative where the loss is not convex.

    radius: the distance, the same for all runs; not the rule's rho.
    m: samples of a shard; 1 for single samples, n_samples or more for one shard.
    """

    radius: Positive = 0.05
    m: Size = 1

    def __call__(self, view: View) -> dict[str, Tensor]:
        """Return the column, [b]."""
        from dataclasses import replace

        import torch

        here, n = view.losses, view.batch.shape[1]
        rise = torch.zeros_like(here[:, 0])
        for shard in torch.split(torch.arange(n, device=here.device), self.m):
            weights = torch.zeros_like(view.batch)
            weights[:, shard] = 1 / len(shard)
            loss = replace(view.loss("full"), batch=weights)
            there = view.w + self.radius * loss.unit(loss.gradient(view.w))
            rise = rise + (view.engine.losses(there) - here)[:, shard].sum(1) / n
        return {"m_sharpness": rise}
