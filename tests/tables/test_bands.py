"""Bands of many cells at once: the numbers of seed_quantiles."""

import numpy as np
import pandas as pd
import pytest

from featlearn.tables import seed_bands, seed_quantiles

STEPS = [0.0, 5.0, 10.0, 20.0]


@pytest.fixture
def rows(curves):
    draw = np.random.default_rng(0)
    made = []
    for dim in (10, 20):
        for seed in range(4):
            ends = {"status": "fitted" if seed == 1 else "ok", "seed": seed, "data.dim": dim}
            steps = [0, 5, 10] if seed == 1 else STEPS
            numbers = {name: draw.normal(size=len(steps)) for name in ("test_error", "train_loss")}
            made.append(curves(f"{dim}-{seed}", steps, **ends, **numbers))
    return pd.concat(made)


@pytest.mark.parametrize("value", ["test_error", "train_loss"])
def test_the_numbers_are_those_of_seed_quantiles(rows, value):
    bands = seed_bands(rows, ["test_error", "train_loss"], ["data.dim"], STEPS)
    mine = bands[bands["value"] == value].drop(columns="value").reset_index(drop=True)
    theirs = seed_quantiles(rows, value, "data.dim")
    pd.testing.assert_frame_equal(mine, theirs[[*mine.columns]], check_dtype=False)


def test_a_run_that_ended_is_followed_to_its_last_record_only(rows):
    short = rows[~((rows["seed"] == 0) & (rows["step"] > 5))]
    bands = seed_bands(short, ["test_error"], ["data.dim"], STEPS)
    assert bands["n"].tolist() == [4, 4, 3, 3] * 2


def test_an_infinite_value_stays_infinite(rows):
    rows.loc[rows["seed"].isin([2, 3]), "test_error"] = np.inf
    bands = seed_bands(rows, ["test_error"], ["data.dim"], [0.0])
    assert np.isinf(bands["q90"]).all() and not bands[["q10", "q50", "q90"]].isna().any(axis=None)


def test_diverged_runs_are_left_out_and_at_least_one_must_remain(rows):
    one = seed_bands(
        rows.assign(status=rows["status"].where(rows["seed"] < 2, "diverged")), ["test_error"], ["data.dim"], [0]
    )
    assert one["n"].tolist() == [2, 2]
    with pytest.raises(ValueError, match="no finished run"):
        seed_bands(rows.assign(status="diverged"), ["test_error"], ["data.dim"], STEPS)


def test_two_runs_of_one_seed_are_refused(rows):
    with pytest.raises(ValueError, match=r"data\.dim"):
        seed_bands(rows, ["test_error"], ["optimizer.name"], STEPS)
