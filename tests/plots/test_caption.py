"""Captions: how many seeds, trained how far, in lines that fit."""

import pandas as pd
import pytest
from matplotlib.figure import Figure

from featlearn.plots.caption import caption, loss_range, moment, seeds, swept


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ([10, 10], "10 seeds"),
        ([0, 10], "10 seeds"),
        ([8, 10, 0], "8 to 10 seeds"),
        ([1], "1 seed"),
        ([0], "no seed"),
        ([1, 2], "1 to 2 seeds"),
    ],
)
def test_seeds(counts, words):
    assert seeds(pd.Series(counts)) == words


def test_train_losses_are_those_of_finished_runs():
    runs = pd.DataFrame({"status": ["ok", "fitted", "diverged"], "train_loss": [0.3, 0.012, 99.0]})
    assert loss_range(runs) == "Final train losses of single runs: 0.012 to 0.3."
    assert loss_range(runs[runs["status"] == "diverged"]) == ""
    assert loss_range(runs.drop(columns="train_loss")) == ""


@pytest.mark.parametrize(
    ("steps", "status", "asked", "words"),
    [
        ([40, 40], "ok", 40, "at the last step, 40"),
        ([5, 5], "ok", 40, "at step 5 of 40"),
        ([5, 5], "ok", None, "at step 5"),
        ([12, 40], "fitted", 400, "at the last step of every run, 12 to 40"),
        ([12, 40], "ok", 40, "at the last recorded step of every run, 12 to 40"),
        ([12, 40], "ok", None, "at the last step of every run, 12 to 40"),
        (
            [5, 20, 20],
            ["fitted", "ok", "ok"],
            40,
            "at step 20 of 40, or at the last of runs that fitted before, from 5 on",
        ),
    ],
)
def test_the_step_is_that_of_the_rows(steps, status, asked, words):
    runs = pd.DataFrame({"status": status, "step": steps, "train_loss": 0.1})
    runs = runs if asked is None else runs.assign(**{"train.n_steps": asked})
    assert moment(runs) == words
    final = " of " not in words.partition("step ")[2] and "recorded" not in words
    assert loss_range(runs).startswith("Final train losses" if final or status == "fitted" else "Train losses")


def test_runs_read_at_a_train_loss_state_it():
    runs = pd.DataFrame({"status": "ok", "step": [3.5, 12.0, None], "reached": [True, True, False]})
    runs = runs.assign(train_loss=[0.1, 0.05, None], train_loss_level=0.1)
    assert moment(runs) == "where the train loss first reaches 0.1, at steps 3.5 to 12"
    assert loss_range(runs) == "Runs that never reach it (1) are left out."
    assert loss_range(runs[:2]) == ""


def test_a_swept_column_is_named_where_an_axis_follows_from_it():
    cells = [(d, s) for d in (100, 400, 900) for s in (1.0, 2.0, 3.0)]
    runs = pd.DataFrame(cells, columns=["data.dim", "data.signal_norm"]).assign(seed=0)
    runs["data.snr"] = runs["data.signal_norm"] / runs["data.dim"] ** 0.5
    assert swept(runs, runs[["data.snr", "data.dim"]]).startswith("The sweep is over signal norm")
    assert swept(runs, runs[["data.signal_norm", "data.dim"]]) == ""


def test_formulas_are_not_broken():
    figure = Figure(figsize=(2, 2), layout="constrained")
    caption(figure, [f"{'word ' * 7}$a / (b + c d)$ follows."])
    assert "$a / (b + c d)$" in figure.get_supxlabel()


def test_a_caption_is_wrapped_to_the_figure_and_leaves_out_empty_parts():
    figure = Figure(figsize=(2, 2), layout="constrained")
    caption(figure, ["One sentence of some length.", "", r"Another, with $d^{-1/2}$ kept whole."])
    text = figure.get_supxlabel()
    assert max(map(len, text.split("\n"))) <= 42
    assert text.replace("\n", " ") == r"One sentence of some length. Another, with $d^{-1/2}$ kept whole."
    assert "$d^{-1/2}$" in text
