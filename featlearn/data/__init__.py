"""What the network is shown: one file a data model."""

from featlearn.data.chebyshev import Chebyshev
from featlearn.data.digits import Digits
from featlearn.data.gaussian import Gaussian
from featlearn.data.none import NoData
from featlearn.data.signal_noise import Labels, SignalNoise

DATA: dict[str, type] = {
    "signal_noise": SignalNoise,
    "none": NoData,
    "gaussian": Gaussian,
    "chebyshev": Chebyshev,
    "digits": Digits,
}

__all__ = ["DATA", "Labels", "SignalNoise"]
