"""Curves over one axis: the means and intervals of the rows, a level line without the axis, and no mixed cells."""

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
    """SGD, which has no radius, and two rules with three radii."""
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
        low, high = np.clip(stats.t.interval(0.95, len(chosen) - 1, chosen.mean(), stats.sem(chosen)), 0, 1)
        assert (point["mean"], point["low"], point["high"]) == pytest.approx((chosen.mean(), low, high))
        assert point["n"] == len(chosen) == 3


def test_an_optimizer_without_the_axis_is_a_level_line_with_its_band():
    figure, points = curve_figure(radii())
    sgd = points[points["optimizer"] == "sgd"]
    assert sgd[RHO].isna().all() and len(sgd) == 1 and sgd["mean"].item() == pytest.approx(0.315)
    ax = figure.axes[0]
    (level,) = [found for found in ax.lines if found.get_linestyle() == "--" and len(set(found.get_ydata())) == 1]
    assert level.get_ydata()[0] == pytest.approx(0.315)
    assert ax.get_xscale() == "log" and ax.get_xlabel() == r"SAM radius $\rho$"
    assert r"A level line has no SAM radius $\rho$." in words(figure)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["SGD", "SAM", "GSAM"]


def test_lines_go_through_their_means_and_only_bars_stand_side_by_side():
    ax = curve(radii())
    ax.figure.draw_without_rendering()
    sam, gsam = (found for found in ax.lines if found.get_marker() in ("s", "D"))
    assert sam.get_xdata().tolist() == gsam.get_xdata().tolist() == [0.01, 0.1, 1.0]
    assert sam.get_transform() == gsam.get_transform() == ax.transData
    bars = [box.get_children()[-1] for box in ax.containers]
    first, second = (bar.get_transform().transform((0.1, 0.2))[0] for bar in bars)
    assert 1 < (second - first) * 72 / ax.figure.dpi < 4


def test_the_interval_of_an_error_stays_within_0_and_1():
    rows = radii().assign(test_error=lambda df: (df["seed"] == 0) * 0.01)
    figure, points = curve_figure(rows)
    assert (points["low"] == 0).all() and "95% t intervals, cut at 0 and 1." in words(figure)
    assert (curve_figure(rows.assign(other=rows["test_error"]), value="other")[1]["low"] < 0).all()


def test_an_infinite_mean_is_marked_and_the_others_are_drawn():
    rows = radii()
    rows.loc[(rows["optimizer.name"] == "sam") & (rows[RHO] == 1.0) & (rows["seed"] == 0), "train_loss"] = np.inf
    figure, points = curve_figure(rows, value="train_loss")
    assert np.isinf(points["mean"]).sum() == 1 and r"$\infty$: infinite means (1)." in words(figure)
    signs = [found for found in figure.axes[0].lines if found.get_marker() == r"$\infty$"]
    assert [sign.get_xdata()[0] for sign in signs] == [1.0]
    assert figure.axes[0].get_ylim()[1] < 1


def test_points_without_a_value_are_counted():
    rows = radii()
    rows.loc[(rows["optimizer.name"] == "sam") & (rows[RHO] == 1.0), "train_loss"] = np.nan
    assert "Points without a value (1) are not drawn." in words(curve_figure(rows, value="train_loss")[0])
    assert "without a value" not in words(curve_figure(radii(), value="train_loss")[0])


def test_curves_on_one_axes_are_distinguished():
    _, ax = plt.subplots()
    for optimizer in ("sam", "gsam"):
        curve(radii(), optimizer=optimizer, ax=ax)
    curve(radii(sgd_error=0.5), ax=ax)
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names == ["SAM", "GSAM", "SGD", "SAM (2)", "GSAM (2)"]
    assert len({line.get_color() for line in ax.lines}) == 5


def test_the_value_on_a_logarithm():
    ax = curve(radii(), log_y=True)
    assert ax.get_yscale() == "log" and "logarithm" not in words(ax.figure)
    some = curve(radii(sgd_error=-0.1), log_y=True)
    assert "Means at or below zero (1) have no place on a logarithm." in words(some.figure)
    with pytest.raises(ValueError, match="no mean is above zero: none has a place on a logarithm"):
        curve(radii().assign(test_error=0.0), log_y=True)


@pytest.mark.parametrize("name", ["place", "lost", "mean", "n", "optimizer", "value"])
def test_a_value_may_have_any_name_but_an_axis_not_that_of_the_table(name):
    rows = radii()
    points = curve_figure(rows.assign(**{name: rows["test_error"]}), value=name)[1]
    assert points["mean"].tolist() == curve_figure(rows)[1]["mean"].tolist()
    with pytest.raises(ValueError, match="the table adds a column 'mean' of its own"):
        curve(rows.rename(columns={RHO: "mean"}), "mean")


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


def test_the_axis_is_the_key_that_varies_within_an_optimizer(rows):
    assert curve_figure(radii())[1].columns[1] == RHO
    with pytest.raises(ValueError, match=r"choose the column x; these vary: data\.dim, data\.signal_norm"):
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


def test_the_caption_describes_the_drawn_rows():
    rows = radii()
    rows["train_loss"] = np.where(rows["optimizer.name"] == "sam", 0.01, 0.1)
    assert "Final train losses of single runs: 0.01." in words(curve_figure(rows, optimizer="sam")[0])
    assert "Final train losses of single runs: 0.01 to 0.1." in words(curve_figure(rows)[0])
