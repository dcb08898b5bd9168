"""The controls of the page: one for each key of a config that takes a number, a word or a switch.

Type, bounds, meaning and default come from the annotation and docstring of the class that uses the key, so that a new
data model or rule appears by itself. Keys whose value is text, a list or an object are left to the config file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass
from functools import cache
from types import NoneType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from featlearn.config.parameters import Parameter, integral, leaves, parameters
from featlearn.config.sections import SECTIONS, Kind
from featlearn.data import has_patches
from featlearn.models import MODELS, TwoLayerCNN
from featlearn.types import Bound

SHOWN = ("data", "network", "optimizer", "train")
HIDDEN = ("train.gradient_noise", "optimizer.sets")  # refused for networks on patches; of limits without a closed form
MOST = {"data.n_samples": 200, "data.n_patches": 50, "network.n_filters": 100, "train.n_steps": 2000}
MOST_SUBSTEPS = 16
ASIDE = (  # keys under "more": everything else, and every key of a new kind, is in sight
    *("data.n_patches", "data.noise", "data.orthogonal_noise"),
    *(f"network.{key}" for key in ("loss", "second_layer", "init", "init_std", "patches", "filters", "bias")),
    *(f"optimizer.{key}" for key in ("momentum", "nesterov", "weight_decay", "dynamics", "substeps", "integrator")),
    *("optimizer.expansion", "optimizer.covariance", "train.stop_at_train_loss", "train.batch_sampling"),
)
RANGES: Mapping[str, tuple[float, float]] = {  # of sliders, where an annotation has no such end
    "data.dim": (10, 1e12),
    "data.n_samples": (2, 100),
    "data.n_patches": (2, 10),
    "data.signal_norm": (0, 20),
    "data.snr": (0, 1),
    "data.noise_std": (0.01, 100),
    "data.flip_prob": (0, 0.45),
    "network.n_filters": (1, 50),
    "network.init_std": (0, 0.5),
    "optimizer.lr": (1e-4, 1),
    "optimizer.rho": (0, 1),
    "train.n_steps": (1, 500),
    "train.stop_at_train_loss": (1e-3, 1),
}
START: Mapping[str, Any] = {  # of keys without a default
    "data.signal_norm": 5.0,
    "optimizer.lr": 0.02,
    "optimizer.rho": 0.03,
    "train.n_steps": 60,
}
FIRST: Mapping[str, Mapping[str, Any]] = {  # of kinds that need a value which no single annotation requires
    "optimizer.momentum_sam": {"momentum": 0.9},
    "optimizer.msam": {"n_shards": 2},
    "optimizer.m_usam": {"n_shards": 2},
}


@dataclass(frozen=True)
class Control:
    """A key that the page can set.

    words: the words that it takes; with a range too where it also takes numbers. empty: the word for an empty number
    field, None if it needs a number. low, high: ends of the slider. scale: linear, log, or power, the cube of the
    slider's place, which reaches 0. required: whether a config must give it.
    """

    key: str
    doc: str
    expected: str
    default: Any
    words: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    scale: Literal["linear", "log", "power"] = "linear"
    integer: bool = False
    empty: str | None = None
    required: bool = False

    @property
    def name(self) -> str:
        """The last part of the key."""
        return self.key.rpartition(".")[2]

    @property
    def aside(self) -> bool:
        """Whether the page shows it under "more"."""
        return self.key in ASIDE

    @property
    def is_number(self) -> bool:
        """Whether it takes numbers, so that it has a slider and can be an axis."""
        return self.high is not None


@cache
def controls(section: str, cls: type) -> tuple[Control, ...]:
    """Return the controls of the parameters of a class."""
    found = ((f"{section}.{name}", parameter) for name, parameter in parameters(cls).items())
    return tuple(c for key, parameter in found if key not in HIDDEN and (c := control(key, parameter)) is not None)


def control(key: str, parameter: Parameter) -> Control | None:
    """Return the control of a parameter, None if its value is no number, word or switch."""
    kinds = [kind for kind in leaves(parameter.type) if kind is not NoneType]
    words = tuple(str(word) for kind in kinds if get_origin(kind) is Literal for word in get_args(kind))
    optional = NoneType in leaves(parameter.type)
    default = START.get(key, None) if parameter.default is MISSING else parameter.default
    common: dict[str, Any] = {
        "doc": parameter.doc,
        "expected": parameter.expected,
        "required": parameter.default is MISSING,
    }
    if parameter.named is not None:
        return None
    if int in kinds or float in kinds:
        empty = "null" if optional else next(iter(words), None)
        return Control(key, default=default, empty=empty, **common, **_slider(key, parameter))
    if kinds == [bool]:
        return Control(key, default=default, words=("false", "true"), **common)
    return Control(key, default=default, words=words, **common) if words and not optional else None


def _slider(key: str, parameter: Parameter) -> dict[str, Any]:
    """Return range and scale of a slider, from the table or from bounds and default."""
    least, most = _ends(parameter.type)
    whole = integral(parameter.type)
    given = parameter.default if isinstance(parameter.default, int | float) and parameter.default else None
    typical = float(given or (10 if whole else 1))
    low, high = RANGES.get(key, (None, None))
    positive = _positive(parameter.type) and not whole
    if low is None:
        low = least if least is not None else 0.0 if whole else -10.0
        low = typical / 100 if positive and least in (0, None) and most is None else low
    if high is None:
        high = min(20 * typical, MOST_SUBSTEPS if key.endswith(".substeps") else 1e6) if most is None else most
        high = low + 0.99 * (high - low) if _below(parameter.type) else high
    scale = "log" if low > 0 and high / low >= 1e3 else "linear"
    if scale == "linear" and low == 0 and not whole and most is None and key not in ("data.signal_norm",):
        scale = "power"
    return {"low": low, "high": high, "scale": scale, "integer": whole}


def _bounds(hint: Any) -> Iterator[Bound]:
    if get_origin(hint) is Annotated:
        yield from (mark for mark in get_args(hint)[1:] if isinstance(mark, Bound))
        yield from _bounds(get_args(hint)[0])
    elif get_origin(hint) is Union or type(hint).__name__ == "UnionType":
        for part in get_args(hint):
            yield from _bounds(part)


def _ends(hint: Any) -> tuple[float | None, float | None]:
    """Return the least and the largest number of an annotation, as far as it has bounds."""
    least = [end for bound in _bounds(hint) for end in (bound.gt, bound.ge) if end is not None]
    most = [end for bound in _bounds(hint) for end in (bound.lt, bound.le) if end is not None]
    return min(least, default=None), max(most, default=None)


def _positive(hint: Any) -> bool:
    return any(bound.gt == 0 for bound in _bounds(hint))


def _below(hint: Any) -> bool:
    return any(bound.lt is not None for bound in _bounds(hint))


def choices(name: str) -> dict[str, type]:
    """Return the kinds of a section that the page offers, by word: every key without a default has a control."""
    section = SECTIONS[name]
    if name == "network":
        return {word: cls for word, cls in MODELS.items() if cls is TwoLayerCNN}
    fit = {word: cls for word, cls in section.table.items() if name != "data" or has_patches(cls)}
    return {word: cls for word, cls in fit.items() if _settable(name, cls)}


def _settable(name: str, cls: type) -> bool:
    given = {one.name for one in controls(name, cls)}
    return all(key in given for key, p in parameters(cls).items() if p.default is MISSING)


def kind_of(name: str, values: Mapping[str, Any]) -> Kind | None:
    """Return the kind that a section of these values names; None if no built-in one."""
    section = SECTIONS[name]
    if not section.word:
        return section.kinds["", None]
    word = values.get(section.word, section.default)
    base = values.get("base") or next(iter(section.bases))
    return section.kinds.get((word, base)) or section.kinds.get((word, None))


def of_kind(name: str, kind: Kind) -> tuple[Control, ...]:
    """Return every control of a kind: its own, its base's, and those of the section."""
    parts = [part for part in (kind.cls, kind.base, kind.settings) if part]
    return tuple(one for part in parts for one in controls(name, part))


@cache
def alternatives(cls: type) -> tuple[str, ...]:
    """Return the keys of a data model of which one is given and the others follow, such as signal_norm and snr."""
    optional = [name for name, p in parameters(cls).items() if p.default is None]
    if not hasattr(cls, "derived"):
        return ()
    for name in optional:
        try:
            return tuple(key for key in cls(**{name: 1.0}).derived() if key in optional)
        except (ValueError, TypeError):
            continue
    return ()
