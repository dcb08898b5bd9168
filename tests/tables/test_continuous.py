"""Rules, flows and SDEs: their names in tables, and stores made before there were any but rules."""

import numpy as np
import pandas as pd
import pytest

from featlearn.tables import (
    by_optimizer,
    cell_columns,
    cell_labels,
    optimizer_labels,
    paired_difference,
    select,
    varying,
)
from featlearn.tables.continuous import DYNAMICS, OWN, optimizer_names, parted, used_settings
from featlearn.tables.dtypes import plain

RULE = {"optimizer.name": "sam", "optimizer.lr": 0.1, "optimizer.rho": 0.1, DYNAMICS: "rule"}
LIMIT = dict(zip(OWN, (8, "euler_maruyama", "first", "complete", 2), strict=True))
FLOW = RULE | LIMIT | {DYNAMICS: "flow", "optimizer.integrator": "rk4"}
SDE = RULE | LIMIT | {DYNAMICS: "sde"}


def test_a_limit_is_named_after_its_rule_without_its_integration(runs):
    df = runs(RULE, FLOW, SDE)
    assert optimizer_labels(df).tolist() == ["sam", "sam flow", "sam sde"] == optimizer_names(df).tolist()
    labels = [*by_optimizer(df)]
    assert [label.settings for label in labels] == [{}] * 3
    assert [(label.rule, label.dynamics) for label in labels] == [("sam", d) for d in ("rule", "flow", "sde")]


def test_a_limit_is_named_even_where_no_rule_is_beside_it(runs):
    """Or a figure of the SDE alone would be read as one of the algorithm."""
    assert optimizer_labels(runs(SDE)).tolist() == ["sam sde"]
    assert optimizer_labels(runs({}, SDE)).tolist() == ["sgd", "sam sde"]


def test_the_integration_is_spelled_where_limits_of_one_kind_differ(runs):
    df = runs(RULE, FLOW, SDE, SDE | {"optimizer.substeps": 1})
    assert optimizer_labels(df).tolist() == [
        "sam",
        *(f"sam {limit}" for limit in ("flow substeps=8", "sde substeps=8", "sde substeps=1")),
    ]
    third = SDE | {"optimizer.expansion": "third"}
    assert optimizer_labels(runs(RULE, SDE, third)).tolist()[1:] == [
        "sam sde expansion=first",
        "sam sde expansion=third",
    ]


def test_a_name_selects_one_dynamics(runs):
    df = runs(RULE, SDE, SDE | {"optimizer.rho": 0.2}, RULE | {"optimizer.rho": 0.2})
    assert [*by_optimizer(df, "sam sde")] == ["sam sde rho=0.1", "sam sde rho=0.2"]
    assert [*by_optimizer(df, "sam")] == ["sam rho=0.1", "sam rho=0.2"]
    with pytest.raises(ValueError, match="no optimizer 'sam flow'"):
        by_optimizer(df, "sam flow")


def test_cells_are_named_without_the_integration_too(runs):
    df = runs(RULE, FLOW, SDE)
    ends = " lr=0.1 rho=0.1"
    assert cell_labels(df).tolist() == ["sam" + ends, "sam flow" + ends, "sam sde" + ends]
    assert cell_columns(df) == [DYNAMICS]
    assert (
        cell_labels(runs(RULE, SDE, SDE | {"optimizer.substeps": 1})).tolist()[2] == "sam sde lr=0.1 rho=0.1 substeps=1"
    )


def test_pairs_of_dynamics(runs):
    """By names, by labels, and by the column."""
    rows = [d | {"seed": s, "test_error": s + e} for s in (0, 1) for d, e in ((RULE, 0.1), (FLOW, 0.2), (SDE, 0.4))]
    df = runs(*rows, {"seed": 0})
    sam = df[df["optimizer.name"] == "sam"]
    for pairs in (
        paired_difference(df, "test_error", first="sam sde", second="sam"),
        paired_difference(df, "test_error", optimizer_labels(df), "sam sde", "sam"),
        paired_difference(sam, "test_error", DYNAMICS, "sde", "rule"),
    ):
        assert pairs["difference"].tolist() == pytest.approx([0.3, 0.3])
    with pytest.raises(ValueError, match=r"differ in optimizer\.substeps"):
        paired_difference(runs(RULE, SDE, SDE | {"optimizer.substeps": 1}), "test_error", first="sam sde", second="sam")


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_missing_dynamics_are_the_rule(runs, missing):
    df = runs(RULE | {DYNAMICS: missing}, RULE | {"seed": 1}, SDE)
    assert optimizer_labels(df).tolist() == ["sam", "sam", "sam sde"]
    assert varying(df.head(2)) == ["seed"] and plain(df)[DYNAMICS].tolist() == ["rule", "rule", "sde"]
    assert len(select(df, {DYNAMICS: "rule"})) == 2
    assert paired_difference(df, "test_error", DYNAMICS, "sde", "rule")["outcome"].tolist() == ["paired", "no partner"]


def test_stores_without_limits_are_unchanged(runs):
    """With the column or without it: labels, cells and the table itself."""
    old = runs({}, {"optimizer.name": "sam", "optimizer.rho": 0.1}, {"optimizer.name": "sam", "optimizer.rho": 0.2})
    new = old.assign(**{DYNAMICS: "rule", **dict.fromkeys(OWN, np.nan)})
    assert optimizer_labels(new).tolist() == optimizer_labels(old).tolist() == ["sgd", "sam rho=0.1", "sam rho=0.2"]
    assert cell_labels(new).tolist() == cell_labels(old).tolist() and cell_columns(new) == cell_columns(old)
    assert plain(old) is old and plain(new) is new and optimizer_names(old).tolist() == ["sgd", "sam", "sam"]


def test_a_rule_of_any_name_is_parted():
    assert parted("my rules.py:Sde sde") == ("my rules.py:Sde", "sde") and parted("sam flow") == ("sam", "flow")
    assert parted("gsam") == ("gsam", "rule") and parted("sde") == ("sde", "rule")


@pytest.mark.parametrize(
    ("changes", "sets"),
    [
        ({}, False),
        ({"train.gradient_noise": 0.1}, False),  # in closed form
        ({"train.gradient_noise": 0.1, "optimizer.expansion": "exact"}, True),
        ({"train.batch_size": 20, "data.n_samples": 20}, False),
        ({"train.batch_size": 20, "data.n_samples": 20, "train.batch_sampling": "with_replacement"}, True),
        ({"train.batch_size": 5, "data.n_samples": 20}, True),
        ({"train.batch_size": 5, "data.n_samples": 20, "optimizer.name": "n_sam"}, False),
        ({"train.batch_size": 20, "data.n_samples": 20, "optimizer.name": "msam"}, True),
        ({"optimizer.sets": 4}, True),
    ],
)
def test_sets_are_those_of_drawn_mini_batches(changes, sets):
    found = used_settings(pd.DataFrame([SDE | changes, SDE | changes]))
    assert [len(values) for values in found.values()] == [2, 2, 2, 0, 2 * sets]
