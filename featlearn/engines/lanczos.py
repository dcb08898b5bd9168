"""Eigenvalues of largest absolute value of symmetric operators, from their products with vectors only.

Lanczos' method finds the largest one, lam_1 with the unit vector v_1, then, from another start orthogonal to v_1, the
largest one of A - lam_1 v_1 v_1', and so on (Parlett 1998, ch. 5 and 13). Deflating an exact pair leaves the rest of
the spectrum unchanged, with multiplicities; one Krylov space would contain a multiple eigenvalue once. A pair is exact
for a matrix within its residual of A, so all pairs are exact for a matrix within the sum of their residuals.

All runs of a block advance together, one Krylov space per run, fully reorthogonalized. The result of a run depends on
its own operator alone: it is taken at the first check at which the run itself has converged.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from featlearn.linalg import eigh, times
from featlearn.streams import stream

FIRST_CHECK, GROWTH = 8, 1.25  # sizes of the Krylov space at which convergence is tested
CAUTION = 10.0  # multiple of the residual by which the other end of the spectrum may move, if it is within a tenth
TOLERANCE = 1e-9  # |A x - theta x| <= TOLERANCE |theta_1|; the error of theta is of the order of its square
TIE = 1e-10  # share of |theta_1| by which absolute values must differ to be ordered; rounding must not order them


def normals(size: int, k: int, like: Tensor) -> Tensor:
    """Return standard normals [k, size], the same for every operator: the starts of the k searches."""
    rows = [torch.as_tensor(stream(0, "lanczos", row).standard_normal(size), dtype=like.dtype) for row in range(k)]
    return torch.stack(rows).to(like.device)


def by_size(values: Tensor) -> Tensor:
    """Return values [b, k] by absolute value, the largest first; of a tie (see TIE) the positive ones first."""
    return values.gather(1, _order(values))


def largest(values: Tensor, vectors: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the first k eigenvalues [b, k] in the order of ``by_size``, with their columns of vectors [b, D, k]."""
    order = _order(values)[:, :k]
    return values.gather(1, order), vectors.gather(2, order[:, None, :].expand(-1, vectors.shape[1], -1))


def _order(values: Tensor) -> Tensor:
    order = values.abs().argsort(dim=1, descending=True, stable=True)
    size, negative = values.abs().gather(1, order), values.gather(1, order) < 0
    apart = size[:, :-1] - size[:, 1:] > TIE * size[:, :1]
    tie = torch.nn.functional.pad(apart.cumsum(1), (1, 0))  # the number of the tie, counted from the largest
    return order.gather(1, (2 * tie + negative).argsort(dim=1, stable=True))


def lanczos(operator: Callable[[Tensor], Tensor], starts: Tensor, b: int) -> tuple[Tensor, Tensor]:
    """Return the k <= D eigenvalues of largest absolute value [b, k], and unit eigenvectors [b, D, k].

    ``operator`` maps [b, D] to [b, D]; starts [k, D]: the start vectors of the k searches, from ``normals``.
    Eigenvalues are repeated by multiplicity; each is within k TOLERANCE |theta_1|, in practice far less. A run whose
    products are not finite gets NaN.
    """
    k, dim = starts.shape
    values, vectors = starts.new_zeros(b, 0), starts.new_zeros(b, dim, 0)

    def deflated(x: Tensor) -> Tensor:
        return operator(x) - times(vectors, values * times(vectors.mT, x))

    for start in starts:
        first = values[:, 0].abs() if values.shape[1] else starts.new_zeros(b)
        value, vector = _leading(deflated, _orthogonal_part(start.expand(b, -1), vectors.mT), first)
        values, vectors = torch.cat([values, value], 1), torch.cat([vectors, vector], 2)
    return largest(values, vectors, k)


def _leading(operator: Callable[[Tensor], Tensor], start: Tensor, first: Tensor) -> tuple[Tensor, Tensor]:
    """Return the eigenvalue of largest absolute value [b, 1] and its vector [b, D, 1].

    first [b]: the largest absolute value found before, the scale for rounding and residuals.
    """
    search, dim = _Search(operator, start, first), start.shape[1]
    check = min(FIRST_CHECK, dim)
    for size in range(1, dim + 1):
        search.extend(size)
        if size == check:
            if search.settle(size):
                break
            check = min(math.ceil(GROWTH * size), dim)
    return search.value, search.vector


class _Search:
    """The Krylov spaces of a block: a basis [b, capacity, D], and the operator's matrix on it and the next vector."""

    def __init__(self, operator: Callable[[Tensor], Tensor], start: Tensor, first: Tensor) -> None:
        (b, dim), self._operator, self._first = start.shape, operator, first
        capacity = min(dim, 32)
        self._basis, self._matrix = start.new_zeros(b, capacity, dim), start.new_zeros(b, capacity + 1, capacity + 1)
        self._next = start / start.norm(dim=1, keepdim=True)
        self._done = torch.zeros(b, dtype=torch.bool, device=start.device)
        self.value, self.vector = start.new_full((b, 1), math.nan), start.new_full((b, dim, 1), math.nan)

    def extend(self, size: int) -> None:
        """Add the next vector to the basis, which then has ``size``, and compute the one after it."""
        self._reserve(size)
        q = self._basis[:, size - 1] = self._next
        product = self._operator(q)
        square = (product * product).sum(1)
        self._done = self._done | ~square.isfinite()
        product = product.where(~self._done[:, None], 0.0)
        along = (q * product).sum(1)
        rest = _orthogonal_part(product - along[:, None] * q, self._basis[:, :size])
        beta = rest.norm(dim=1)
        goes_on = beta > 1e-14 * square.sqrt().maximum(self._first)  # else the space is invariant: only zeros follow
        beta = beta.where(goes_on, 0.0)
        self._next = (rest / beta[:, None]).where(goes_on[:, None], 0.0)
        self._matrix[:, size - 1, size - 1] = along
        self._matrix[:, size - 1, size] = self._matrix[:, size, size - 1] = beta

    def settle(self, size: int) -> bool:
        """Store the results of the runs that have converged; return whether all have."""
        theta, s = eigh(self._matrix[:, :size, :size])
        theta, s = largest(theta[:, [0, -1]], s[:, :, [0, -1]], 2)  # the end found first, and the other one
        residual = (self._matrix[:, size - 1, size, None] * s[:, -1]).abs()
        found, other = theta[:, 0].abs(), -theta[:, 0].sign() * theta[:, 1]
        margin = TOLERANCE * found.maximum(self._first)
        overtaken = (other > 0.9 * found) & (other + CAUTION * residual[:, 1] > found + margin)
        converged = ((residual[:, 0] <= margin) & ~overtaken) | (size == self._basis.shape[2])
        now = converged & ~self._done
        if now.any():
            self.value = torch.where(now[:, None], theta[:, :1], self.value)
            vector = times(self._basis[:, :size].mT, s[:, :, 0])[..., None]
            self.vector = torch.where(now[:, None, None], vector, self.vector)
            self._done = self._done | now
        return bool(self._done.all())

    def _reserve(self, size: int) -> None:
        """Double the capacity where ``size`` exceeds it."""
        b, capacity, dim = self._basis.shape
        if size <= capacity:
            return
        more = min(2 * capacity, dim)
        basis, matrix = self._basis.new_zeros(b, more, dim), self._matrix.new_zeros(b, more + 1, more + 1)
        basis[:, :capacity], matrix[:, : capacity + 1, : capacity + 1] = self._basis, self._matrix
        self._basis, self._matrix = basis, matrix


def _orthogonal_part(x: Tensor, basis: Tensor) -> Tensor:
    """Return the part of x [b, D] orthogonal to the orthonormal rows of basis [b, s, D]; in two passes."""
    for _ in range(2):
        x = x - times(basis.mT, times(basis, x))
    return x
