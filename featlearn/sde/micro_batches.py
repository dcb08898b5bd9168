"""The limits of mSAM and m-USAM: the mean over the micro-batches of a mini-batch of the limits of SAM and USAM.

With m samples a micro-batch, the drifts descend f + rho E|g_m| and f + rho/2 E|g_m|^2; the micro-batches of B samples
are nearly independent, so that the noise is about m/B times that of one.

Source: Luo et al. 2025, "Unveiling m-Sharpness" (arXiv 2509.18001).
"""

from __future__ import annotations

from featlearn.sde.limit import Limit
from featlearn.sde.sam import SAMLimit
from featlearn.sde.usam import USAMLimit


class _InMicroBatches(Limit):
    def micro_batch(self, size: int) -> int:
        """Return the number of samples of a micro-batch."""
        return int(self.rule.micro_batch_size or size // self.rule.n_shards)


class MSAMLimit(_InMicroBatches, SAMLimit):
    """u_b = g_b / |g_b| of every micro-batch."""


class MUSAMLimit(_InMicroBatches, USAMLimit):
    """u_b = g_b of every micro-batch."""
