"""Replayed steps of compiled loops against plain steps of the plain engine: every recorded rule, any head."""

import pytest
import torch
from helpers import RECORDED, RULES, engine_of, make_run, mini_batches, programs_of, run_to

from featlearn.data import XOR
from featlearn.engines.cpu import engine as cpu_engine
from featlearn.engines.span.engine import GramEngine
from featlearn.loop import ReplayStepper, Stepper

SETTINGS = {
    "one fixed output": {},
    "softmax, trained, independent": {
        "data__noise": "independent",
        "data__n_patches": 3,
        "network__bias": True,
        "network__second_layer": "trained",
        "network__loss": "softmax",
    },
    "xor, trained": {
        "data": XOR(n_samples=8, dim=60, signal_norm=2.0),
        "network__second_layer": "trained",
        "network__activation": "gelu",
    },
}
STEPS = 40


def ends(name, setting, level=None, dtype="float64"):
    """The parameters and the run status after some steps, replayed, and by the plain engine step by step."""
    changes = {"train__batch_size": 3, "dtype": dtype, **SETTINGS[setting]}
    runs = [make_run(RULES[name], seed=seed, **changes) for seed in (0, 1)]
    fused = engine_of(*runs)
    for engine, kind in ((fused, ReplayStepper), (GramEngine(fused.problem), Stepper)):
        losses, stepper = mini_batches(engine.labels, *runs).losses(engine), kind(engine, RULES[name], level)
        state = stepper.start(next(losses))
        if kind is Stepper:
            state = stepper.run(state, losses, 0, STEPS)
        else:
            state = run_to(stepper, state, losses, 0, STEPS)
            assert any(program is not None for program in programs_of(stepper))
        yield [*state.w.leaves, state.end, state.stopped]


def apart(one, other):
    return max(float((a - b).abs().max() / b.abs().max().clamp(min=1)) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("name", RECORDED)
@pytest.mark.parametrize("setting", SETTINGS)
def test_every_recorded_rule(name, setting):
    assert apart(*ends(name, setting)) < 1e-11


@pytest.mark.parametrize("setting", SETTINGS)
def test_it_stops_at_the_same_loss(setting):
    one, other = ends("sam", setting, level=0.4)
    assert apart(one, other) < 1e-11 and 1 in one[-2].tolist()


@pytest.mark.parametrize("setting", SETTINGS)
def test_in_float32_too(setting):
    one, other = ends("sam momentum, decay", setting, dtype="float32")
    assert one[0].dtype == torch.float32 and apart(one, other) < 1e-3


@pytest.mark.parametrize("setting", list(SETTINGS)[1:])
def test_a_wrong_twin_fails(setting, monkeypatch):
    """Negative control: a replay with a fixed second layer is detected."""
    correct = cpu_engine.replay

    def fixed(*parts):
        return correct(*(x._replace(trained=False) if hasattr(x, "trained") else x for x in parts))

    monkeypatch.setattr(cpu_engine, "replay", fixed)
    assert apart(*ends("sam", setting)) > 1e-6
