"""What the command line prints, from the objects that it prints."""

from pathlib import Path

import numpy as np
from helpers import make_run

import featlearn as fl
from featlearn.config import describe, reference
from featlearn.estimate import Trial
from featlearn.runs import Trajectory
from featlearn.store import StoreStatus
from featlearn.texts import (
    brief_text,
    config_text,
    entry_text,
    expanded_text,
    key_text,
    keys_text,
    status_text,
    trajectory_text,
    words_text,
)

CONFIG = fl.load_config(
    {
        "name": "small",
        "data": {"n_samples": 4, "dim": 50, "signal_norm": 2.0},
        "network": {"n_filters": 2, "init_std": 0.05},
        "optimizer": {"name": "sgd", "lr": 0.1},
        "train": {"n_steps": 3},
        "sweep": {"data.dim": {"geomspace": [50, 200, 2]}, "seed": {"range": [0, 3]}},
    }
)


def lines(text):
    """Every line as its words."""
    return [line.split() for line in text.splitlines()]


def test_a_trajectory_ends_with_its_last_numbers_and_no_list():
    values = {"train_loss": np.array([0.7, 0.123456789]), "signal_coef": np.ones((2, 3))}
    run = make_run()
    head, *rest = lines(trajectory_text(Trajectory(run, "ok", "it ended", 20, np.array([0, 20]), values)))
    assert head == ["test,", "seed", "0:", "ok;", "it", "ended"]
    assert rest == [["run_id", run.run_id], ["step", "20"], ["train_loss", "0.123457"]]


def test_a_config_counts_its_runs_and_estimates_no_time_without_a_trial():
    text = config_text(CONFIG)
    assert text.startswith("small: 6 runs; base run: gram engine, sampling gram, float64")
    assert ["data.dim", "rounded", "to", "integers:", "50,", "200"] in lines(text) and "--trial" in text


def test_a_trial_spells_time_and_size_roughly():
    for seconds, size, words in (
        (2 * 86_400.0, 2.5e12, ("2.0 days", "2.5 TB")),
        (3 * 3600.0, 3e9, ("3.0 h", "3 GB")),
        (90 * 2.0, 150e6, ("3.0 min", "150 MB")),
        (1.234, 999.0, ("1.2 s", "999 bytes")),
    ):
        text = config_text(CONFIG, Trial(seconds=seconds, bytes=size, device="cpu", seconds_spent=1.0, shapes=1, of=1))
        assert all(f"about {word}" in text for word in words)


def test_an_expanded_config_counts_runs_and_cells_and_shows_the_first_and_the_last():
    text = expanded_text(CONFIG)
    assert text.startswith("small: 6 runs, 6 different runs in 2 cells; gram engine")
    assert ["data.dim", "50", "200"] in lines(text) and ["seed", "0", "2"] in lines(text)


def test_a_status_counts_runs_and_gives_reasons_for_failures():
    status = StoreStatus(9, 5, 1, 2, 1, 1, 2, 3, {"killed": 2})
    text = status_text(status, Path("out"))
    assert lines(text)[:2] == [["out"], ["runs", "9"]] and ["2", "x", "killed"] in lines(text)
    assert "5 (1 fitted, 1 diverged, 1 reused)" in text and "3 (of earlier sweeps" in text
    assert "why" not in status_text(StoreStatus(1, 1, 0, 0, 0, 0, 0, 0, {}), Path("out"))
    damaged = StoreStatus(1, 0, 0, 0, 0, 0, 1, 0, {}, ("parts/1-a.parquet: it is empty",))
    assert lines(status_text(damaged, Path("out")))[-1] == ["parts/1-a.parquet:", "it", "is", "empty"]
    markerless = StoreStatus(1, 1, 0, 0, 0, 0, 0, 0, {}, ("featlearn.json: it is missing",))
    text = status_text(markerless, Path("out"))
    assert "featlearn.json: it is missing; nothing is lost by that, and the next sweep writes it again" in text
    assert "damaged" not in text


def test_words_and_keys_are_listed_with_their_defaults_and_meanings():
    (sam,) = [entry for entry in describe("optimizers") if entry.name == "sam"]
    assert ["sam", *", ".join(sam.engines).split(), *sam.doc.split()] in lines(words_text("optimizers", [sam]))
    assert brief_text(sam).startswith(f"sam ({', '.join(sam.engines)}; ") and "base=sgd" in brief_text(sam)
    assert "  base" in entry_text(sam) and "must be given" in entry_text(sam) and sam.reference in entry_text(sam)
    dim, *_ = reference("data.dim")
    assert keys_text([dim]).startswith("data.dim") and key_text(dim).startswith(f"data.dim: {dim.doc}")
    assert ["example", *dim.example.split()] in lines(key_text(dim))
