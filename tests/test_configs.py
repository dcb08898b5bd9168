"""Every config of the repository is valid, and its base run runs at a small size."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import OF_DNSAM

import featlearn as fl

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.yaml"))
SIZES = {
    "quickstart": 4200,
    "relu_powers": 2400,
    "chen2023_phase": 8400,
    "chen2023_dynamics": 120,
    "chen2023_theorem": 4200,
    "kou2023_heatmap": 100_000,
    "boundary_scaling": 10_080,
    "fsam_components": 5760,
    "msam_shards": 4200,
    "edge_cnn": 800,
    "edge_cnn_floor": 640,
    "flatness_cnn": 400,
    "flatness_students": 200,
    "diagonal_network": 600,
    "edge_chebyshev": 120,
    "edge_digits": 45,
    "edge_valley": 80,
    "sde_blind_spots": 72,
    "sde_saddle_autoencoder": 320,
    "sde_saddle_beale": 18,
    "sde_saddle_bump": 5024,
    "sde_saddle_embedded": 5400,
    "sde_saddle_escape": 6800,
    "sde_saddle_noisy_sam": 2000,
    "sde_saddle_sam": 18,
    "sde_saddle_usam": 6000,
    "sde_saddle_variance": 24576,
    "sde_signal_noise": 160,
    "weak_order_breast_cancer": 6144,
    "weak_order_cnn": 12288,
    "weak_order_iris": 6144,
    "weak_order_quadratic": 16384,
    "weak_order_students": 4096,
    "spurious_published": 4,
    "spurious": 1260,
    "margins": 440,
    "multi_view": 400,
    "oscillation": 280,
    "leaky_mixture": 400,
    "xor": 850,
    "noise_spectrum": 2720,
}


@pytest.mark.filterwarnings(OF_DNSAM)
@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_config_is_valid_and_runs(path):
    config = fl.load_config(path)
    if "n_filters" in config.base["network"]:  # no landscape
        config = fl.load_config(path, set={"data.dim": 200})
    run = config.base_run()
    short = replace(run, train=replace(run.train, n_steps=3), record=replace(run.record, steps=(0, 3)))
    trajectory = fl.simulate(short)
    assert trajectory.status == "ok"
    assert all(np.isfinite(values).all() for values in trajectory.values.values())


@pytest.mark.filterwarnings(OF_DNSAM)
@pytest.mark.parametrize("name, n_runs", SIZES.items())
def test_published_grids_have_their_published_size(name, n_runs):
    config = fl.load_config(Path(__file__).parents[1] / "configs" / f"{name}.yaml")
    assert config.n_runs == n_runs
