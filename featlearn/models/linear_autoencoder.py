"""The linear autoencoder with a bottleneck: all its minima are global and span the leading principal directions.

Source: Baldi, Hornik 1989 (Neural Networks 2, 53-58): the minimum is half the sum of the smallest eigenvalues of the
data's second moments; every other critical point, the origin among them, is a saddle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from featlearn.models.landscape import Arrays, Landscape, Tensors, gaussian, half_square, matmul
from featlearn.types import NonNegative, Size

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class LinearAutoencoder(Landscape):
    """|x - D E x|^2 / 2 for every sample x, with an encoder E and a decoder D.

    n_hidden: width of the bottleneck.
    init_std: standard deviation of an initial weight.
    """

    sees: ClassVar[tuple[str, ...]] = ("gaussian",)

    n_hidden: Size = 2
    init_std: NonNegative = 0.1

    def shapes(self, data: Any) -> tuple[tuple[int, ...], ...]:
        """Return the shapes of E [hidden, d] and D [d, hidden]."""
        return (self.n_hidden, data.dim), (data.dim, self.n_hidden)

    def initial(self, seed: int, data: Any) -> Arrays:
        """Draw both layers from N(0, init_std^2)."""
        return gaussian(seed, self.shapes(data), self.init_std)

    def losses(self, leaves: Tensors, given: Tensors) -> Tensor:
        """Return |x_i - D E x_i|^2 / 2, [n]."""
        (encoder, decoder), (inputs,) = leaves, given
        return half_square(inputs - matmul(matmul(inputs, encoder.mT), decoder.mT))
