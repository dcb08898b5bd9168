"""How often the host synchronises changes nothing: the device stores the run status in between."""

from dataclasses import replace

import numpy as np
import pytest
from helpers import ALL_TRACKERS, RECORDED, RULES, make_run, same_bits

from featlearn import loop
from featlearn.loop import GraphStepper, Stepper
from featlearn.optim import SGD
from featlearn.runs import Record, Train
from featlearn.simulation import simulate_block, simulate_seeds


def crowd(rule):
    """Runs that fit, diverge and do neither, at different steps."""
    small = {"network__activation": "relu3", "network__init_std": 0.1}
    settings = {
        "train": Train(n_steps=70, batch_size=3, stop_at_train_loss=0.4),
        "record": Record(steps=(0, 8, 30, 70), trackers=ALL_TRACKERS),
    }
    given = {"data__noise_std": (1.0, 3e5, 0.5, 1.0, 0.01, 1.5), "data__signal_norm": (2.0, 2.0, 1.0, 2.0, 0.0, 3.0)}
    numbers = [dict(zip(given, values, strict=True)) for values in zip(*given.values(), strict=True)]
    return [make_run(rule, seed=seed, **own, **settings, **small) for seed, own in enumerate(numbers, start=24)]


@pytest.mark.parametrize("name", RULES)
def test_synchronising_seldom_changes_no_bit(name, monkeypatch):
    runs = crowd(RULES[name])
    monkeypatch.setattr(loop, "SYNC_EVERY", 1)
    often = simulate_block(runs)
    bounded = not isinstance(getattr(RULES[name], "base", RULES[name]), SGD)  # whose steps no gradient makes longer
    assert {trajectory.status for trajectory in often} >= ({"fitted"} if bounded else {"fitted", "diverged"})
    monkeypatch.setattr(loop, "SYNC_EVERY", 64)
    seldom = simulate_block(runs)
    assert all(same_bits(a, b) for a, b in zip(often, seldom, strict=True))


@pytest.mark.parametrize("name", RECORDED)
def test_a_block_of_captured_steps_is_the_block(name, monkeypatch):
    """The code path of a CUDA device on the CPU, against the replayed steps of a CPU."""
    runs = crowd(RULES[name])
    eager = simulate_block(runs)

    def replayed(body):
        body()
        return body

    monkeypatch.setattr(loop, "make_stepper", lambda *parts: GraphStepper(*parts, capture=replayed))
    assert all(same_bits(a, b) for a, b in zip(eager, simulate_block(runs), strict=True))


def test_a_loop_that_synchronises_seldom_still_ends_early(monkeypatch):
    taken = []
    monkeypatch.setattr(loop, "make_stepper", Stepper)
    monkeypatch.setattr(loop, "SYNC_EVERY", 10)
    monkeypatch.setattr(Stepper, "until", lambda self, *rest: self.tapes.until(*rest))
    step = Stepper.step
    monkeypatch.setattr(Stepper, "step", lambda self, *rest: taken.append(1) or step(self, *rest))
    run = make_run(SGD(lr=0.5), train=Train(n_steps=1000, batch_size=8, stop_at_train_loss=0.3))
    run = replace(run, record=Record(steps=(0, 1000), trackers=ALL_TRACKERS[:1]))
    (trajectory,) = simulate_block([run])
    assert trajectory.status == "fitted"
    assert trajectory.stopped_step <= len(taken) < trajectory.stopped_step + 10


def test_seeds_as_arrays_are_the_runs():
    run = crowd(RULES["sam"])[0]
    seeds = np.array([5, 0, 3, 2**40, *range(100, 230)])
    arrays = simulate_seeds(run, seeds)
    one = simulate_block([replace(run, seed=int(seed)) for seed in seeds[:4]])
    assert arrays["seed"].tolist() == seeds.tolist() and arrays["step"].shape == (134, len(arrays["step"][0]))
    for lane, trajectory in enumerate(one):
        assert (arrays["status"][lane], arrays["stopped_step"][lane]) == (trajectory.status, trajectory.stopped_step)
        steps, kept = np.unique(arrays["step"][lane], return_index=True)
        assert steps.tolist() == trajectory.steps.tolist()
        for name, values in trajectory.values.items():
            assert arrays[name][lane][kept].tobytes() == values.tobytes(), name
