"""Eigenvalues of largest absolute value of symmetric operators that are known by their products with vectors only.

Lanczos' method with full reorthogonalization (Parlett 1998, ch. 13), one Krylov space a run, all runs of a block in
step. What a run gets depends on its own operator alone: it is read off at the first check at which the run itself has
converged.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from featlearn.streams import stream

FIRST_CHECK, GROWTH = 8, 1.25  # sizes of the Krylov space at which convergence is tested
TOLERANCE = 1e-9  # |A x - theta x| <= TOLERANCE |theta_1|; the error of theta is of the order of its square


def normals(size: int, row: int, like: Tensor) -> Tensor:
    """Return standard normals [size], the same for everybody; those of row 0 are what a search starts from."""
    return torch.as_tensor(stream(0, "lanczos", row).standard_normal(size), dtype=like.dtype).to(like.device)


def largest(values: Tensor, vectors: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the k eigenvalues [b, k] of largest absolute value, with their columns of vectors [b, D, k]."""
    order = values.abs().argsort(dim=1, descending=True, stable=True)[:, :k]
    return values.gather(1, order), vectors.gather(2, order[:, None, :].expand(-1, vectors.shape[1], -1))


def eigh(matrices: Tensor) -> tuple[Tensor, Tensor]:
    """Return torch.linalg.eigh of symmetric matrices [b, D, D], NaN for those that are not finite."""
    finite = matrices.isfinite().all(-1).all(-1)
    values, vectors = torch.linalg.eigh(matrices.where(finite[:, None, None], 0.0))
    return values.where(finite[:, None], math.nan), vectors.where(finite[:, None, None], math.nan)


def eigvalsh(matrices: Tensor) -> Tensor:
    """Return torch.linalg.eigvalsh of symmetric matrices [b, D, D], NaN for those that are not finite."""
    finite = matrices.isfinite().all(-1).all(-1)
    values: Tensor = torch.linalg.eigvalsh(matrices.where(finite[:, None, None], 0.0))
    return values.where(finite[:, None], math.nan)


def lanczos(operator: Callable[[Tensor], Tensor], start: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the k <= D eigenvalues of largest absolute value [b, k], and unit eigenvectors [b, D, k].

    ``operator`` maps [b, D] to [b, D]; ``start`` [b, D] should resemble what is looked for. An eigenvalue that is
    exactly multiple may be counted fewer times, as in every Krylov method. A run whose products are not finite
    gets NaN.
    """
    search, dim = _Search(operator, start, k), start.shape[1]
    check = min(max(FIRST_CHECK, k), dim)
    for size in range(1, dim + 1):
        search.extend(size)
        if size == check:
            if search.settle(size):
                break
            check = min(math.ceil(GROWTH * size), dim)
    return search.values, search.vectors


class _Search:
    """The Krylov spaces of a block: a basis [b, capacity, D], and the operator's matrix on it and one vector more."""

    def __init__(self, operator: Callable[[Tensor], Tensor], start: Tensor, k: int) -> None:
        (b, dim), self._operator, self._k = start.shape, operator, k
        capacity = min(dim, 32)
        self._basis, self._matrix = start.new_zeros(b, capacity, dim), start.new_zeros(b, capacity + 1, capacity + 1)
        self._next = _unit(start, normals(dim, 0, start))
        self._done = torch.zeros(b, dtype=torch.bool, device=start.device)
        self.values, self.vectors = start.new_full((b, k), math.nan), start.new_full((b, dim, k), math.nan)

    def extend(self, size: int) -> None:
        """Take the next vector into the basis, which then has ``size``, and find the one after it."""
        self._reserve(size)
        q = self._basis[:, size - 1] = self._next
        product = self._operator(q)
        square = (product * product).sum(1)
        self._done = self._done | ~square.isfinite()
        product = product.where(~self._done[:, None], 0.0)
        along = (q * product).sum(1)
        rest = self._across(product - along[:, None] * q, size)
        beta = rest.norm(dim=1)
        ended = beta <= 1e-14 * square.sqrt()  # the space is invariant: go on from any vector across it
        if ended.any():
            fresh = self._across(self._across(normals(q.shape[1], size, q).expand_as(q), size), size)
            rest, beta = torch.where(ended[:, None], fresh, rest), beta.where(~ended, 0.0)
        self._next = rest / rest.norm(dim=1, keepdim=True).clamp(min=1e-300)
        self._matrix[:, size - 1, size - 1] = along
        self._matrix[:, size - 1, size] = self._matrix[:, size, size - 1] = beta

    def _across(self, x: Tensor, size: int) -> Tensor:
        """Return the part of x [b, D] across the basis."""
        basis, column = self._basis[:, :size], x[:, :, None]
        return torch.baddbmm(column, basis.mT, basis @ column, alpha=-1)[:, :, 0]

    def settle(self, size: int) -> bool:
        """Read off the runs that have converged; return whether all have."""
        theta, s = eigh(self._matrix[:, :size, :size])
        theta, s = largest(theta, s, self._k)
        residual = (self._matrix[:, size - 1, size, None] * s[:, -1]).abs().amax(1)
        converged = (residual <= TOLERANCE * theta[:, 0].abs()) | (size == self._basis.shape[2])
        now = converged & ~self._done
        if now.any():
            self.values = torch.where(now[:, None], theta, self.values)
            found = self._basis[:, :size].mT @ s
            self.vectors = torch.where(now[:, None, None], found, self.vectors)
            self._done = self._done | now
        return bool(self._done.all())

    def _reserve(self, size: int) -> None:
        """Double the room where ``size`` exceeds it."""
        b, capacity, dim = self._basis.shape
        if size <= capacity:
            return
        more = min(2 * capacity, dim)
        basis, matrix = self._basis.new_zeros(b, more, dim), self._matrix.new_zeros(b, more + 1, more + 1)
        basis[:, :capacity], matrix[:, : capacity + 1, : capacity + 1] = self._basis, self._matrix
        self._basis, self._matrix = basis, matrix


def _unit(x: Tensor, otherwise: Tensor) -> Tensor:
    """Return x / |x|, the unit vector along ``otherwise`` where x is 0 or not finite."""
    usable = x.isfinite().all(1, keepdim=True) & (x != 0).any(1, keepdim=True)
    x = x.where(usable, otherwise)
    x = x / x.abs().amax(1, keepdim=True)
    unit: Tensor = x / x.norm(dim=1, keepdim=True)
    return unit
