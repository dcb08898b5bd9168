"""The mean rise in random directions against its second order, and the engines against each other."""

import math

import pytest
from helpers import make_run, view_of

from featlearn.trackers import AverageSharpness, HessianTrace


@pytest.mark.parametrize("engine", ["gram", "weights"])
@pytest.mark.parametrize("bias", [False, True])
def test_to_second_order_it_is_the_trace(engine, bias):
    """radius^2 / (2 D) tr H, with D = 2 m (d + bias), to four standard errors of at most 10 %."""
    run = make_run(engine=engine, network__activation="softplus", network__bias=bias, network__init_std=0.3)
    view = view_of(run, steps=5)
    columns = AverageSharpness(radius=1e-3, n_directions=400)(view)
    expected = 1e-6 / (2 * 6 * (60 + bias)) * HessianTrace()(view)["hessian_trace"].item()
    se = columns["average_sharpness_se"].item()
    assert abs(columns["average_sharpness"].item() - expected) < 4 * se < 0.4 * abs(expected)


def test_the_engines_agree_in_law_at_a_large_radius():
    columns = [
        AverageSharpness(radius=3.0, n_directions=400)(view_of(make_run(engine=engine, network__bias=True), steps=10))
        for engine in ("gram", "weights")
    ]
    (a, b), (s, t) = ([c[name].item() for c in columns] for name in ("average_sharpness", "average_sharpness_se"))
    assert abs(a - b) < 4 * math.hypot(s, t) < 0.2 * abs(a)


def test_directions_are_those_of_the_seed():
    runs = [make_run(seed=seed) for seed in (0, 1)]
    block, alone = AverageSharpness()(view_of(*runs)), AverageSharpness()(view_of(runs[1]))
    assert block["average_sharpness"][1].item() == pytest.approx(alone["average_sharpness"].item(), rel=1e-9)
    assert block["average_sharpness"][0].item() != pytest.approx(alone["average_sharpness"].item(), rel=1e-3)
