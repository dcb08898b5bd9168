"""What rules and trackers may see of an engine.

An update rule needs three things only: an inner product, u + a v, and a gradient. Written against these it runs
wherever the parameters live: as coefficients (gram.py) or as explicit weights (weights.py).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor

from featlearn.engines.problem import Problem
from featlearn.streams import stream

Scalar = float | Tensor  # a number, or one per run: [b]


@dataclass(frozen=True)
class Vector:
    """A point or a direction in parameter space, one a run: tensors with a leading axis b, combined linearly.

    A multiple a * u keeps its factor aside (None for 1), so that u + a * v is one pass over memory.
    """

    parts: tuple[Tensor, ...]
    factor: Scalar | None = None

    @property
    def leaves(self) -> tuple[Tensor, ...]:
        """The vector's own tensors, the factor multiplied out."""
        return self.parts if self.factor is None else tuple(_spread(self.factor, part) * part for part in self.parts)

    def __add__(self, other: Vector) -> Vector:
        """Return self + other."""
        return self._plus(1, other)

    def __sub__(self, other: Vector) -> Vector:
        """Return self - other."""
        return self._plus(-1, other)

    def __rmul__(self, scalar: Scalar) -> Vector:
        """Return scalar * self; a tensor [b] scales every run by its own number."""
        return Vector(self.parts, scalar if self.factor is None else scalar * self.factor)

    def _plus(self, sign: int, other: Vector) -> Vector:
        one = self.parts[0].new_ones(())
        factor = one if other.factor is None else other.factor
        pairs = zip(self.leaves, other.parts, strict=True)
        return Vector(tuple(torch.addcmul(u, _spread(factor, u), v, value=sign) for u, v in pairs))

    def where(self, keep: Tensor, other: Vector) -> Vector:
        """Return self in the runs where ``keep`` [b] is true, other elsewhere."""
        pairs = zip(self.leaves, other.leaves, strict=True)
        return Vector(tuple(torch.where(_spread(keep, u), u, v) for u, v in pairs))

    def finite(self) -> Tensor:
        """Return [b], whether a run's numbers are finite, and small enough that their squares can be added."""
        squares = [(leaf * leaf).reshape(len(leaf), -1).sum(1) for leaf in self.leaves]
        return torch.stack(squares).isfinite().all(0)


def _spread(x: Scalar, like: Tensor) -> Tensor:
    """Return a number, or one per run [b], as a tensor that broadcasts against ``like`` [b, ...]."""
    if not isinstance(x, Tensor):
        return like.new_tensor(x)
    return x.reshape(-1, *[1] * (like.ndim - 1)) if x.ndim else x


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What an engine can say of a two-layer network on patches of data vectors.

    align [b, f, k]: <w, v> for every filter and data vector. coef [b, f, k]: coefficients C of W = alpha W0 + C V.
    weight_gram [b, f, f]: W W'. margins [b, n]: y_i f_i. residual [b]: norm of what alpha W0 + C V misses of W,
    zero by construction in the Gram engine.
    """

    align: Tensor
    coef: Tensor
    weight_gram: Tensor
    margins: Tensor
    residual: Tensor


@dataclass(frozen=True, kw_only=True)
class View:
    """What a tracker may see of a block of runs after ``step`` steps, from any engine.

    w: the parameters. probe: where the rule takes its next gradient (w itself for a rule without perturbation), on
    ``batch`` [b, n], the sample weights of its mini-batch. losses [b, n]: loss of every training sample at w.
    mistakes [b, n]: 1 where the output is wrong, 1/2 where it is undecided; None where the targets are not classes.
    grad_norm [b]: norm of the gradient of the whole training loss at w.
    """

    step: int
    engine: Engine
    w: Vector
    probe: Vector
    losses: Tensor
    mistakes: Tensor | None
    batch: Tensor
    grad_norm: Tensor


@dataclass(frozen=True, kw_only=True)
class PatchView(View, Observation):
    """What a tracker that needs ``patches`` may see: perturbed_align [b, f, k] are the alignments at the probe."""

    problem: Problem
    perturbed_align: Tensor


class Engine(Protocol):
    """Where the parameters live. ``provides`` names what rules and trackers may ask for besides the protocol.

    seeds [b]: what the runs' random streams are found from. labels [b, n]: the observed ones, of +-1; all 1 where the
    samples have none (``labels`` is not provided).
    """

    seeds: tuple[int, ...]
    labels: Tensor
    provides: frozenset[str]

    def initial(self) -> Vector:
        """Return the parameters before the first step."""

    def inner(self, u: Vector, v: Vector) -> Tensor:
        """Return the Euclidean inner product in parameter space, [b]."""

    def gradient(self, w: Vector, batch: Tensor, labels: Tensor | None = None) -> Vector:
        """Return the gradient at w of sum_i batch_i loss_i; ``batch`` [b, n] are sample weights of sum 1.

        labels [b, n] stand in for the training set's own where given.
        """

    def losses(self, w: Vector) -> Tensor:
        """Return the loss of every training sample at w, [b, n]."""

    def view(self, w: Vector, probe: Vector, **seen: Any) -> View:
        """Show the point w to trackers, with the rule's probe and what the loop knows (the other fields of View)."""


@dataclass(frozen=True)
class Loss:
    """The training loss on the mini-batch of a step, as an update rule sees it, and what else the step may draw.

    batch [b, n]: sample weights of the mini-batch. samples [b, B]: its samples in the order they were drawn, None for
    all in their own order. step: t, by which the draws of a step are found again. labels [b, n]: the observed ones
    unless given.
    """

    engine: Engine
    batch: Tensor
    samples: Tensor | None = None
    step: int = 0
    labels: Tensor | None = None

    def gradient(self, w: Vector) -> Vector:
        """Return the mini-batch gradient at w."""
        return self.engine.gradient(w, self.batch, self.labels)

    @property
    def full(self) -> Loss:
        """The loss on the whole training set."""
        return replace(self, batch=torch.full_like(self.batch, 1 / self.batch.shape[1]), samples=None)

    @property
    def other(self) -> Loss:
        """The loss on another mini-batch of the same size, drawn independently of this one."""
        if self.samples is None:
            return self
        size = self.samples.shape[1]
        drawn = [rng.permutation(self.batch.shape[1])[:size] for rng in self._streams("other batch")]
        samples = torch.as_tensor(np.stack(drawn)).to(self.batch.device)
        return replace(self, batch=batch_weights(samples, self.batch), samples=samples)

    def flipped(self, odds: Scalar) -> Loss:
        """Return the loss with every label flipped with probability ``odds``, afresh at each step."""
        draws = np.stack([rng.random(self.batch.shape[1]) for rng in self._streams("label noise")])
        flips = torch.as_tensor(draws, dtype=self.batch.dtype).to(self.batch.device) < _spread(odds, self.batch)
        labels = self.engine.labels if self.labels is None else self.labels
        return replace(self, labels=torch.where(flips, -labels, labels))

    def _streams(self, name: str) -> list[np.random.Generator]:
        return [stream(seed, name, self.step) for seed in self.engine.seeds]

    def inner(self, u: Vector, v: Vector) -> Tensor:
        """Return <u, v>, [b]."""
        return self.engine.inner(u, v)

    def unit(self, u: Vector) -> Vector:
        """Return u / |u| over all parameters jointly; the zero vector stays zero.

        A norm whose square under- or overflows gives zero as well, so that nothing becomes NaN silently.
        """
        square = self.inner(u, u)
        usable = (square > 0) & square.isfinite()
        return torch.where(usable, torch.where(usable, square, 1.0).rsqrt(), 0.0) * u


def batch_weights(samples: Tensor, like: Tensor) -> Tensor:
    """Return sample weights shaped like ``like`` [b, n]: 1/B on the samples [b, B], 0 elsewhere."""
    return torch.zeros_like(like).scatter_(1, samples, 1 / samples.shape[1])


class Objective(Protocol):
    """What a rule may ask of the loss it descends (see Loss)."""

    @property
    def full(self) -> Objective:
        """The loss on the whole training set."""

    @property
    def other(self) -> Objective:
        """The loss on another mini-batch."""

    def flipped(self, odds: Scalar) -> Objective:
        """Return the loss with labels flipped at random."""

    def gradient(self, w: Vector) -> Vector:
        """Return the mini-batch gradient at w."""

    def inner(self, u: Vector, v: Vector) -> Tensor:
        """Return <u, v>, [b]."""

    def unit(self, u: Vector) -> Vector:
        """Return u / |u|, zero for zero."""


class Rule(Protocol):
    """How the parameters move: one object a published algorithm, its numbers the algorithm's parameters.

    In a block the numbers may be tensors [b], one a run. ``needs`` names what an engine must provide.
    """

    needs: ClassVar[frozenset[str]]

    def init(self, w: Vector) -> Any:
        """Return the rule's memory before the first step."""

    def step(self, loss: Objective, w: Vector, memory: Any, t: int) -> tuple[Vector, Any]:
        """Return the parameters and the memory after step t (the first is t = 0)."""

    def probe(self, loss: Objective, w: Vector, memory: Any, t: int) -> Vector:
        """Return the point at which step t takes its gradient; w itself for rules without perturbation."""


class Base(Rule, Protocol):
    """A rule that steps along any gradient it is given, so that others can wrap it."""

    def update(self, loss: Objective, w: Vector, g: Vector, memory: Any, t: int) -> tuple[Vector, Any]:
        """Return the parameters and the memory after step t taken with the gradient g."""
