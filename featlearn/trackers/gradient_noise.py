"""The noise of gradients and SAM's regularizer, split into signal and noise.

Source: SAM's regularizer rho E|g_b| is that of Compagnoni et al. 2023 (arXiv 2301.08203); unnormalized SAM's,
rho/2 E|g_b|^2 = rho/2 (|g|^2 + c tr V), makes the trace of the covariance part of it (Luo et al. 2025, 2509.18001).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from math import comb
from typing import TYPE_CHECKING

from featlearn.trackers.fresh_samples import column
from featlearn.types import Size

if TYPE_CHECKING:
    from torch import Tensor

    from featlearn.engines.protocol import Loss, PatchView, Vector, View

Split = Callable[["Vector", "Vector"], tuple["Tensor", "Tensor"]]


@dataclass(frozen=True, kw_only=True)
class GradientCovariance:
    """Covariance of the gradients g_i of single samples, mean norm E|g_b| of mini-batches, and their signal's part.

    P projects every filter's weights orthogonally onto the signals, so that |u|^2 = |Pu|^2 + |(I - P)u|^2 without a
    cross term: the noise's part includes biases, a trained second layer and, of a noise patch, all but its component
    along the signals (1/d of its square in the mean, 0 if the noise is orthogonal). g is the gradient of the training
    loss, H_b the Hessian of the loss on a mini-batch b of B distinct samples, all at the current parameters.

    grad_norm_signal: |Pg|. grad_noise_trace: tr V = mean_i |g_i - g|^2, the sum of grad_noise_trace_signal, tr PV, and
    grad_noise_trace_noise. For B of n samples E|g_b|^2 = |g|^2 + tr V (n - B)/(B (n - 1)).
    batch_grad_norm: E|g_b|; batch_grad_norm_signal: its part E|Pg_b|^2/|g_b|; batch_grad_norm_se: standard error
    of E|g_b|, 0 where all mini-batches are enumerated.
    regularizer_norm: |h|, h = E H_b g_b/|g_b|, the gradient of E|g_b|: SAM's drift is -(g + rho h) to first order in
    rho. regularizer_norm_signal: |Ph|. regularizer_gain_signal: <Ph, Pg>/|Pg|^2, so that to first order SAM multiplies
    the speed along the signal's part of g by 1 + rho gain; regularizer_gain_noise: likewise of I - P.

    On landscapes, which have no signal, only the columns without a part are written.

    batch_size: B, of the mini-batches b; all samples if there are fewer.
    n_batches: mini-batches to draw, the same at every step; if there are no more than these, all are enumerated.
    """

    batch_size: Size = 1
    n_batches: Size = 64

    def __call__(self, view: View) -> dict[str, Tensor]:
        """Return the columns, each [b]."""
        full, w = view.loss("full"), view.w
        split, g = _splitter(view), full.gradient(w)
        columns = {"grad_norm_signal": full.root(split(g, g)[0])}
        columns |= _trace(full, w, g, split) | self._regularizer(full, w, g, split)
        return columns if hasattr(view, "problem") else {k: columns[k] for k in columns if not _is_part(k)}

    def _regularizer(self, full: Loss, w: Vector, g: Vector, split: Split) -> dict[str, Tensor]:
        """Return the columns of E|g_b| and of its gradient."""
        norms, parts, h = [], 0 * full.inner(g, g), 0.0 * g
        batches = list(self._batches(full))
        for batch in batches:
            loss = replace(full, batch=batch)
            g_b, hvp = loss.linearize(w)
            norms.append(loss.norm(g_b))
            parts = parts + loss.ratio(split(g_b, g_b)[0], norms[-1]) / len(batches)
            h = h + (1 / len(batches)) * hvp(loss.unit(g_b))
        (h_signal, h_noise), (along, across), (g_signal, g_noise) = split(h, h), split(h, g), split(g, g)
        mean, error = _mean(norms, exact=self._count(full) <= self.n_batches)
        return {
            "batch_grad_norm": mean,
            "batch_grad_norm_signal": parts,
            "batch_grad_norm_se": error,
            "regularizer_norm": full.root(h_signal + h_noise),
            "regularizer_norm_signal": full.root(h_signal),
            "regularizer_gain_signal": full.ratio(along, g_signal),
            "regularizer_gain_noise": full.ratio(across, g_noise),
        }

    def _count(self, full: Loss) -> int:
        n = full.batch.shape[1]
        return comb(n, min(self.batch_size, n))

    def _batches(self, full: Loss) -> Iterator[Tensor]:
        """Yield the sample weights [b, n] of mini-batches: all of them, or random ones from the run's own seed."""
        import torch

        from featlearn.streams.lanes import uniforms

        b, n = full.batch.shape
        size, zero = min(self.batch_size, n), torch.zeros_like(full.batch)
        if self._count(full) <= self.n_batches:
            every = torch.tensor(list(combinations(range(n), size)), device=zero.device).expand(b, -1, size)
        else:
            u = uniforms(full.engine.seeds, "gradient covariance", self.n_batches * n).reshape(b, -1, n)
            every = u.argsort(dim=2, stable=True)[..., :size].to(zero.device)
        yield from (zero.scatter(1, samples, 1 / size) for samples in every.unbind(1))


def _trace(full: Loss, w: Vector, g: Vector, split: Split) -> dict[str, Tensor]:
    """Return the trace of the covariance of single gradients, and its parts."""
    import torch

    parts = []
    for unit in torch.eye(full.batch.shape[1]).to(full.batch):
        away = replace(full, batch=unit.expand_as(full.batch).contiguous()).gradient(w) - g
        parts.append(torch.stack(split(away, away)))
    signal, noise = torch.stack(parts).mean(0)
    return {
        "grad_noise_trace": signal + noise,
        "grad_noise_trace_signal": signal,
        "grad_noise_trace_noise": noise,
    }


def _mean(values: list[Tensor], *, exact: bool) -> tuple[Tensor, Tensor]:
    """Return the mean of the values and its standard error, 0 if they are all there are; sums keep a run's bits."""
    k = len(values)
    mean = sum(values[1:], values[0]) / k
    square = sum(((x - mean) ** 2 for x in values), 0 * mean) / (k * max(k - 1, 1))
    return mean, 0 * mean if exact else square.sqrt()


def _is_part(name: str) -> bool:
    return name.endswith(("_signal", "_noise"))


def _splitter(view: View) -> Split:
    """Return the function (u, v) -> <Pu, Pv>, <(I - P)u, (I - P)v>."""
    from featlearn.linalg import product

    if not hasattr(view, "problem"):
        return lambda u, v: (0 * (whole := view.engine.inner(u, v)), whole)
    seen: PatchView = view  # type: ignore[assignment]
    axes, align = _axes(seen), seen.engine.signal_align  # type: ignore[attr-defined]

    def split(u: Vector, v: Vector) -> tuple[Tensor, Tensor]:
        of_u = product(align(u).double(), axes)
        of_v = of_u if u is v else product(align(v).double(), axes)
        whole = seen.engine.inner(u, v)
        signal = (of_u * of_v).sum((1, 2)).to(whole.dtype)
        return signal, whole - signal

    return split


def _axes(view: PatchView) -> Tensor:
    """Return A [b, S, S]: the inner products with the signals times A are those with orthonormal axes of their span."""
    import torch

    from featlearn.linalg import eigh

    rows = [[column(x, view.batch) for x in row] for row in view.problem.composed.frame.gram]
    values, vectors = eigh(torch.stack([torch.stack(row, 1) for row in rows], 1).double())
    independent = values > 1e-14 * values[:, -1:].clamp(min=0)
    return vectors * torch.where(independent, 1 / values.where(independent, 1.0), 0.0).sqrt()[:, None]
