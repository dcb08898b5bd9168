"""The covariance of the filters' pre-activations on fresh noise, and its factor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from featlearn.trackers.fresh_samples import column

if TYPE_CHECKING:
    from torch import Tensor

    from featlearn.engines.protocol import PatchView


def noise_gram(view: PatchView) -> Tensor:
    """Return W Sigma W', [b, f, f]: without the signals' directions where the noise is orthogonal to them.

    With A = W S' for the signals S and their Gram matrix Gamma it is W W' - A Gamma^+ A', one signal after the other. A
    signal that is zero, or a combination of those before it, removes nothing. Of anisotropic noise, with Lam in place
    of I, it removes lambda_1 A Gamma^+ A': the signals lie in the first eigenspace.
    """
    import torch

    gram, frame, variance = view.weight_gram.double(), view.problem.composed.frame, None
    if view.weighted_gram is not None:
        gram, variance = view.weighted_gram.double(), column(frame.spectrum[0][0], gram)[:, None, None]
    if not frame.orthogonal:
        return gram
    align, rows = view.signal_align.double(), [[column(x, gram) for x in row] for row in frame.gram]
    rest = torch.stack([torch.stack(row, 1) for row in rows], 1)
    least = 1e-14 * rest.diagonal(dim1=1, dim2=2)
    for j in range(align.shape[2]):
        square = rest[:, j, j]
        inverse = torch.where(square > least[:, j], 1 / square, 0.0)[:, None, None]
        along, products = align[..., j, None], rest[:, j, None]
        removed = inverse * along * along.mT
        gram = gram - (removed if variance is None else variance * removed)
        align, rest = align - inverse * along * products, rest - inverse * products.mT * products
    return gram


def semidefinite_cholesky(gram: Tensor, rtol: float = 1e-12) -> Tensor:
    """Return lower triangular L [b, f, f] with L L' = gram, for positive semidefinite matrices, singular ones too.

    A pivot below rtol times the largest diagonal entry counts as zero, and so does its column. Unlike a factor from
    eigenvectors, L varies continuously with a positive definite matrix, as common random numbers need.
    """
    import torch

    rest, factors = gram, []
    floor = rtol * gram.diagonal(dim1=1, dim2=2).amax(1)
    for i in range(gram.shape[1]):
        pivot = rest[:, i, i]
        positive = pivot > floor
        root = pivot.where(positive, 1.0).rsqrt().where(positive, 0 * floor)  # NaN where the matrix has overflown
        factor = root[:, None] * rest[:, :, i]
        factor[:, :i] = 0
        rest = rest - factor[:, :, None] * factor[:, None, :]
        factors.append(factor)
    return torch.stack(factors, -1)
