"""Population test error without test data.

On a fresh sample the filters see the noise patch only through z = W xi ~ N(0, noise_std^2 W W'), a vector of 2m
numbers (one such vector a patch if the noise is independent). The error is an expectation over it, taken by scrambled
Sobol directions, turned by a random rotation of the run's own seed: two optimizers with one seed are compared on common
random numbers, while the errors of different seeds average out, so that the spread over seeds contains them.

Where the noise part N(z) of the output is homogeneous (a power of the ReLU, no bias), N(r u) = r^q N(u), so the length
r ~ chi of the Gaussian is integrated exactly and only its direction u is sampled: a smooth integrand in place of
an indicator. Elsewhere the lengths are quantiles of the chi law, at places of the run's own seed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np

from featlearn.types import Bound

if TYPE_CHECKING:
    from torch import Tensor

    from featlearn.engines.problem import Problem
    from featlearn.engines.protocol import PatchView


@dataclass(frozen=True, kw_only=True)
class TestError:
    """Error on a fresh sample: P(y f < 0), an output of exactly zero counting one half.

    test_error: against observed labels, flips included, (1 - flip_prob) e + flip_prob (1 - e), never below flip_prob
    for a network better than chance. test_error_true: e, against true labels. test_error_se: standard error of
    test_error, from independent scrambles of the points.

    n_points: Sobol points of each scramble, a power of two.
    n_scrambles: independent scrambles.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"patches"})
    __test__ = False  # not a test class, whatever pytest thinks of the name

    n_points: Annotated[int, Bound(ge=2, le=2**20)] = 64
    n_scrambles: Annotated[int, Bound(ge=2, le=64)] = 8

    def __post_init__(self) -> None:
        """Refuse sizes at which Sobol points lose their balance."""
        if self.n_points & (self.n_points - 1):
            raise ValueError("n_points must be a power of two")

    def __call__(self, view: PatchView) -> dict[str, Tensor]:
        """Return the columns, each [b]."""
        error = self._by_scramble(view)
        flip = view.problem.flip_prob
        mean, se = error.mean(1), error.std(1) / self.n_scrambles**0.5
        return {
            "test_error": (1 - flip) * mean + flip * (1 - mean),
            "test_error_true": mean,
            "test_error_se": (1 - 2 * flip) * se,
        }

    def _by_scramble(self, view: PatchView) -> Tensor:
        """Return the error against true labels, [b, n_scrambles]."""
        import torch

        p = view.problem
        degree = 0 if p.bias or p.activation.degree is None else p.activation.degree
        sizes = p.noises_per_sample, len(p.signs), self.n_points, self.n_scrambles
        directions = torch.as_tensor(sobol_directions(*sizes)).to(p.seeds.device)
        unit = directions.new_ones(()).expand(len(p.seeds), len(directions))
        integral = _Integral(
            gram=(p.noise_std.square()[:, None, None] * noise_gram(view)).double(),
            signal=p.scale * (p.signs * p.activation.value(p.signal_preactivations(view.align))).sum(1).double(),
            bias=(view.align[..., -1] if p.bias else torch.zeros_like(view.align[..., -1])).double(),
            directions=directions,
            turns=rotations(p.seeds, *sizes[:2]),
            lengths=unit if degree else chi_lengths(p.seeds, *sizes),
            degree=degree,
            n_scrambles=self.n_scrambles,
        )
        error = integral.plain(p) if view.align.is_cuda else integral.fused(p)
        return error.to(view.align.dtype)


_NUMBERS_AT_ONCE = {"cpu": 2**25, "cuda": 2**28}


@dataclass(frozen=True, kw_only=True)
class _Integral:
    """The error against true labels as an expectation over the pre-activations z of the filters on noise patches.

    gram [b, f, f]: covariance of z. signal [b, 2]: the output's part from +signal and -signal. bias [b, f].
    directions [points, q f]: of the Gaussian, the same for every run, turned by the run's own rotations turns
    [b, q, f, f]. lengths [b, points]: the run's own, or 1 where ``degree`` > 0 and they are integrated. All in float64.
    """

    gram: Tensor
    signal: Tensor
    bias: Tensor
    directions: Tensor
    turns: Tensor
    lengths: Tensor
    degree: int
    n_scrambles: int

    def fused(self, p: Problem) -> Tensor:
        """Integrate run by run in one pass each, on a CPU; without numba as ``plain``."""
        try:
            from featlearn.functions.compiled import kind_of
            from featlearn.tiles import pad_columns
            from featlearn.trackers.error_loops import error_by_scramble, workspace
        except ModuleNotFoundError:
            return self.plain(p)
        q, f, s = p.noises_per_sample, len(p.signs), self.n_scrambles
        out = self.signal.new_empty(len(self.signal), s)
        directions = pad_columns(self.directions.reshape(s, -1, q, f).permute(0, 2, 3, 1).numpy())
        lengths = self.lengths[: 1 if self.degree else None].reshape(-1, s, len(self.directions) // s)
        gram, signal, bias = (x.contiguous().numpy() for x in (self.gram, self.signal, self.bias))
        turns = pad_columns(self.turns.numpy())
        arrays = gram, signal, bias, directions, turns, lengths.contiguous().numpy()
        work = workspace(directions, turns, lengths.shape[2], p.scale * p.noise_count)
        error_by_scramble(*arrays, kind_of(p.activation.name), self.degree, work, out.numpy())
        return out

    def plain(self, p: Problem) -> Tensor:
        """Integrate with plain torch, as many runs at once as keep the pre-activations in _NUMBERS_AT_ONCE."""
        import torch

        from featlearn.linalg import product

        chance = _radial_chance(self.directions.shape[1], self.degree) if self.degree else _plain_chance
        directions = self.directions.reshape(len(self.directions), p.noises_per_sample, -1).swapaxes(0, 1)
        factors = product(semidefinite_cholesky(self.gram)[:, None], self.turns)
        most = max(1, _NUMBERS_AT_ONCE[directions.device.type] // self.directions.numel())
        at_once = 2 ** (most.bit_length() - 1)  # a full block is then cut into equal parts
        parts = [torch.split(x, at_once) for x in (self.signal, factors, self.bias, self.lengths)]
        rows = []
        for signal, factor, bias, length in zip(*parts, strict=True):
            z = product(directions, factor.mT)
            if not self.degree:
                z = length[:, None, :, None] * z + bias[:, None, None]
            noise = p.scale * p.noise_count * (p.activation.value(z) * p.signs[:, 0].double()).sum((1, 3))
            both = chance(signal[:, :1], noise) + chance(-signal[:, 1:], -noise)
            rows.append(both.reshape(len(both), self.n_scrambles, -1).mean(2) / 2)
        return torch.cat(rows)


def noise_gram(view: PatchView) -> Tensor:
    """Return W W' as the noise sees it, [b, f, f]: without the bias coordinate, and without the signal's direction
    where the noise is orthogonal to it.
    """
    p, gram = view.problem, view.weight_gram
    if p.bias:
        gram = gram - view.align[..., -1:] * view.align[..., -1:].mT
    if p.orthogonal_noise:
        square = p.signal_norm.square()[:, None, None]
        along = view.align[..., :1] * view.align[..., :1].mT
        gram = gram - along / square.where(square > 0, 1.0)
    return gram


def semidefinite_cholesky(gram: Tensor, rtol: float = 1e-12) -> Tensor:
    """Return lower triangular L [b, f, f] with L L' = gram, for positive semidefinite matrices, singular ones too.

    A pivot below rtol times the largest diagonal entry is rounding of zero, and so is its column. Unlike a factor from
    eigenvectors, L varies continuously with a positive definite matrix, as common random numbers need.
    """
    rest, columns = gram, []
    floor = rtol * gram.diagonal(dim1=1, dim2=2).amax(1)
    for i in range(gram.shape[1]):
        pivot = rest[:, i, i]
        positive = pivot > floor
        root = pivot.where(positive, 1.0).rsqrt().where(positive, 0 * floor)  # NaN where the matrix has overflown
        column = root[:, None] * rest[:, :, i]
        column[:, :i] = 0
        rest = rest - column[:, :, None] * column[:, None, :]
        columns.append(column)
    import torch

    return torch.stack(columns, -1)


def _plain_chance(signal: Tensor, noise: Tensor) -> Tensor:
    """Return the indicator of signal + noise < 0 at every point; one half where the sum is zero."""
    from featlearn.functions.losses import mistakes

    return mistakes(signal + noise)


def _radial_chance(n_normals: int, degree: int) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the function (signal, noise on the unit sphere) -> P(signal + r^degree noise < 0), r ~ chi_{n_normals}."""
    import torch

    def chance(signal: Tensor, noise: Tensor) -> Tensor:
        ratio = (-signal / noise.where(noise != 0, 1.0)).clamp(min=0)  # the sum changes sign at r^degree = ratio
        half_square = ratio.pow(2 / degree) / 2
        below = torch.special.gammainc(torch.full_like(noise, n_normals / 2), half_square)
        undecided = (signal < 0).to(noise.dtype) + 0.5 * (signal == 0) + 0 * noise  # NaN stays NaN
        return torch.where(noise < 0, 1 - below, torch.where(noise > 0, below, undecided))

    return chance


@lru_cache(maxsize=2)  # by the identity of the tensor: a block's own, the same at every step
def rotations(seeds: Tensor, n_patches: int, size: int) -> Tensor:
    """Return uniformly distributed rotations [b, n_patches, size, size], from the seeds [b] of the runs alone.

    Gaussian rows, orthonormalized by Gram and Schmidt, each twice so that no rounding is left.
    """
    from featlearn.streams.lanes import normals

    rows = normals(seeds, "test rotations", n_patches * size * size).reshape(-1, size, size)
    turns = _orthonormal(rows) if rows.is_cuda else _fused_orthonormal(rows)
    return turns.reshape(-1, n_patches, size, size)


def _orthonormal(rows: Tensor) -> Tensor:
    turns = rows.new_zeros(rows.shape)
    for i in range(rows.shape[1]):
        row, before = rows[:, i], turns[:, :i]
        for _ in range(2):
            along = (before * row[:, None]).sum(-1, keepdim=True)
            row = row - (along * before).sum(-2)
        turns[:, i] = row / row.square().sum(-1, keepdim=True).sqrt()
    return turns


def _fused_orthonormal(rows: Tensor) -> Tensor:
    """Do the same in one pass on a CPU; without numba as ``_orthonormal``."""
    try:
        from featlearn.tiles import pad_columns
        from featlearn.trackers.error_loops import orthonormalize
    except ModuleNotFoundError:
        return _orthonormal(rows)
    import torch

    padded = pad_columns(rows.numpy())
    orthonormalize(padded)
    return torch.as_tensor(padded)[..., : rows.shape[2]].contiguous()


_OFFSETS = 64


@lru_cache(maxsize=2)
def chi_lengths(seeds: Tensor, n_patches: int, size: int, n_points: int, n_scrambles: int) -> Tensor:
    """Return lengths of Gaussian vectors in n_patches * size dimensions, [b, n_scrambles * n_points].

    A scramble has one quantile of the chi law from each of n_points equal shares, in mixed order; where in the
    shares, one of _OFFSETS places, is drawn for every run and scramble, so that means over runs have no error left.
    """
    import torch
    from scipy.special import gammaincinv

    from featlearn.streams.lanes import uniforms

    shares = (np.arange(n_points * _OFFSETS) + 0.5) / (n_points * _OFFSETS)
    quantiles = np.sqrt(2 * gammaincinv(n_patches * size / 2, shares)).reshape(n_points, _OFFSETS)
    order = np.concatenate([np.random.default_rng(i).permutation(n_points) for i in range(n_scrambles)])
    places = (uniforms(seeds, "test lengths", n_scrambles) * _OFFSETS).ceil().long() - 1
    table = torch.as_tensor(quantiles).to(seeds.device)
    return table[torch.as_tensor(order).to(seeds.device), places.repeat_interleave(n_points, 1)]


@lru_cache(maxsize=8)
def sobol_directions(n_patches: int, size: int, n_points: int, n_scrambles: int) -> np.ndarray:
    """Return points on the unit sphere in n_patches * size dimensions, from independent scrambles of Sobol points."""
    from scipy.special import ndtri
    from scipy.stats import qmc

    scrambles = [qmc.Sobol(n_patches * size, rng=np.random.default_rng(i)).random(n_points) for i in range(n_scrambles)]
    normals = np.asarray(ndtri(np.concatenate(scrambles) + 2.0**-32))  # coordinates are multiples of 2^-30
    return np.asarray(normals / np.linalg.norm(normals, axis=1, keepdims=True))
