"""What was swept, in words."""

import math

import pandas as pd

from featlearn.reports.layout import layout
from featlearn.reports.prose import constants, ends, error, facts, lead, network, number


def test_numbers_for_a_reader():
    assert [*map(number, (20000, 0.03, True, "relu", None, math.nan, 10**12))] == [
        "20,000",
        "0.03",
        "yes",
        "relu",
        "none",
        "none",
        "1e+12",
    ]


def test_a_sweep_in_one_sentence(plan):
    assert lead(plan) == (
        "48 networks on data of the model signal_noise, trained by SGD and SAM, over signal norm ‖μ‖ from 1 to 3 "
        "(3 values) and dimension d from 60 to 600 (2 values); 4 seeds each."
    )


def test_a_sweep_without_axes_names_none(plan):
    one = layout(plan.runs[(plan.runs["data.dim"] == 60) & (plan.runs["data.signal_norm"] == 1.0)])
    assert lead(one).endswith("trained by SGD and SAM; 4 seeds each.") and one.axes == ()


def test_the_scale_of_a_network_is_told(plan):
    assert "Scale: patches summed, filters averaged (1/m), no bias." in network(plan.runs)


def test_the_facts(plan):
    told = dict(facts(plan, 50))
    assert told["Training"] == "20 steps; full batch." and told["Axis 2"].startswith(
        "dimension d from 60 to 600 (2 values)"
    )
    assert told["Optimizer 2"].startswith("SAM: learning rate η = 0.1; SAM radius ρ = 0.1")
    assert told["Runs"] == (
        "48 of 50: 46 trained to the last step, 1 diverged (in no mean), 1 failed (without numbers) and 2 missing."
    )


def test_whose_labels_the_error_is_measured_against():
    assert "none is flipped" in error(pd.DataFrame({"test_error": [0.1], "data.flip_prob": [0.0]}))
    assert "a share of 0.1 is flipped" in error(pd.DataFrame({"test_error": [0.1], "data.flip_prob": [0.1]}))
    assert error(pd.DataFrame({"train_loss": [0.1]})) == ""


def test_ends_are_counted_and_shared_settings_listed(plan):
    assert ends(plan.runs[plan.runs["status"] == "ok"], 0).startswith("46 of 46: 46 trained")
    shared = dict(constants(plan.runs))
    assert shared["data.n_samples"] == "8" and "data.dim" not in shared and "seed" not in shared
