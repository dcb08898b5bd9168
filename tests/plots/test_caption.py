"""Captions: how many seeds, trained how far, in lines that fit."""

import pandas as pd
import pytest
from matplotlib.figure import Figure

from featlearn.plots.caption import caption, loss_range, seeds


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


def test_a_caption_is_wrapped_to_the_figure_and_leaves_out_what_is_empty():
    figure = Figure(figsize=(2, 2), layout="constrained")
    caption(figure, ["One sentence of some length.", "", r"Another, with $d^{-1/2}$ kept whole."])
    text = figure.get_supxlabel()
    assert max(map(len, text.split("\n"))) <= 42
    assert text.replace("\n", " ") == r"One sentence of some length. Another, with $d^{-1/2}$ kept whole."
    assert "$d^{-1/2}$" in text
