"""mSAM: the batch is split into micro-batches, and each is perturbed along its own gradient.

Source: Foret et al. 2021 (arXiv 2010.01412), section 4.1; Andriushchenko and Flammarion 2022 (2206.06232), whose 1-SAM
is micro_batch_size = 1; Behdin et al. 2023 (2302.09693). In the first two m is the size of a micro-batch, in
the last their number; here the two have different names.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from featlearn.optim.perturbed import Perturbed
from featlearn.optim.wrapper import Memory
from featlearn.types import Count

if TYPE_CHECKING:
    from featlearn.engines.protocol import Objective, Scalar, Vector
    from featlearn.engines.shards import Shards


@dataclass(frozen=True, kw_only=True)
class MSAM(Perturbed):
    """The base rule with the mean over micro-batches b of gradient_b(w + rho g_b / |g_b|), where g_b = gradient_b(w).

    The batch is cut, in the order in which it was drawn, into disjoint micro-batches of equal size: so they are random,
    and differ at every step, on the full batch too. Trackers see the mean of the perturbed points. Give n_shards or
    micro_batch_size.

    n_shards: number of micro-batches; 1 is SAM.
    micro_batch_size: samples of a micro-batch; 1 is 1-SAM.
    """

    reference: ClassVar[str] = "Behdin et al. 2023, arXiv 2302.09693"
    revision: ClassVar[int] = 2  # micro-batches of a full batch are random; they were consecutive samples

    n_shards: Count | None = None
    micro_batch_size: Count | None = None

    def __post_init__(self) -> None:
        """Raise ValueError unless exactly one of n_shards and micro_batch_size is given."""
        super().__post_init__()
        if (self.n_shards is None) == (self.micro_batch_size is None):
            raise ValueError("give exactly one of n_shards and micro_batch_size")

    def batch_conflicts(self, size: int) -> Iterator[tuple[str, str]]:
        """Yield the parameter that a batch of ``size`` samples cannot be split by, and the reason."""
        key = "micro_batch_size" if self.n_shards is None else "n_shards"
        parts: int = getattr(self, key)
        if size % parts:
            relation = "is more than" if parts > size else "does not divide"
            yield key, f"{parts} {relation} a batch of {size} samples"

    def shards(self, loss: Objective) -> Shards:
        """Return the micro-batches of the batch. Raises ValueError where it cannot be split evenly."""
        for key, reason in self.batch_conflicts(loss.size):
            raise ValueError(f"{key} = {reason}")
        shards: Shards = loss.engine.shards(loss, self.micro_batch_size or loss.size // (self.n_shards or 1))
        return shards

    def ascent(self, loss: Objective, w: Vector, rho: Scalar) -> Vector:
        """Return rho g_b / |g_b|, ``loss`` being that of micro-batch b."""
        return rho * loss.unit(loss.gradient(w))

    def descended(self, loss: Objective, w: Vector, rho: Scalar) -> Vector:
        """Return gradient_b(w + rho g_b / |g_b|)."""
        return loss.gradient(w + self.ascent(loss, w, rho))

    def gradient(self, loss: Objective, w: Vector, memory: Memory, t: int) -> tuple[Vector, Any]:
        """Return the mean of the micro-batches' gradients; where rho = 0 that of the batch, equal up to rounding."""
        rho, shards = self.radius(t), self.shards(loss)
        zero: Any = rho == 0
        per_run = getattr(zero, "ndim", 0) > 0  # [b] in a block
        if not per_run and zero:
            return loss.gradient(w), memory.own
        g = shards.average(self.descended, w, rho)
        return (loss.gradient(w).where(zero, g) if per_run and zero.any() else g), memory.own

    def perturbation(self, loss: Objective, w: Vector, memory: Memory, t: int) -> tuple[Vector, Any]:
        """Return the mean of the micro-batches' perturbations."""
        return self.shards(loss).average(self.ascent, w, self.radius(t)), memory.own
