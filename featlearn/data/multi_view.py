"""Classes with two views each: most samples show both, some show one, all show a feature of another class.

Source: Allen-Zhu & Li 2023 (arXiv 2012.09816), with one patch a view (theirs are spread over several; recalled): class
k has the features v_k1 and v_k2, all orthogonal and of one norm. A multi-view sample shows both, a single-view one
shows one of them, and the other with a small strength. A further patch shows a weak feature of another class, the
rest noise. One network learns one view of a class, an ensemble learns both (the claim): see theory/escape.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from featlearn.data.model import Draws, Frame, Kind, Signal, TrainingSet, column
from featlearn.data.one_signal import OneSignal
from featlearn.data.spectrum import Spectrum
from featlearn.types import Bound, NonNegative, Positive, Probability, SizeFromTwo


@dataclass(frozen=True, kw_only=True)
class MultiView(OneSignal):
    """Several classes of two views, with noise patches; for the loss softmax.

    n_samples: training samples n.
    dim: dimension d of a patch.
    n_patches: patches P a sample: two views, a feature of another class, P - 3 noise.
    n_classes: classes K, equally probable.
    signal_norm: norm of each of the 2 K features; give this or snr, not both.
    snr: signal_norm / (noise_std sqrt(dim)).
    single_share: probability of a single-view sample; either view is then the only one with probability 1/2.
    minor_strength: factor of the other view in a single-view sample.
    other_strength: factor of the feature of another class.
    noise_std: standard deviation of a noise coordinate; noise is not projected off the features.
    flip_prob: probability that an observed label is not the true one.
    noise: shared (the same vector in all P - 3 noise patches of a sample) or independent (one vector a patch).
    noise_spectrum: null for isotropic noise, or a list of [eigenvalue, size]: the noise's covariance is noise_std^2
    times a diagonal matrix with these eigenvalues. A size of 1 or more is a multiplicity, one below 1 a share of dim,
    null what the others leave. The signals lie in the first block.
    """

    n_signal_patches: ClassVar[int] = 3

    n_samples: SizeFromTwo = 30
    dim: Annotated[int, Bound(ge=7, le=10**15)] = 1000
    n_patches: Annotated[int, Bound(ge=4, le=10**6)] = 4
    n_classes: Annotated[int, Bound(ge=3, le=10)] = 3  # type: ignore[misc]
    signal_norm: NonNegative | None = None
    snr: NonNegative | None = None
    single_share: Probability = 0.2
    minor_strength: NonNegative = 0.0
    other_strength: NonNegative = 0.1
    noise_std: Positive = 1.0
    flip_prob: Annotated[float, Bound(ge=0, lt=0.5)] = 0.0
    noise: Literal["shared", "independent"] = "shared"
    noise_spectrum: Spectrum | None = None

    @property
    def n_common(self) -> int:  # type: ignore[override]
        """Every feature with strength 1, as a minor view, and as that of another class."""
        return 6 * self.n_classes

    @property
    def frame(self) -> Frame:
        """The features, two after another of a class, and the noises."""
        n, square = 2 * self.n_classes, self.strength**2
        gram = tuple(tuple(square if i == j else 0.0 for j in range(n)) for i in range(n))
        names = (Signal(f"class{k}_view{v}") for k in range(self.n_classes) for v in (1, 2))
        return Frame(tuple(names), gram, self.noises, spectrum=self.spectrum(len(gram)))

    def draw(self, draws: Draws) -> TrainingSet:
        """Draw classes, views, features of other classes, and flips.

        Patches are all features with strength 1, then all with minor_strength, all with other_strength, the noises.
        """
        import torch

        n, n_features = self.n_samples, 2 * self.n_classes
        labels, other = (
            (1 - draws.uniforms(name, n)).mul(size).long()
            for name, size in (("true labels", self.n_classes), ("other features", n_features - 2))
        )
        single = draws.uniforms("single views", n) <= column(self.single_share)
        which = (draws.uniforms("views", n) > 0.5).long()  # the view that a single-view sample shows
        minor = [n_features * (single & (which != view)).long() for view in (0, 1)]
        features = [2 * labels + view + shift for view, shift in zip((0, 1), minor, strict=True)]
        further = 2 * n_features + (2 * labels + 2 + other) % n_features
        strengths = (1.0, self.minor_strength, self.other_strength)
        patches = [(number, strength) for strength in strengths for number in range(n_features)]
        return self.training_set(draws, labels.double(), torch.stack([*features, further], 2), patches)

    def population(self) -> tuple[Kind, ...]:
        """Return multi-view samples and those of either view, of every class, with every feature of another one."""
        single, n_others = self.single_share, 2 * (self.n_classes - 1)
        views = (
            ("multi", 1 - single, (1.0, 1.0)),
            ("view1", single / 2, (1.0, self.minor_strength)),
            ("view2", single / 2, (self.minor_strength, 1.0)),
        )
        return tuple(
            self.kind(
                name,
                share / self.n_classes / n_others,
                float(k),
                [(2 * k, a), (2 * k + 1, b), ((2 * k + 2 + other) % (2 * self.n_classes), self.other_strength)],
            )
            for name, share, (a, b) in views
            for k in range(self.n_classes)
            for other in range(n_others)
        )
