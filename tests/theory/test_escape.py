"""Escape times against the map they approximate and against simulated networks; boundaries against their balances."""

import numpy as np
import pytest
from helpers import advance, full_batches, make_run, problem_of, redrawn

from featlearn.data import Spurious
from featlearn.engines.cpu.engine import CPUGramEngine
from featlearn.geometry import draw_run
from featlearn.models.two_layer_cnn import TwoLayerCNN
from featlearn.optim import SGD
from featlearn.theory import (
    escape_steps,
    margins_boundary,
    margins_conditions,
    multi_view_boundary,
    multi_view_conditions,
    spurious_boundary,
    spurious_conditions,
)

SIZES = {"dim": 400.0, "n_samples": 50.0, "noise_std": 0.1}
S = 2.0  # noise_std sqrt(dim)


def test_the_boundary_of_spurious_signals_is_where_both_escape_at_once():
    for norm, alpha in ((1.0, 0.98), (0.3, 0.7)):
        core = float(spurious_boundary(1.0, spurious_norm=norm, alignment=alpha))
        times = [escape_steps(0.1, b, r, lr=0.5, scale=0.2) for b, r in ((core, 1.0), (norm, 2 * alpha - 1))]
        assert times[0] == pytest.approx(times[1], rel=1e-12)
    assert spurious_boundary(2.0, spurious_norm=1.0, alignment=1.0) == 2.0


def test_signals_escape_before_noise_where_their_time_is_shorter():
    def first(core, norm, alpha):
        signals = escape_steps(0.1, [core, norm], [1.0, 2 * alpha - 1], lr=0.5, scale=0.2)
        return signals.min() < escape_steps(0.1, S, 1 / SIZES["n_samples"], lr=0.5, scale=0.2)

    for core, norm, alpha in ((1.0, 0.1, 0.9), (0.3, 0.3, 0.9), (0.1, 1.0, 0.9), (0.1, 0.6, 0.6), (0.5, 0.6, 0.6)):
        held = spurious_conditions(core, spurious_norm=norm, alignment=alpha, **SIZES)
        assert held == first(core, norm, alpha)


MARGINS = {"signal_norm": 3.0, "small_share": 0.2, "n_patches": 3.0, **SIZES}


def test_the_boundary_of_small_margins_is_where_signal_and_noise_take_equal_time():
    """The signal starts from the fitted large margins, x = 1 / (|w| a^(1/3)), the noise from s sigma_0."""
    init, m = 1e-3, 10.0
    strength = float(margins_boundary(1.0, **MARGINS, init_std=init, n_filters=m))
    x = 1 / (3.0 * (1 / m) ** (1 / 3))
    signal = escape_steps(x, 3.0 * strength, 0.2, lr=0.5, scale=1 / m)
    noise = escape_steps(init, S, 2 / 50, lr=0.5, scale=1 / m)
    assert signal == pytest.approx(noise, rel=1e-12)
    assert margins_conditions(strength, **MARGINS)
    assert not margins_conditions(strength, **{**MARGINS, "signal_norm": 0.5})
    assert not margins_conditions(2.0, **{**MARGINS, "small_share": 0.6})


VIEWS = {"n_classes": 3.0, "single_share": 0.24, "n_patches": 5.0, **SIZES}


def test_the_boundary_of_the_second_view_is_where_its_samples_share_what_noise_has_alone():
    norm = float(multi_view_boundary(1.0, **VIEWS))
    of_view = 50 * 0.24 / (2 * 3)  # single-view samples of one view of a class
    assert of_view * norm**3 == pytest.approx(2 * S**3)
    assert multi_view_conditions(norm, **VIEWS)
    assert not multi_view_conditions(norm / 4, **VIEWS)


@pytest.mark.parametrize(("alignment", "which"), [(1.0, 0), (0.75, 1)])
def test_a_simulated_filter_escapes_when_theory_says(alignment, which):
    """One filter along one signal: 1 / x falls linearly, and x is ten times as large after nine tenths of the time."""
    data = Spurious(n_samples=400, dim=50, core_norm=0.8, spurious_norm=1.2, alignment=alignment, noise_std=1e-9)
    run = make_run(SGD(lr=0.01), data=data, network=TwoLayerCNN(n_filters=1, activation="cubic", init_std=1e-9))
    x0, weights = 0.01, np.zeros((2, 50))
    weights[0, which] = x0
    shown = draw_run(data, run.network, run.seed).training
    signs = shown.true_labels[0] * (1 - 2 * (shown.shown[0, :, which] % 2)) * 1.0
    r, norm = float(signs.mean()), (0.8, 1.2)[which]
    engine = CPUGramEngine(problem_of(run, redrawn(run, weights=weights)))
    steps = float(escape_steps(x0, norm, r, lr=0.01, scale=1.0))
    w, _ = advance(engine, run.optimizer, full_batches(engine, round(0.9 * steps)))
    x = float(engine.signal_align(w)[0, 0, which]) / norm
    assert x == pytest.approx(10 * x0, rel=0.03)
