"""What every tracker must do, over the table: a new one is covered by its line in TRACKERS."""

import math
from dataclasses import FrozenInstanceError, fields, is_dataclass, replace

import pytest
import torch
from helpers import RULES, make_run, view_of

from featlearn.config.resolve import needs
from featlearn.data import SignalNoise
from featlearn.engines import ENGINES
from featlearn.store.frames import _place
from featlearn.trackers import TRACKERS
from featlearn.types import reserved

EVERY = pytest.mark.parametrize("word", TRACKERS)
SERVED = {word: [e for e, provides in ENGINES.items() if needs(cls) <= provides] for word, cls in TRACKERS.items()}
SETTINGS = {
    "plain": {},
    "flips, bias": {"data__flip_prob": 0.3, "network__bias": True},
    "independent": {"data__n_patches": 4, "data__noise": "independent"},
    "orthogonal, softplus": {"data__orthogonal_noise": True, "network__activation": "softplus"},
    "no signal": {"data__signal_norm": 0.0},
    "nothing at all": {"data__signal_norm": 0.0, "network__init_std": 0.0},
    "one filter": {"network__n_filters": 1},
    "two samples": {"data": SignalNoise(n_samples=2, dim=60, signal_norm=2.0)},
}
COLUMNS = {
    "loss": ["train_loss", "train_error", "grad_norm"],
    "decomposition": [
        "signal_coef_max",
        "signal_coef_mean",
        "noise_coef_pos_max",
        "noise_coef_pos_mean",
        "noise_coef_neg_min",
        "noise_coef_neg_mean",
    ],
    "test_error": ["test_error", "test_error_true", "test_error_se"],
    "deactivation": ["noise_deactivated", "signal_kept"],
    "sharpness": ["sharpness"],
    "hessian_trace": ["hessian_trace"],
    "stability_edge": ["stability_edge"],
    "sam_edge": ["sam_edge"],
    "grad_alignment": ["grad_alignment", "sam_grad_alignment"],
    "gradient_covariance": [
        "grad_norm_signal",
        "grad_noise_trace",
        "grad_noise_trace_signal",
        "grad_noise_trace_noise",
        "batch_grad_norm",
        "batch_grad_norm_signal",
        "batch_grad_norm_se",
        "regularizer_norm",
        "regularizer_norm_signal",
        "regularizer_gain_signal",
        "regularizer_gain_noise",
    ],
    "m_sharpness": ["m_sharpness"],
    "average_sharpness": ["average_sharpness", "average_sharpness_se"],
    "position": ["x0", "distance"],
}


def views(word, rule="sam", **changes):
    """A view from the first engine that serves the tracker."""
    runs = [make_run(RULES[rule], seed=seed, engine=SERVED[word][0], **changes) for seed in range(4)]
    return view_of(*runs, steps=15)


@pytest.mark.parametrize("word", COLUMNS)
def test_columns_have_the_contracts_names(word):
    assert list(TRACKERS[word]()(views(word))) == COLUMNS[word]


def test_no_two_trackers_write_the_same_column():
    names = [name for word, cls in TRACKERS.items() for name in cls()(views(word))]
    assert len(names) == len(set(names))


def test_a_column_with_a_dot_is_a_tracker_column():
    columns = ["test_error.u", "train_loss", "data.dim", "test_error", "run_id", "optimizer.lr", "signal_coef_max.v"]
    written = ["signal_coef_max.v", "test_error", "test_error.u", "train_loss"]
    assert sorted(columns, key=_place) == ["run_id", "data.dim", "optimizer.lr", *written]
    assert not any(map(reserved, written))


@EVERY
def test_a_tracker_is_frozen_documented_and_usable_without_arguments(word):
    cls = TRACKERS[word]
    assert is_dataclass(cls) and cls() == cls() and hash(cls()) == hash(cls())
    assert all(f"\n    {field.name}: " in cls.__doc__ for field in fields(cls))
    with pytest.raises(FrozenInstanceError):
        cls().anything = 1


@EVERY
@pytest.mark.parametrize("setting", SETTINGS)
def test_one_finite_number_a_run(word, setting):
    for name, column in TRACKERS[word]()(views(word, **SETTINGS[setting])).items():
        assert column.shape == (4,) and column.dtype == torch.float64, name
        assert column.isfinite().all(), name


@EVERY
def test_a_view_is_only_read(word):
    view = views(word)
    kept = {name: x.clone() for name, x in vars(view).items() if isinstance(x, torch.Tensor)}
    first, second = (TRACKERS[word]()(view) for _ in range(2))
    assert all(torch.equal(getattr(view, name), x) for name, x in kept.items())
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("word", [word for word, engines in SERVED.items() if len(engines) > 1])
@pytest.mark.parametrize("setting", ["plain", "flips, bias", "independent", "orthogonal, softplus"])
def test_both_engines_show_the_same(word, setting):
    columns = []
    for engine in ("gram", "weights"):
        rule = "sam" if hasattr(TRACKERS[word], "edges") else "sam momentum, decay"
        run = make_run(RULES[rule], engine=engine, **SETTINGS[setting])
        columns.append(TRACKERS[word]()(view_of(run, steps=15)))
    for name in columns[0]:
        assert torch.allclose(columns[0][name], columns[1][name], rtol=1e-9, atol=tolerance(name, columns)), name


def tolerance(name, columns):
    """1e-9; where the engines draw in law, four standard errors (and for these themselves, half of them)."""
    if not name.startswith("average_sharpness"):
        return 1e-9
    se = math.hypot(*(column["average_sharpness_se"].item() for column in columns))
    return se / 2 if name.endswith("_se") else 4 * se


@EVERY
def test_a_run_is_watched_alone(word):
    """Another run beside it, however wild, changes nothing."""
    view = views(word)
    tracker = TRACKERS[word]()
    wild = {
        name: torch.cat([x[:2], 7 * x[2:]])
        for name, x in vars(view).items()
        if isinstance(x, torch.Tensor) and name != "batch"
    }
    before, after = tracker(view), tracker(replace(view, **wild))
    assert all(torch.allclose(before[name][:2], after[name][:2], rtol=1e-12) for name in before)


@EVERY
def test_single_precision_stays_single(word):
    run = make_run(RULES["sam"], engine=SERVED[word][0])
    double, single = (TRACKERS[word]()(view_of(replace(run, dtype=dtype), steps=5)) for dtype in ("float64", "float32"))
    for name, column in single.items():
        assert column.dtype == torch.float32, name
        assert torch.allclose(column.double(), double[name], rtol=1e-3, atol=1e-3), name
