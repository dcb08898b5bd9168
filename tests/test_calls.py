"""simulate and sweep accept the same configs, and choose the same device."""

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import make_run

import featlearn as fl
from featlearn import simulation
from featlearn.devices import chosen_device
from featlearn.export import export

CONFIG = {
    "data": {"n_samples": 4, "dim": 50, "signal_norm": 2.0},
    "network": {"n_filters": 2, "init_std": 0.05},
    "optimizer": {"name": "sgd", "lr": 0.1},
    "train": {"n_steps": 4},
    "record": {"every": 2, "trackers": ["loss"]},
    "sweep": {"seed": range(2)},
}
TEXT = """\
data: {n_samples: 4, dim: 50, signal_norm: 2.0}
network: {n_filters: 2, init_std: 0.05}
optimizer: {name: sgd, lr: 0.1}
train: {n_steps: 4}
record: {every: 2, trackers: [loss]}
sweep: {seed: [0, 1]}
"""


@pytest.fixture
def path(tmp_path):
    (tmp_path / "x.yaml").write_text(TEXT)
    return tmp_path / "x.yaml"


def test_every_form_of_a_config_is_simulated_swept_and_exported(path, tmp_path):
    expected = fl.simulate(fl.load_config(path)).values["train_loss"].tobytes()
    for config in (CONFIG, path, str(path), fl.load_config(CONFIG), fl.load_config(path).base_run()):
        assert fl.simulate(config).values["train_loss"].tobytes() == expected
        export(config, tmp_path / "run.npz")
    for number, config in enumerate((CONFIG, path, str(path), fl.load_config(path))):
        assert fl.sweep(config, tmp_path / "s", progress=False).reused == 2 * bool(number)


def test_set_changes_a_config_that_is_not_loaded_yet(path, tmp_path):
    for config in (CONFIG, path):
        assert fl.simulate(config, set={"data.dim": 60}).run.data.dim == 60
        assert fl.sweep(config, tmp_path / "s", set=["seed=7"], progress=False).total == 1
    for config in (fl.load_config(path), make_run()):
        with pytest.raises((ValueError, TypeError), match=r"set changes a path or a mapping|expected the path"):
            fl.simulate(config, set={"data.dim": 60})
    with pytest.raises(ValueError, match=r"give set to load_config"):
        fl.sweep(fl.load_config(path), tmp_path / "t", set={"seed": 1})
    assert not (tmp_path / "t").exists()


@pytest.mark.parametrize("what", [None, 5, ["x.yaml"]])
def test_other_values_than_configs_are_refused(what, tmp_path):
    for call in (fl.simulate, lambda config: fl.sweep(config, tmp_path / "s")):
        with pytest.raises(TypeError, match="expected the path of a YAML file, a mapping, or what load_config returns"):
            call(what)


@pytest.mark.parametrize("there", [False, True])
def test_simulate_and_sweep_choose_the_same_device(there, monkeypatch, tmp_path):
    used = []
    whole = simulation.simulate_block

    def watched(runs, *, device):
        used.append(device)
        return whole(runs, device="cpu")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "mock device")
    monkeypatch.setattr(simulation, "simulate_block", watched)
    monkeypatch.setattr("featlearn.sweeps.worker.simulate_block", watched)
    for number, options in enumerate([{}, {"device": "auto"}, {"device": "cpu"}]):
        fl.simulate(CONFIG, **options)
        fl.sweep(CONFIG, tmp_path / str(number), progress=False, **options)
    best = "cuda" if there else "cpu"
    assert used == [best, best, best, best, "cpu", "cpu"]
    for call in (fl.simulate, lambda config, **options: fl.sweep(config, tmp_path / "s", **options)):
        with pytest.raises(ValueError, match="device must be auto, cpu or cuda; found 'gpu'"):
            call(CONFIG, device="gpu")
    if not there:
        with pytest.raises(ValueError, match="device cuda was requested, but torch finds no CUDA device"):
            chosen_device("cuda")


def test_a_path_that_is_not_there_is_a_message(tmp_path):
    with pytest.raises(fl.ConfigError, match="absent"):
        fl.simulate(Path(tmp_path) / "absent.yaml")
    assert np.isfinite(fl.simulate(CONFIG).values["train_loss"]).all()
