"""m-USAM: mSAM without the normalization, each micro-batch being perturbed by rho times its own gradient.

Source: Luo, Harandi, Phung, Le 2025, "Unveiling m-Sharpness" (arXiv 2509.18001). Their m is the size of a micro-batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from featlearn.optim.msam import MSAM
from featlearn.types import NonNegative

if TYPE_CHECKING:
    from featlearn.engines.protocol import Objective, Scalar, Vector


@dataclass(frozen=True, kw_only=True)
class MUSAM(MSAM):
    """The base rule with the mean over micro-batches b of gradient_b(w + rho g_b), where g_b = gradient_b(w).

    The batch is cut as by mSAM. Give n_shards or micro_batch_size.

    rho: factor of the gradient; not a length, so not comparable with SAM's radius.
    n_shards: number of micro-batches; 1 is USAM.
    micro_batch_size: samples of a micro-batch; 1 is 1-USAM.
    """

    reference: ClassVar[str] = "Luo et al. 2025, arXiv 2509.18001"

    rho: NonNegative

    def ascent(self, loss: Objective, w: Vector, rho: Scalar) -> Vector:
        """Return rho g_b, ``loss`` being that of micro-batch b."""
        return rho * loss.gradient(w)
