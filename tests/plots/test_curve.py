"""Curves over one axis: the means and intervals of the rows, a level line for what has no axis, and no mixed cells."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from scipy import stats

from featlearn.plots import curve, curve_figure

X, RHO = "data.signal_norm", "optimizer.rho"


@pytest.fixture
def line(make_rows):
    """A sweep over the signal alone."""
    return make_rows((2.0, 4.0, 6.0, 8.0), (1000,))


def radii(sgd_error=0.3, seeds=4):
    """SGD, which has no radius, and two rules with three of it."""
    runs = [("sgd", np.nan)] + [(name, rho) for name in ("sam", "gsam") for rho in (0.01, 0.1, 1.0)]
    rows = [
        {
            "run_id": f"{name} {rho} {seed}",
            "step": 10,
            "status": "ok",
            "seed": seed,
            "optimizer.name": name,
            "optimizer.alpha": 0.3 if name == "gsam" else np.nan,
            RHO: rho,
            "train_loss": 0.1,
            "test_error": (sgd_error if name == "sgd" else 0.2 + rho / 10) + 0.01 * seed,
        }
        for name, rho in runs
        for seed in range(seeds)
    ]
    return pd.DataFrame(rows)


def words(figure):
    return figure.get_supxlabel().replace("\n", " ")


def test_points_are_means_with_t_intervals(line):
    _, points = curve_figure(line)
    last = line[line["step"] == 400]
    assert len(points) == 8
    for _, point in points.iterrows():
        chosen = last[(last["optimizer.name"] == point["optimizer"]) & (last[X] == point[X])]["test_error"]
        low, high = stats.t.interval(0.95, len(chosen) - 1, chosen.mean(), stats.sem(chosen))
        assert (point["mean"], point["low"], point["high"]) == pytest.approx((chosen.mean(), low, high))
        assert point["n"] == len(chosen) == 3


def test_what_has_no_axis_is_a_level_line_with_its_band():
    figure, points = curve_figure(radii())
    sgd = points[points["optimizer"] == "sgd"]
    assert sgd[RHO].isna().all() and len(sgd) == 1 and sgd["mean"].item() == pytest.approx(0.315)
    ax = figure.axes[0]
    (level,) = [found for found in ax.lines if found.get_linestyle() == "--" and len(set(found.get_ydata())) == 1]
    assert level.get_ydata()[0] == pytest.approx(0.315)
    assert ax.get_xscale() == "log" and ax.get_xlabel() == r"SAM radius $\rho$"
    assert r"A level line has no SAM radius $\rho$." in words(figure)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["SGD", "SAM", "GSAM"]


def test_bars_of_two_lines_stand_side_by_side_at_their_place():
    ax = curve(radii())
    sam, gsam = (np.asarray(found.get_xdata(), float) for found in ax.lines if found.get_marker() in ("o", "s", "D"))
    assert not np.isclose(sam, gsam, rtol=1e-3).any()
    assert np.allclose(np.sqrt(sam * gsam), [0.01, 0.1, 1.0]) and np.allclose(sam, [0.01, 0.1, 1.0], rtol=0.1)


def test_runs_that_enter_no_mean_are_counted():
    rows = radii()
    rows.loc[rows["run_id"] == "sam 0.1 0", "status"] = "diverged"
    rows.loc[(rows["optimizer.name"] == "gsam") & (rows[RHO] == 1.0), "status"] = "failed"
    figure, points = curve_figure(rows)
    by = points.set_index(["optimizer", RHO])
    assert by.loc[("sam", 0.1), ["n", "lost"]].tolist() == [3, 1]
    assert by.loc[("gsam", 1.0), ["n", "lost"]].tolist() == [0, 4] and np.isnan(by.loc[("gsam", 1.0), "mean"])
    assert "Diverged or failed runs (5) are left out." in words(figure)
    assert figure.axes[0].get_title("right") == "3 to 4 seeds"
    with pytest.raises(ValueError, match="every run diverged or failed"):
        curve(rows.assign(status="diverged"))


def test_one_seed_has_no_interval():
    figure, points = curve_figure(radii(seeds=1))
    assert points["low"].isna().all() and "one seed has no interval" in words(figure)


def test_the_axis_is_what_varies_within_an_optimizer(rows):
    assert curve_figure(radii())[1].columns[1] == RHO
    with pytest.raises(ValueError, match=r"say which column is x; these vary: data\.dim, data\.signal_norm"):
        curve(rows)
    with pytest.raises(ValueError, match="nothing varies but optimizers and seeds"):
        curve(radii()[lambda df: df[RHO].fillna(0.01) == 0.01])
    with pytest.raises(
        ValueError, match=r"several cells would be mixed over data.signal_norm: data.dim takes .*Choose one"
    ):
        curve(rows, X)
    with pytest.raises(ValueError, match="no column 'tset_error'; did you mean 'test_error'"):
        curve(radii(), value="tset_error")


def test_one_optimizer_and_ones_own_axes():
    _, ax = plt.subplots()
    assert curve(radii(), optimizer="gsam", ax=ax) is ax
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["GSAM"]
    with pytest.raises(ValueError, match=r"no run has a optimizer\.rho"):
        curve(radii(), RHO, optimizer="sgd")


def test_the_caption_speaks_of_what_is_drawn():
    rows = radii()
    rows["train_loss"] = np.where(rows["optimizer.name"] == "sam", 0.01, 0.1)
    assert "Final train losses of single runs: 0.01." in words(curve_figure(rows, optimizer="sam")[0])
    assert "Final train losses of single runs: 0.01 to 0.1." in words(curve_figure(rows)[0])
