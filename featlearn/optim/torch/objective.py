"""The objective of a rule in a training loop: closures, or gradients that the user has computed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

from featlearn.engines.algebra import Algebra
from featlearn.engines.protocol import Scalar, Vector
from featlearn.engines.random_direction import Distribution, isotropic
from featlearn.optim.torch.refusals import Refused, Unserved
from featlearn.optim.torch.space import ParameterSpace

GradientAt = Callable[[Vector], Vector]


class Elsewhere(Exception):
    """The rule needs the gradient at a point where it has not been computed."""

    def __init__(self, point: Vector) -> None:
        super().__init__()
        self.point = point


def known(w: Vector, here: Vector, there: Vector | None = None) -> GradientAt:
    """Return a source of the gradient at w, and of the one at the first other point asked for, if that is given."""
    left = [] if there is None else [there]

    def gradient_at(point: Vector) -> Vector:
        if point is w:
            return here
        if not left:
            raise Elsewhere(point)
        return left.pop()

    return gradient_at


class Evaluated(Algebra):
    """The objective whose gradient is the mean over ``sources``, one for each micro-batch; cached at ``w``.

    others: further objectives, by the name that a rule uses. step: t, which determines the draws of a step.
    """

    def __init__(
        self,
        space: ParameterSpace,
        w: Vector,
        sources: Sequence[GradientAt],
        others: Mapping[str, Evaluated] | None = None,
        step: int = 0,
    ) -> None:
        self.engine, self._w, self._sources, self._others = space, w, sources, others or {}
        self._step = step
        self._here: Vector | None = None

    @property
    def size(self) -> int:
        """The number of micro-batches, of any size."""
        return len(self._sources)

    def gradient(self, w: Vector) -> Vector:
        """Return the gradient at w."""
        if w is not self._w:
            return self._mean(w)
        if self._here is None:
            self._here = self._mean(w)
        return self._here

    def _mean(self, w: Vector) -> Vector:
        return mean(source(w) for source in self._sources)

    def micro_batches(self) -> Iterator[Evaluated]:
        """Yield the objective of each micro-batch."""
        for source in self._sources:
            yield Evaluated(self.engine, self._w, [source], step=self._step)

    def one_by_one(self) -> OneByOne:
        """Return the micro-batches."""
        return OneByOne(self)

    def inner(self, u: Vector, v: Vector) -> Tensor:
        """Return <u, v> over all parameters, [1]."""
        return self.engine.inner(u, v)

    def isotropic(self, law: Distribution) -> Vector:
        """Return a random direction: uniform on the unit sphere or in its ball, or Gaussian with mean square norm 1."""
        return isotropic(self.engine, law, self._step)

    @property
    def full(self) -> Evaluated:
        """The loss on the whole training set."""
        return self._other("full", "the whole training set")

    @property
    def other(self) -> Evaluated:
        """The loss on another mini-batch."""
        return self._other("other", "another mini-batch")

    def flipped(self, probability: Scalar) -> Evaluated:
        """Raise Refused: the labels are the closure's own."""
        raise Refused("the rule flips labels, which a closure does not provide: flip them in the data loader")

    def _other(self, name: str, meaning: str) -> Evaluated:
        if name not in self._others:
            raise Refused(f"the rule asks for the loss on {meaning}: give it in step(closure, {name}=closure)")
        return self._others[name]

    def __getattr__(self, name: str) -> Any:
        """Raise Unserved for anything else that a rule asks of its objective."""
        raise Unserved(f"the rule asks its loss for {name!r}, which a closure over one mini-batch does not have")


def mean(vectors: Iterable[Vector]) -> Vector:
    """Return the mean of one direction or more, keeping only their sum in memory; of one, itself."""
    rest = iter(vectors)
    total, count = next(rest), 1
    for vector in rest:
        total, count = total + vector, count + 1
    return total if count == 1 else total.map(lambda leaf: leaf / count)


class OneByOne:
    """The micro-batches of an objective, one after the other: only one perturbed point is in memory at a time."""

    def __init__(self, loss: Evaluated) -> None:
        self._loss, self.count = loss, loss.size

    def average(self, u: Callable[[Evaluated, Vector, Scalar], Vector], w: Vector, x: Scalar) -> Vector:
        """Return the mean of u(loss, w, x) over the micro-batches, all of the same weight."""
        return mean(u(part, w, x) for part in self._loss.micro_batches())
