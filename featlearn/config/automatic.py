"""The choices of ``auto``: whether inner products can be drawn from their law, and which engine is cheaper."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from featlearn.data.model import PatchModel
    from featlearn.models import TwoLayerCNN

GRAM_RATE = 4e9  # multiplications a second of the compiled Gram engine
WEIGHT_RATE = 2e10  # operations a second of the weight engine
AUTOGRAD = 3e-4  # seconds: the cost of any gradient by autograd


def law_reason(data: PatchModel, network: TwoLayerCNN) -> str | None:
    """Return why the inner products of this run cannot be drawn from their law, None if they can."""
    frame = data.frame
    vectors, signals = frame.n_noises + network.n_neurons(data), len(frame.signals)
    if network.init != "gaussian":
        return "init: uniform is not Gaussian, so its Gram matrix has no simple law"
    left = data.dim - signals
    if left < vectors and not frame.spectrum:
        return f"dim - {signals} = {left} is less than the {vectors} noise vectors and filters in it"
    return None


def weights_cheaper(data: PatchModel, network: TwoLayerCNN) -> bool:
    """Return whether a gradient costs less with explicit weights than with coefficients.

    With f filters, n samples of P patches and N distinct patches in d dimensions that is where N > d and

        AUTOGRAD + 6 f n P d / WEIGHT_RATE  <  f N^2 / GRAM_RATE  (seconds).

    Below N = d coefficients are fewer than weights. The Gram engine multiplies with the Gram matrix once; autograd
    multiplies thrice, with 2 operations a multiplication, and shows every sample its own copy of a patch.
    """
    f, n_distinct = network.n_neurons(data), data.n_common + data.frame.n_noises
    explicit = AUTOGRAD + 6 * f * data.n_samples * data.n_patches * data.dim / WEIGHT_RATE
    return n_distinct > data.dim and explicit < f * n_distinct**2 / GRAM_RATE
