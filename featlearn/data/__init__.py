"""The training data: one file per data model."""

from typing import Any

from featlearn.data.breast_cancer import BreastCancer
from featlearn.data.chebyshev import Chebyshev
from featlearn.data.digits import Digits
from featlearn.data.from_population import FromPopulation
from featlearn.data.gaussian import Gaussian
from featlearn.data.iris import Iris
from featlearn.data.leaky_mixture import LeakyMixture
from featlearn.data.margins import Margins
from featlearn.data.model import FreshPatch, Kind
from featlearn.data.multi_view import MultiView
from featlearn.data.none import NoData
from featlearn.data.oscillation import Oscillation
from featlearn.data.signal_noise import SignalNoise
from featlearn.data.spurious import Spurious
from featlearn.data.xor import XOR

DATA: dict[str, type] = {
    "signal_noise": SignalNoise,
    "xor": XOR,
    "spurious": Spurious,
    "margins": Margins,
    "multi_view": MultiView,
    "oscillation": Oscillation,
    "none": NoData,
    "gaussian": Gaussian,
    "chebyshev": Chebyshev,
    "digits": Digits,
    "iris": Iris,
    "breast_cancer": BreastCancer,
    "leaky_mixture": LeakyMixture,
}

__all__ = [
    "DATA",
    "XOR",
    "FreshPatch",
    "FromPopulation",
    "Kind",
    "Margins",
    "MultiView",
    "Oscillation",
    "SignalNoise",
    "Spurious",
    "has_patches",
]


def has_patches(data: Any) -> bool:
    """Whether a data model, or a class of them, is one of patches (see data/model.py)."""
    return hasattr(data if isinstance(data, type) else type(data), "frame")
