"""Drift and noise of a limit at one step, as what an integrator sees: increments along h and dW.

E[D_b] and Cov(D_b) over mini-batches of B of n samples have three forms:

- Weighted, where D_b is linear in the sample weights: these have mean 1/n and covariance c/n (I - 11'/n), with
  c = (n - B)/(B (n - 1)) without and 1/B with replacement. So drift and noise are one direction, that of the weights
  h/n + sqrt(c/n) (dW_i - mean dW). Exact, with n Wiener processes, at the cost of one gradient.
- PerSample, where D_b is the mean over the samples of b of their own directions (micro-batches of one sample): the same
  weights, on the directions of all samples. Exact.
- Sampled, elsewhere: at every substep mini-batches b are drawn by the law of the rule; the mean of their D_b, and
  sum_b c_b D_b with normal c_b of sum zero, have the right mean and covariance in expectation over the mini-batches.
  For substeps h -> 0 that is the SDE. At a finite h the drawn mean adds noise where its J mini-batches leave out some
  of the n samples: the share (n - J B) / (J (n - B) P k) of the variance, for P sets and k substeps.

Gaussian noise of the gradient has systems of its own (gaussian.py).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from featlearn.optim.answers import vector

if TYPE_CHECKING:
    from torch import Tensor

    from featlearn.engines.loss import Loss
    from featlearn.engines.vector import Scalar, Vector
    from featlearn.sde.limit import Limit


@dataclass(frozen=True, kw_only=True)
class System(ABC):
    """The increments of one step of a limit.

    limit: of the rule. loss: of the step. rho, rate: radius and learning rate of the step, numbers or [b].
    """

    limit: Limit
    loss: Loss
    rho: Scalar
    rate: Scalar

    @property
    def n_projected(self) -> Tensor | float:
        """Whether a covariance was projected in this substep, [b]: 0 where they are positive semi-definite."""
        return 0.0

    @property
    @abstractmethod
    def n_noises(self) -> int:
        """The number of independent Wiener processes."""

    @abstractmethod
    def increment(self, w: Vector, h: float, dw: Tensor | None) -> Vector:
        """Return -rate (E[D] h + sum_j d_j dw_j), where sum_j d_j d_j' = Cov(D); dw [b, m], None without noise."""

    def strength(self, w: Vector) -> Scalar:
        """Return the factor of the perturbation at w, from the loss of the whole training set."""
        return self.limit.strength(self.loss, w, self.rho)


@dataclass(frozen=True, kw_only=True)
class FullBatch(System):
    """The whole training set in every step: no noise."""

    @property
    def n_noises(self) -> int:
        """None."""
        return 0

    def increment(self, w: Vector, h: float, dw: Tensor | None) -> Vector:
        """Return -rate h D(w)."""
        return (-h * self.rate) * self.limit.direction(self.loss.full, w, self.strength(w))


@dataclass(frozen=True, kw_only=True)
class Weighted(System):
    """Exact drift and noise of mini-batches, from directions of weighted samples. variance: c (see above)."""

    variance: float

    @property
    def n_noises(self) -> int:
        """One a sample."""
        return self.loss.batch.shape[1]

    def weights(self, h: float, dw: Tensor | None) -> Tensor:
        """Return the sample weights [b, n]."""
        n, even = self.n_noises, torch.full_like(self.loss.batch, h / self.n_noises)
        return even if dw is None else even + math.sqrt(self.variance / n) * (dw - dw.mean(1, keepdim=True))

    def increment(self, w: Vector, h: float, dw: Tensor | None) -> Vector:
        """Return -rate times the direction of the weights."""
        loss = replace(self.loss.full, batch=self.weights(h, dw))
        return -self.rate * self.limit.direction(loss, w, self.strength(w))


@dataclass(frozen=True, kw_only=True)
class PerSample(Weighted):
    """The same, from the directions of all single samples."""

    def increment(self, w: Vector, h: float, dw: Tensor | None) -> Vector:
        """Return -rate times the weighted sum of directions."""
        samples = torch.arange(self.n_noises, device=self.loss.batch.device).expand(self.loss.batch.shape)
        return -self.rate * combined(self, w, samples, 1, self.weights(h, dw))


@dataclass(frozen=True, kw_only=True)
class Sampled(System):
    """Drift and noise from mini-batches drawn for this substep.

    samples [b, P J B]: P independent sets of J mini-batches; those of a set are disjoint, so that their mean varies
    less. A set is cut into mini-batches of ``size`` samples. variance: c of a micro-batch, for means in closed form.
    """

    samples: Tensor
    size: int
    n_sets: int
    variance: float

    @property
    def n_noises(self) -> int:
        """One a mini-batch."""
        return self.samples.shape[1] // self.size

    def increment(self, w: Vector, h: float, dw: Tensor | None) -> Vector:
        """Return -rate times the weighted sum of directions of the micro-batches."""
        if dw is None and (mean := self.limit.mean(self.loss.full, w, self.strength(w), self.variance)) is not None:
            return (-h * self.rate) * mean
        micro = self.limit.micro_batch(self.size)
        shares = self.size // micro
        even = self.loss.batch.new_full((1, 1), h / (self.n_noises * shares))
        weights = even.expand(len(self.samples), self.n_noises)
        if dw is not None:
            weights = weights + self.coefficients(dw) / shares
        return -self.rate * combined(self, w, self.samples, micro, weights.repeat_interleave(shares, 1))

    def coefficients(self, dw: Tensor) -> Tensor:
        """Return c_b [b, P J]: sum_b c_b D_b has the covariance of D_b, estimated between independent sets."""
        x = dw.reshape(len(dw), self.n_sets, -1)
        centred = (x - x.mean(1, keepdim=True)) / math.sqrt(x.shape[2] * (self.n_sets - 1))
        return centred.flatten(1)


def combined(system: System, w: Vector, samples: Tensor, size: int, weights: Tensor) -> Vector:
    """Return sum_j weights_j D_j(w) over the micro-batches of ``size`` samples into which ``samples`` are cut."""
    loss = replace(system.loss.full, samples=samples)
    shards = loss.engine.shards(loss, size)
    each = shards.count * weights.flatten()
    total: Vector = shards.average(
        lambda part, v, strength: each * system.limit.direction(part, v, strength), w, system.strength(w)
    )
    return total


@dataclass(frozen=True, kw_only=True)
class Own(System):
    """A user's drift and diffusion, dX = drift dt + diffusion(dW) in the papers' time: dt = lr h, dW = sqrt(lr) dw."""

    rule: Any
    t: int

    @property
    def n_noises(self) -> int:
        """One a parameter."""
        return n_parameters(self.loss)

    def increment(self, w: Vector, h: float, dw: Tensor | None) -> Vector:
        """Return lr h drift + sqrt(lr) diffusion(dw). Raises AnswerError for what is no Vector such as w."""
        moved: Vector = (h * self.rate) * vector(self.rule.drift, self.loss, w, self.t)
        if dw is None:
            return moved
        noise = vector(self.rule.diffusion, self.loss, w, self.loss.engine.unflattened(dw), self.t)
        return moved + torch.as_tensor(self.rate, dtype=dw.dtype, device=dw.device).sqrt() * noise


def n_parameters(loss: Loss) -> int:
    """Return the number D of coordinates of the parameters."""
    return sum(leaf[0].numel() for leaf in loss.engine.initial().leaves)
