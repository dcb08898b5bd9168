"""The interfaces between engines, rules and trackers.

An update rule needs only an inner product, u + a v, and a gradient. A rule written with these runs in both engines:
on coefficients (span, cpu, gpu) and on explicit weights (explicit).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal, Protocol, assert_never

import numpy as np
from torch import Tensor

from featlearn.engines.batches import batch_weights as batch_weights
from featlearn.engines.loss import Loss as Loss  # part of the protocol
from featlearn.engines.problem import Problem
from featlearn.engines.random_direction import Distribution
from featlearn.engines.vector import Scalar as Scalar
from featlearn.engines.vector import Vector as Vector

Samples = Literal["full", "batch"]  # the whole training set, or the mini-batch about to be used


@dataclass(frozen=True, kw_only=True)
class Observation:
    """A two-layer network on patches, at a point W = alpha W0 + C X.

    align [b, f, N]: pre-activations of every filter on the distinct patches. signal_align [b, f, S]: <w, signal>.
    bias [b, f], or None. second [b, f, C]: the second layer. coef [b, f, K]: coefficients of W - alpha W0 over the
    vectors that patches are made of, the signals and then the noises. weight_gram [b, f, f]: W W', without the bias.
    weighted_gram [b, f, f]: W Lam W', Lam the covariance of the noise in units of std^2; None where it is isotropic.
    outputs [b, n, C]: of the training samples. residual [b]: norm of W - alpha W0 - C X, zero by
    construction in the Gram engine.
    """

    align: Tensor
    signal_align: Tensor
    bias: Tensor | None
    second: Tensor
    coef: Tensor
    weight_gram: Tensor
    outputs: Tensor
    residual: Tensor
    weighted_gram: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class View:
    """A block of runs after ``step`` steps, for trackers, from any engine.

    w: the parameters. probe: where the rule takes its next gradient (w itself for a rule without perturbation), on
    ``batch`` [b, n], the sample weights of its mini-batch; under train.gradient_noise the perturbation is that of the
    step, with its Z, while ``loss``, its gradients and its curvature are without noise. losses [b, n]: loss of every
    training sample at w. mistakes [b, n]: 1 where the output is wrong, 1/2 where it is undecided; None where the
    targets are not classes. rule: the rule in use, with the numbers of the block. radius [b]: that of its perturbation
    at this step, 0 without one. rate [b]: its learning rate at this step, NaN for a rule without one.
    """

    step: int
    engine: Engine
    w: Vector
    probe: Vector
    losses: Tensor
    mistakes: Tensor | None
    batch: Tensor
    rule: Rule
    radius: Tensor
    rate: Tensor

    def loss(self, samples: Samples) -> Loss:
        """Return the training loss on the whole set, or on the mini-batch; without gradient noise."""
        loss = Loss(self.engine, self.batch, step=self.step)
        if samples == "batch":
            return loss
        if samples == "full":
            return loss.full
        assert_never(samples)

    @cached_property
    def grad_norm(self) -> Tensor:
        """Norm of the gradient of the whole training loss at w, [b]."""
        loss = self.loss("full")
        return loss.norm(loss.gradient(self.w))

    def curvature(self, samples: Samples) -> Curvature:
        """Return the Hessian at w of ``loss``; cached, so that trackers share its results."""
        if samples not in self._curvatures:
            self._curvatures[samples] = self.engine.curvature(self.w, self.loss(samples).batch)
        return self._curvatures[samples]

    @cached_property
    def _curvatures(self) -> dict[Samples, Curvature]:
        return {}


@dataclass(frozen=True, kw_only=True)
class PatchView(View, Observation):
    """The view of trackers that need ``patches``; perturbed_align [b, f, N]: the pre-activations at the probe."""

    problem: Problem
    perturbed_align: Tensor


class Curvature(Protocol):
    """The Hessian H of one loss at one point, which acts on all parameters.

    Everything is computed on first use. Where the loss has a kink, H is the Hessian that exists almost everywhere: for
    the ReLU its Gauss-Newton part. Where H overflows in float64, its eigenvalues and its trace are NaN.
    """

    def top(self, k: int) -> Tensor:
        """Return the k eigenvalues of largest absolute value with their signs, in that order, [b, k]."""

    def principal(self) -> Vector:
        """Return a unit eigenvector of the eigenvalue of largest absolute value; zero where H = 0."""

    def trace(self) -> Tensor:
        """Return the sum of all eigenvalues, [b]."""

    def hvp(self, v: Vector) -> Vector:
        """Return H v."""


class Engine(Protocol):
    """The representation of the parameters. ``provides`` names what rules and trackers may use besides this protocol.

    seeds [b], int64: those of the runs' random streams. labels [b, n]: the observed ones, +-1 or classes;
    all 1 where the samples have none (``labels`` is not provided). n_parameters [b]: number of trained parameters.
    """

    seeds: Tensor
    n_parameters: Tensor
    labels: Tensor
    provides: frozenset[str]

    def initial(self) -> Vector:
        """Return the parameters before the first step."""

    def inner(self, u: Vector, v: Vector) -> Tensor:
        """Return the Euclidean inner product in parameter space, [b]."""

    def gradient(self, w: Vector, batch: Tensor, labels: Tensor | None = None) -> Vector:
        """Return the gradient at w of sum_i batch_i loss_i; ``batch`` [b, n] are sample weights of sum 1.

        labels [b, n]: those of the training set unless given.
        """

    def linearize(
        self, w: Vector, batch: Tensor, labels: Tensor | None = None
    ) -> tuple[Vector, Callable[[Vector], Vector]]:
        """Return the gradient at w of sum_i batch_i loss_i, and the function v -> H v of its Hessian.

        The weights ``batch`` [b, n] may be negative.
        """

    def losses(self, w: Vector) -> Tensor:
        """Return the loss of every training sample at w, [b, n]."""

    def isotropic(self, name: str, t: int) -> tuple[Vector, Tensor]:
        """Return a direction of independent standard normals, the draw ``name`` of step t, and its norm's square [b].

        The Gram engine draws only the part in the span of the data, from its law; the norm is of the whole direction.
        """

    def normal(self, rngs: Sequence[np.random.Generator]) -> Vector:
        """Return a direction of independent standard normal coordinates, each run's from its own generator.

        The Gram engine draws only the part in the span of the data, from its law: the losses depend on nothing else.
        """

    def view(self, w: Vector, probe: Vector, **seen: Any) -> View:
        """Show the point w to trackers, with the rule's probe; ``seen``: the other fields of View."""

    def curvature(self, w: Vector, batch: Tensor) -> Curvature:
        """Return the Hessian at w of sum_i batch_i loss_i."""


class Objective(Protocol):
    """The loss that a rule descends (see Loss).

    engine: for its ``shards``, and for methods that only some engines have, which a rule names in ``needs``.
    """

    @property
    def engine(self) -> Any:
        """The engine."""

    @property
    def size(self) -> int:
        """The number of samples of the mini-batch."""

    @property
    def full(self) -> Objective:
        """The loss on the whole training set."""

    @property
    def other(self) -> Objective:
        """The loss on another mini-batch."""

    def flipped(self, probability: Scalar) -> Objective:
        """Return the loss with labels flipped at random."""

    def isotropic(self, law: Distribution) -> Vector:
        """Return a random direction of length about 1."""

    def gradient(self, w: Vector) -> Vector:
        """Return the mini-batch gradient at w."""

    def linearize(self, w: Vector) -> tuple[Vector, Callable[[Vector], Vector]]:
        """Return the mini-batch gradient at w, and the function v -> H v, H the Hessian of the mini-batch's loss."""

    def inner(self, u: Vector, v: Vector) -> Tensor:
        """Return <u, v>, [b]."""

    def unit(self, u: Vector) -> Vector:
        """Return u / |u|, zero for zero."""

    def root(self, x: Tensor) -> Tensor:
        """Return the square root of x, 0 where x < 0."""

    def ratio(self, a: Scalar, b: Tensor) -> Tensor:
        """Return a / b; 0 where b is not a positive number."""

    def exceeds(self, a: Tensor, b: Tensor) -> Tensor:
        """Return 1 where a > b, 0 elsewhere."""


class Rule(Protocol):
    """An update rule: one class per published algorithm; its numbers are the algorithm's parameters.

    In a block the numbers may be tensors [b], one per run. ``needs`` names what an engine must provide. Every method is
    a function of its arguments, and may be called more often than steps are taken: the only state between steps is the
    memory. A step that asks its loss only for gradients, ``full``, products and numbers computed from them is recorded
    once and replayed (see loop.tapes).
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
