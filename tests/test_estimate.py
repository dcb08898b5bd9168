"""The counts of a sweep, and the extrapolation of a trial, on a mock clock."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from featlearn import estimate, simulation
from featlearn.config import load_config
from featlearn.runs import Trajectory
from featlearn.texts import config_text

CONFIG = {
    "data": {"n_samples": 4, "dim": 50, "signal_norm": 2.0},
    "network": {"n_filters": 2, "init_std": 0.05},
    "optimizer": {"name": "sgd", "lr": 0.1},
    "train": {"n_steps": 1000},
    "record": {"every": 100, "trackers": ["loss"]},
}


def test_counts_are_exact_where_all_runs_are_counted_or_alike():
    longer = load_config({**CONFIG, "sweep": {"train.n_steps": [100, 1000], "seed": range(3)}})
    assert estimate.count(longer) == estimate.Count(6, 3 * 1100, 3 * (2 + 11))
    many = load_config({**CONFIG, "sweep": {"seed": range(20_000)}})
    assert estimate.count(many) == estimate.Count(20_000, 20_000_000, 220_000)
    assert estimate.count(load_config(CONFIG)) == estimate.Count(1, 1000, 11)


def test_a_sample_is_spread_over_the_sweep():
    config = load_config({**CONFIG, "sweep": {"data.dim": range(50, 150), "seed": range(100)}})
    runs = estimate.sample(config)
    assert len(runs) == estimate.SAMPLE and runs[0] == next(config.runs()) and runs[-1] == [*config.runs()][-1]
    assert len({run.data.dim for run in runs}) == 100
    few = load_config({**CONFIG, "sweep": {"seed": range(7)}})
    assert estimate.sample(few) == [*few.runs()]


@pytest.fixture
def clock(monkeypatch):
    """Blocks take 3 s, 0.001 s a step, 0.5 s a record after the first two, and 7 s more the first time."""
    now, calls = SimpleNamespace(time=0.0), []

    def simulate_block(runs, *, device):
        assert len({run.seed for run in runs}) == simulation.lanes(runs[0], device)
        steps, records = runs[0].train.n_steps, runs[0].record.steps
        calls.append(steps)
        now.time += 3 + 0.001 * (steps - 1) + 0.5 * (len(records) - 2) + 7 * (len(calls) == 1)
        values = {"train_loss": np.zeros(len(records)), "coef": np.zeros((len(records), 4))}
        return [Trajectory(run, "ok", "", steps, np.array(records), values) for run in runs]

    monkeypatch.setattr(simulation, "simulate_block", simulate_block)
    monkeypatch.setattr(estimate.time, "perf_counter", lambda: now.time)
    return calls


def test_a_trial_is_extrapolated(clock):
    """300 runs are three blocks of 128."""
    config = load_config({**CONFIG, "sweep": {"seed": range(300)}})
    trial = estimate.trial(config, "cpu")
    assert trial.seconds == pytest.approx(3 * (3 + 0.999 + 0.5 * 9))
    assert trial.bytes == pytest.approx(300 * 11 * 8 * 6)
    assert (trial.device, trial.shapes, trial.of) == ("cpu", 1, 1) and max(clock) < 1000
    text = config_text(config, dataclasses.replace(trial, seconds_spent=1.5))
    assert "about 25 s in one process, estimated from a trial of a few steps on cpu, which took 1.5 s" in text
    assert "about 158 kB before compression" in text


def test_kinds_of_blocks_are_timed_apart_and_only_some_of_many(clock):
    config = load_config({**CONFIG, "sweep": {"network.n_filters": range(1, 13), "seed": range(10)}})
    trial = estimate.trial(config, "cpu")
    assert (trial.shapes, trial.of) == (6, 12)
    assert trial.seconds == pytest.approx(12 * (3 + 0.999 + 0.5 * 9))


def test_without_a_trial_no_time_is_claimed():
    text = config_text(load_config({**CONFIG, "sweep": {"seed": range(300)}}))
    assert text.startswith("unnamed: 300 runs; base run: gram engine")
    assert "steps  300,000" in text and "rows   3,300 recorded" in text
    assert "time   not known before a trial: --trial" in text and "size   26 kB for every tracked number" in text
