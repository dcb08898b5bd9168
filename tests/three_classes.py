"""A model of three classes: which of three orthogonal signals a sample shows is its label."""

from dataclasses import dataclass, replace
from typing import ClassVar

from featlearn.data.model import Frame, Signal, column
from featlearn.data.one_signal import OneSignal


@dataclass(frozen=True, kw_only=True)
class ThreeClasses(OneSignal):
    """A signal a class, beside noise; a flipped label is one of the two others, with equal probability."""

    n_classes: ClassVar[int] = 3
    n_common: ClassVar[int] = 3

    n_samples: int = 20
    dim: int = 1000
    n_patches: int = 2
    signal_norm: float | None = None
    snr: float | None = None
    noise_std: float = 1.0
    flip_prob: float = 0.0
    noise: str = "shared"

    @property
    def frame(self):
        square = self.strength**2
        gram = tuple(tuple(square if i == j else 0.0 * square for j in range(3)) for i in range(3))
        return Frame(tuple(Signal(name) for name in "abc"), gram, self.noises)

    def draw(self, draws):
        classes = (3 * (1 - draws.uniforms("true labels", self.n_samples))).floor()
        drawn = self.training_set(draws, classes, classes.long(), [(0, 1), (1, 1), (2, 1)])
        flips, others = (draws.uniforms(name, self.n_samples) for name in ("flips", "other labels"))
        wrong = (classes + 1 + (others > 0.5)) % 3
        return replace(drawn, labels=wrong.where(flips <= column(self.flip_prob), classes))

    def population(self):
        return self.kinds((name, float(label), label, 1.0) for label, name in enumerate("abc"))
