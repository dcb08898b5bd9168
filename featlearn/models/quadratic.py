"""The quadratic w' H w / 2 with a given spectrum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from featlearn.models.landscape import Arrays, Landscape, Tensors, gaussian
from featlearn.streams import stream
from featlearn.types import NonNegative, Numbers

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Quadratic(Landscape):
    """w' H w / 2, where H has the given eigenvalues; negative ones make a saddle without minimum.

    spectrum: eigenvalues of H, as many as parameters.
    rotated: draw the eigenvectors of each run from the uniform distribution over rotations; else they are the axes.
    start: initial point, one number a parameter; null to draw it.
    init_std: standard deviation of an initial coordinate that is drawn.
    """

    spectrum: Numbers = (4.0, 2.0, 1.0)
    rotated: bool = False
    start: Numbers | None = None
    init_std: NonNegative = 1.0

    def __post_init__(self) -> None:
        """Raise ValueError unless the start has as many coordinates as there are eigenvalues."""
        if self.start is not None and len(self.start) != len(self.spectrum):
            raise ValueError(f"start has {len(self.start)} coordinates, and spectrum {len(self.spectrum)}")

    def shapes(self, data: Any) -> tuple[tuple[int, ...], ...]:
        """Return ((number of eigenvalues,),)."""
        return ((len(self.spectrum),),)

    def initial(self, seed: int, data: Any) -> Arrays:
        """Return the start, or draw w from N(0, init_std^2)."""
        if self.start is not None:
            return (np.array(self.start),)
        return gaussian(seed, self.shapes(data), self.init_std)

    def given(self, seed: int, data: Any) -> Arrays:
        """Return the eigenvalues [d], and the eigenvectors [d, d] as rows."""
        d = len(self.spectrum)
        return np.array(self.spectrum), rotation(seed, d) if self.rotated else np.eye(d)

    def losses(self, leaves: Tensors, given: Tensors) -> Tensor:
        """Return sum_i lambda_i <v_i, w>^2 / 2."""
        (w,), (eigenvalues, eigenvectors) = leaves, given
        along = (eigenvectors * w).sum(-1) if self.rotated else w
        return (eigenvalues * along.square()).sum() / 2


def rotation(seed: int, size: int) -> np.ndarray:
    """Draw a uniformly distributed orthogonal matrix [size, size] (QR of a Gaussian matrix, signs fixed)."""
    import torch

    q, r = torch.linalg.qr(torch.tensor(stream(seed, "rotation").standard_normal((size, size))))
    return np.asarray((q * r.diagonal().sign()).numpy())
