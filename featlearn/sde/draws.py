"""The random numbers of a step: increments of the Wiener processes, mini-batches, and the system of each substep.

They come from streams of the run's own seed, keyed by the step. For Gaussian noise on the gradient the increments of a
step sum to the Z that the rule uses in that step, so that rule and SDE of one seed share their noise.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch

from featlearn.engines.batches import batch_variance
from featlearn.engines.explicit.autograd import lanes_inside
from featlearn.sde.gaussian import Gaussian, SampledGaussian
from featlearn.sde.limits import has_own_limit, limit_of
from featlearn.sde.systems import (
    FullBatch,
    Own,
    PerSample,
    Sampled,
    System,
    Weighted,
    n_parameters,
)
from featlearn.sde.truncated import Truncated
from featlearn.streams.lanes import normals, uniforms
from featlearn.types import BatchSampling

if TYPE_CHECKING:
    from torch import Tensor

    from featlearn.engines.loss import Loss
    from featlearn.sde.dynamics import Dynamics

Substep = tuple[System, "Tensor | None", "Tensor | None"]


def draw(dynamics: Dynamics, loss: Loss, t: int, integrator: Any) -> Iterator[Substep]:
    """Yield the system, the increments dW [b, m] of variance 1/k and the uniform numbers of every substep."""
    k = dynamics.settings.substeps
    systems = list(_systems(dynamics, loss, t))
    m = systems[0].n_noises if dynamics.noisy else 0
    if not m:
        yield from ((system, None, None) for system in systems)
        return
    dw = _increments(loss, systems[0], k, m, t) / math.sqrt(k)
    count = integrator.n_uniforms(m)
    more = uniforms(loss.engine.seeds, "sde signs", k * count, t).reshape(-1, k, count) if count else None
    for j, system in enumerate(systems):
        yield system, dw[:, j], None if more is None else more[:, j]


def _increments(loss: Loss, system: System, k: int, m: int, t: int) -> Tensor:
    """Return k standard normal vectors, [b, k, m]."""
    seeds = loss.engine.seeds
    x = lanes_inside(normals(seeds, "sde increments", k * m, t).reshape(-1, k, m))
    if isinstance(system, Gaussian):
        z = torch.cat([leaf.flatten(1) for leaf in loss.injected.leaves], 1)
        x = x + (z / math.sqrt(k) - sum(x.unbind(1)) / k)[:, None]  # torch's mean is slow in this layout
    return x.to(loss.batch.device, loss.batch.dtype)


def _systems(dynamics: Dynamics, loss: Loss, t: int) -> Iterator[System]:
    """Yield the system of every substep of step t."""
    settings, rule, k = dynamics.settings, dynamics.rule, dynamics.settings.substeps
    rho = dynamics.radius(t) if dynamics.active(t) else 0.0
    common: dict[str, Any] = {"loss": loss, "rho": rho, "rate": dynamics.rate(t)}
    if has_own_limit(rule):
        yield from [Own(limit=None, rule=rule, t=t, **common)] * k  # type: ignore[arg-type]
        return
    limit = common["limit"] = limit_of(rule, settings.expansion, t)
    n, size, sets = loss.batch.shape[1], loss.size, settings.sets
    whole, micro = size == n and not loss.replacement, limit.micro_batch(size)
    law: BatchSampling = "with_replacement" if loss.replacement else "without_replacement"
    if loss.gradient_noise and limit.closed:
        noisy = Truncated if settings.covariance == "truncated" else Gaussian
        yield from (noisy(**common) for _ in range(k))
    elif loss.gradient_noise:
        yield from (SampledGaussian(**common, draws=z, n_sets=sets) for z in _gradient_noises(loss, k, sets, t))
    elif whole and micro == n:
        yield from [FullBatch(**common)] * k
    elif limit.linear or micro == 1:
        kind = Weighted if limit.linear else PerSample
        yield from [kind(**common, variance=batch_variance(n, size, law))] * k
    else:
        common |= {"size": size, "variance": batch_variance(n, micro, law)}
        yield from (Sampled(**common, samples=s, n_sets=count) for s, count in _mini_batches(loss, k, sets, t))


def _gradient_noises(loss: Loss, k: int, sets: int, t: int) -> Iterator[Tensor]:
    """Yield the draws [b, P D] of every substep, Z of P gradients."""
    z = normals(loss.engine.seeds, "sde gradient noise", k * sets * n_parameters(loss), t)
    yield from z.to(loss.batch).reshape(len(z), k, -1).unbind(1)


def _mini_batches(loss: Loss, k: int, sets: int, t: int) -> Iterator[tuple[Tensor, int]]:
    """Yield the samples of every substep's mini-batches, and the number of independent sets of them."""
    n, size = loss.batch.shape[1], loss.size
    u = uniforms(loss.engine.seeds, "sde batches", k * sets * n, t).reshape(-1, k, sets, n)
    if loss.replacement:
        each = max(n // size, 1)
        chosen = (u[..., : each * size] * n).ceil().long() - 1
        yield from ((samples, sets * each) for samples in chosen.flatten(2).unbind(1))
        return
    kept = u.argsort(dim=3, stable=True)[..., : n // size * size].flatten(2)
    yield from ((samples, sets) for samples in kept.unbind(1))
