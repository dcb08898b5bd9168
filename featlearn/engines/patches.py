"""Shared by the engines of the two-layer network on patches: the problem, its loss, the view of trackers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor

from featlearn.engines.problem import Problem
from featlearn.engines.protocol import Engine, Loss, Observation, PatchView, Vector
from featlearn.engines.shards import Shards, cut, whole


class PatchEngine(ABC):
    """A block of two-layer networks on patches; a subclass computes their outputs."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.labels, self.seeds, self.n_parameters = problem.labels, problem.seeds, problem.n_parameters

    @abstractmethod
    def outputs(self, w: Vector) -> Tensor:
        """Return the outputs F_i(w), [b, n, C]."""

    @abstractmethod
    def align(self, w: Vector) -> Tensor:
        """Return the pre-activations of every filter on every distinct patch, [b, f, N], with the bias."""

    @abstractmethod
    def signal_align(self, u: Vector) -> Tensor:
        """Return the inner products of every row's weights with the signals, [b, f, S]."""

    @abstractmethod
    def observe(self, w: Vector) -> Observation:
        """Describe the point w."""

    @abstractmethod
    def rows_square(self, u: Vector) -> Tensor:
        """Return the squared norm of every row of u, a filter with its bias
        and, where that is trained, its second layer, [b, f]."""

    @abstractmethod
    def rows_gram(self, u: Vector) -> Tensor:
        """Return the inner products of the rows of u, [b, f, f], in float64."""

    @abstractmethod
    def scale_rows(self, u: Vector, x: Tensor) -> Vector:
        """Return the direction u, a combination of gradients, with its rows multiplied by x [b, f]."""

    @abstractmethod
    def mix_rows(self, u: Vector, mix: Tensor) -> Vector:
        """Return M u for M [b, f, f] and a direction u, a combination of gradients."""

    @abstractmethod
    def part(self, samples: Tensor) -> PatchEngine:
        """Return the engine of the micro-batches ``samples`` [b, s, n'], as b s lanes."""

    @abstractmethod
    def split(self, samples: Tensor, w: Vector) -> Vector:
        """Return the point w in the form that gradients of the micro-batches take."""

    @abstractmethod
    def mean(self, samples: Tensor, u: Vector) -> Vector:
        """Return the mean over a run's micro-batches of directions u, combinations of their gradients."""

    def shards(self, loss: Loss, size: int) -> Shards:
        """Return the micro-batches of ``size`` samples that a mini-batch is cut into, in the order it was drawn in."""
        if size == loss.size:
            return whole(loss)
        samples = cut(loss, size)
        labels = None if loss.labels is None else loss.labels.gather(1, samples.flatten(1)).reshape(-1, size)
        count = samples.shape[1]
        batch = loss.batch.new_full((len(samples) * count, size), 1 / size)
        part = replace(loss, engine=cast(Engine, self.part(samples)), batch=batch, samples=None, labels=labels)
        return Shards(part, count, partial(self.split, samples), partial(self.mean, samples))

    def losses(self, w: Vector, labels: Tensor | None = None) -> Tensor:
        """Return the loss of every sample at w, [b, n]; labels: those of the training set unless given."""
        return self.problem.loss.value(self.outputs(w), self.labels if labels is None else labels)

    def mistakes(self, w: Vector) -> Tensor:
        """Return 1 where the output of a training sample is wrong at w, 1/2 where it is undecided, [b, n]."""
        return self.problem.loss.mistakes(self.outputs(w), self.labels)

    def flipped(self, labels: Tensor, which: Tensor, draws: Tensor) -> Tensor:
        """Return labels with those in ``which`` [b, n] made wrong: the other sign, or any other class.

        draws [b, n], uniform in (0, 1], choose among the other classes.
        """
        p = self.problem
        if p.n_outputs == 1:
            return torch.where(which, -labels, labels)
        others = (p.n_outputs - 1) * (1 - draws)
        return torch.where(which, (labels + 1 + others.floor().to(labels.dtype)) % p.n_outputs, labels)

    def view(self, w: Vector, probe: Vector, **seen: Any) -> PatchView:
        """Show the point w to trackers, with the alignments at the probe."""
        described, loss = self.observe(w), self.problem.loss
        return PatchView(
            **vars(described),
            **seen,
            w=w,
            probe=probe,
            losses=loss.value(described.outputs, self.labels),
            mistakes=loss.mistakes(described.outputs, self.labels),
            problem=self.problem,
            perturbed_align=self.align(probe),
        )
