"""What the engines of the two-layer network on patches share: the problem, the logistic loss, the view of trackers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor

from featlearn.engines.problem import Problem
from featlearn.engines.protocol import Observation, PatchView, Vector
from featlearn.models.losses import logistic, mistakes


class PatchEngine(ABC):
    """A block of networks on signal and noise patches; a subclass says what they give out there."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.labels, self.seeds, self.n_parameters = problem.labels, problem.seeds, problem.n_parameters

    @abstractmethod
    def margins(self, w: Vector, labels: Tensor | None = None) -> Tensor:
        """Return y_i f_i(w), [b, n]; ``labels`` stand in for the training set's own where given."""

    @abstractmethod
    def align(self, w: Vector) -> Tensor:
        """Return <w_f, v_k> for every filter and data vector, [b, f, k]."""

    @abstractmethod
    def observe(self, w: Vector) -> Observation:
        """Describe the point w."""

    def losses(self, w: Vector, labels: Tensor | None = None) -> Tensor:
        """Return log(1 + exp(-y_i f_i(w))), [b, n]."""
        return logistic(self.margins(w, labels))

    def view(self, w: Vector, probe: Vector, **seen: Any) -> PatchView:
        """Show the point w to trackers, with the alignments at the probe."""
        described = self.observe(w)
        return PatchView(
            **vars(described),
            **seen,
            w=w,
            probe=probe,
            losses=logistic(described.margins),
            mistakes=mistakes(described.margins),
            problem=self.problem,
            perturbed_align=self.align(probe),
        )
