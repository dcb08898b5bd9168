"""The boundaries as plots draw them: in which number of a config each is, on what it depends, for which runs it holds.

A boundary of another model is a function of numbers (boundaries.py, escape.py, oscillation.py) and a line here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featlearn.theory.boundaries import ARGUMENTS, BoundaryLaw, power_boundary, sam_boundary, sgd_boundary
from featlearn.theory.escape import (
    margins_boundary,
    margins_conditions,
    multi_view_boundary,
    multi_view_conditions,
    spurious_boundary,
    spurious_conditions,
)
from featlearn.theory.oscillation import oscillation_boundary, oscillation_conditions

NORM = "data.signal_norm"


@dataclass(frozen=True)
class Law:
    """A boundary, linear in its constant C.

    boundary: function of C and, by name, of the columns in ``arguments``. formula: what follows C, in TeX.
    setting: keys of a config with the value that the theorem supposes. strength: the key that the boundary is a value
    of, with its symbol. conditions: whether the theorem's conditions hold at a strength and the arguments; None where
    none are stated.
    """

    boundary: BoundaryLaw
    formula: str
    setting: Mapping[str, str]
    arguments: Mapping[str, str]
    strength: str = NORM
    symbol: str = r"\|\mu\|"
    conditions: Callable[..., NDArray[np.bool_]] | None = None

    def __call__(self, c: float, **arguments: Any) -> NDArray[np.float64]:
        """Return the strength at the boundary."""
        return self.boundary(c, **arguments)


def _of_data(*names: str, **others: str) -> Mapping[str, str]:
    return MappingProxyType({name: f"data.{name}" for name in names} | others)


_CHEN = {
    "data.model": "signal_noise",
    "network.model": "two_layer_cnn",
    "network.activation": "relu",
    "network.second_layer": "fixed",
    "network.loss": "logistic",
}
_SGD, _CUBIC = {"optimizer.name": "sgd"}, {"network.activation": "cubic"}
_SIZES = _of_data(*ARGUMENTS)
LAWS: Mapping[str, Law] = MappingProxyType(
    {
        "sgd": Law(sgd_boundary, r"(d/n)^{1/4}P\sigma_p", {**_CHEN, **_SGD}, _SIZES),
        "sam": Law(sam_boundary, r"P\sigma_p", {**_CHEN, "optimizer.name": "sam", "optimizer.base": "sgd"}, _SIZES),
        # `power` names no optimizer: its theorem is about the test loss of full-batch gradient descent, so no measured
        # test error is known to follow it.
        "power": Law(power_boundary, r"\sigma_p d^{1/2} n^{-1/3}", {**_CHEN, "network.activation": "relu3"}, _SIZES),
        "spurious": Law(
            spurious_boundary,
            r"b_s(2\alpha-1)^{1/3}",
            {**_CHEN, **_SGD, **_CUBIC, "data.model": "spurious"},
            _of_data("spurious_norm", "alignment", "dim", "n_samples", "noise_std"),
            strength="data.core_norm",
            symbol="b_c",
            conditions=spurious_conditions,
        ),
        "margins": Law(
            margins_boundary,
            r"\sigma_p\sqrt{d}\,((P-1)\sigma_0m^{-1/3}/(n\hat\mu\|w^*\|^2))^{1/3}",
            {**_CHEN, **_SGD, **_CUBIC, "data.model": "margins", "network.filters": "mean"},
            _of_data(
                *("signal_norm", "small_share", *ARGUMENTS),
                init_std="network.init_std",
                n_filters="network.n_filters",
            ),
            strength="data.small_strength",
            symbol=r"\beta/\alpha",
            conditions=margins_conditions,
        ),
        "multi_view": Law(
            multi_view_boundary,
            r"\sigma_p\sqrt{d}\,(2K(P-3)/(n\hat\mu))^{1/3}",
            {
                **{**_CHEN, **_SGD, "data.model": "multi_view"},
                **{"network.activation": "smoothed_relu", "network.loss": "softmax"},
            },
            _of_data("n_classes", "single_share", *ARGUMENTS),
            symbol=r"\|v\|",
            conditions=multi_view_conditions,
        ),
        "oscillation": Law(
            oscillation_boundary,
            r"m/(4\|v\|^2)",
            {
                **{**_CHEN, **_SGD, "data.model": "oscillation"},
                **{"network.activation": "relu2", "network.loss": "square", "network.filters": "mean"},
            },
            _of_data("strong_norm", n_filters="network.n_filters"),
            strength="optimizer.lr",
            symbol=r"\eta",
            conditions=oscillation_conditions,
        ),
    }
)
BOUNDARIES: Mapping[str, Law] = LAWS
SETTINGS: Mapping[str, Mapping[str, str]] = MappingProxyType({name: law.setting for name, law in LAWS.items()})
