"""Error and loss on the population, without test data (see integral.py)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from featlearn.trackers.fresh_samples import groups
from featlearn.trackers.integral import Integral
from featlearn.types import Bound, Positive

if TYPE_CHECKING:
    from torch import Tensor

    from featlearn.engines.protocol import PatchView


@dataclass(frozen=True, kw_only=True)
class TestError:
    """Error on a fresh sample: P(y f < 0), or that another output than the right one is largest.

    An output of exactly zero counts one half; a tie of k outputs for the largest counts 1 - 1/k.

    test_error: against observed labels. With e the error against true labels, C classes, and flips to
    every other class with equal probability, it is (1 - flip_prob) e + flip_prob (1 - e / (C - 1)). test_error_true: e.
    test_error_se: standard error of test_error, from independent scrambles of the points. test_error.<kind>: e on each
    kind of sample with a name. test_loss, test_loss_se, where ``loss`` is true: the expected loss with the
    observed label, and its standard error.

    n_points: Sobol points of each scramble, a power of two.
    n_scrambles: independent scrambles.
    loss: whether to record test_loss too.
    noise_scale: factor of the fresh noise's standard deviation, for the error out of distribution. (With other
    probabilities of the kinds the error is the weighted mean of test_error.<kind>.)
    """

    needs: ClassVar[frozenset[str]] = frozenset({"patches"})
    __test__ = False  # pytest would take the name for that of a test class

    n_points: Annotated[int, Bound(ge=2, le=2**20)] = 64
    n_scrambles: Annotated[int, Bound(ge=2, le=64)] = 8
    loss: bool = False
    noise_scale: Positive = 1.0

    def __post_init__(self) -> None:
        """Refuse a number of points at which Sobol points are not balanced."""
        if self.n_points & (self.n_points - 1):
            raise ValueError("n_points must be a power of two")

    def __call__(self, view: PatchView) -> dict[str, Tensor]:
        """Return the columns, each [b]."""
        names, probabilities, errors, losses = self.by_kind(view)
        flip, others = view.problem.composed.flip_prob, view.problem.n_classes - 1
        error = (probabilities[..., None] * errors).sum(1)
        mean, se = error.mean(1), error.std(1) / self.n_scrambles**0.5
        columns = {
            "test_error": (1 - flip) * mean + flip * (1 - mean / others),
            "test_error_true": mean,
            "test_error_se": (1 - flip - flip / others).abs() * se,
        }
        for name in dict.fromkeys(name for name in names if name):
            own = [place for place, other in enumerate(names) if other == name]
            columns[f"test_error.{name}"] = _mean(probabilities[:, own], errors[:, own]).mean(1)
        if self.loss:
            loss = (probabilities[..., None] * losses).sum(1)
            columns |= {"test_loss": loss.mean(1), "test_loss_se": loss.std(1) / self.n_scrambles**0.5}
        return {name: column.to(view.align.dtype) for name, column in columns.items()}

    def by_kind(self, view: PatchView) -> tuple[list[str], Tensor, Tensor, Tensor]:
        """Return the kinds' names, probabilities [b, K], errors and, if asked for, losses [b, K, n_scrambles]."""
        composition = view.problem.composed
        found = groups(composition.population, composition.squares, len(composition.frame.signals))
        integrals = [Integral.of(view, group, self) for group in found]
        errors = [_joined([part.errors for part in integral.parts], 0) for integral in integrals]
        losses = [_joined([part.losses for part in integral.parts], 0) for integral in integrals if self.loss]
        probabilities = _joined([group.probabilities for group in found], 1)
        names = [name for group in found for name in group.names]
        return names, probabilities, _joined(errors, 1), _joined(losses or errors, 1)


def _joined(tensors: list[Tensor], dim: int) -> Tensor:
    """Concatenate tensors along an axis; a single one is returned without a copy."""
    import torch

    return tensors[0] if len(tensors) == 1 else torch.cat(tensors, dim)


def _mean(probabilities: Tensor, values: Tensor) -> Tensor:
    """Return the mean over kinds, [b, K, s] -> [b, s]; with equal weights where all probabilities are 0."""
    total = probabilities.sum(1, keepdim=True)
    shares = (probabilities / total).where(total > 0, 1 / probabilities.shape[1])
    return (shares[..., None] * values).sum(1)
