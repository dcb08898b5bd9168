"""Curves over steps: means, bands, a panel per optimizer, one cell at a time."""

import numpy as np
import pytest
from matplotlib import pyplot as plt

from featlearn.plots import dynamics, dynamics_figure


def words(figure):
    """Return the caption, unwrapped."""
    return figure.get_supxlabel().replace("\n", " ")


@pytest.fixture
def cell(make_rows):
    """Return the rows of one cell: two optimizers, five seeds."""
    return make_rows((5.0,), (1000,), seeds=5)


def test_one_panel_an_optimizer_on_shared_axes(cell):
    first, second = dynamics(cell).figure.axes
    assert (first.get_title("left"), second.get_title("left")) == ("SGD", "SAM")
    assert first.get_title("right") == "5 seeds"
    assert first.get_ylim() == second.get_ylim() and first.get_shared_y_axes().joined(first, second)
    assert (first.get_ylabel(), second.get_ylabel()) == ("coefficient", "")
    labels = [text.get_text() for text in first.figure.legends[0].get_texts()]
    assert labels == [line.get_label() for line in first.lines]


def test_lines_are_means_and_bands_are_those_of_the_caption(cell):
    sgd = cell[cell["optimizer.name"] == "sgd"].groupby("step")["noise_coef_pos_mean"]
    for band, low in {"quantiles": sgd.quantile(0.1), "se": sgd.mean() - sgd.sem()}.items():
        ax = dynamics(cell, "noise_coef_pos_mean", band=band, optimizer="sgd")
        assert ax.lines[0].get_ydata() == pytest.approx(sgd.mean().tolist())
        corners = ax.collections[0].get_paths()[0].vertices
        lowest = [corners[corners[:, 0] == step, 1].min() for step in (0, 50, 400)]
        assert lowest == pytest.approx(low.tolist())
        assert {"quantiles": "10% to 90%", "se": "one standard error"}[band] in words(ax.figure)


def test_fitted_runs_are_carried_and_lost_ones_counted(cell):
    fitted = (cell["seed"] == 0) & (cell["optimizer.name"] == "sgd")
    lost = (cell["seed"] == 1) & (cell["optimizer.name"] == "sam")
    status = cell["status"].mask(fitted, "fitted").mask(lost, "diverged")
    df = cell.assign(status=status)[~(fitted & (cell["step"] == 400))]
    figure, table = dynamics_figure(df)
    assert "fitted (1) stay at their last value." in words(figure)
    assert "Diverged or failed runs (1) are left out." in words(figure)
    assert table.groupby("optimizer")["n"].unique().map(list).to_dict() == {"sgd": [5], "sam": [4]}


def test_the_end_of_a_sam_phase_is_marked(make_rows):
    phases = {"optimizer.name": "sam", "optimizer.start": 0, "optimizer.stop": 50.0}
    ax = dynamics(make_rows((5.0,), (1000,), optimizers=[phases]))
    assert [line.get_xdata()[0] for line in ax.lines[2:]] == [50.0]
    assert "Dashed upright: SAM starts or stops." in words(ax.figure)


def test_steps_on_a_logarithm_begin_at_step_zero(cell):
    ax = dynamics(cell, log=True)
    assert ax.get_xscale() == "symlog" and ax.lines[0].get_xdata().tolist() == [0, 50, 400]
    assert ax.get_xlim() == pytest.approx((0, 400))
    assert dynamics(cell).get_xscale() == "linear"
    assert dynamics(cell[cell["step"] > 0], log=True).get_xscale() == "log"


def test_like_is_compared_with_like(cell):
    assert dynamics_figure(cell)[1]["column"].unique().tolist() == ["signal_coef_mean", "noise_coef_pos_mean"]
    largest = cell.rename(columns={"signal_coef_mean": "other", "noise_coef_pos_mean": "noise_coef_pos_max"})
    assert dynamics_figure(largest)[1]["column"].unique().tolist() == ["signal_coef_max", "noise_coef_pos_max"]


def test_records_that_end_long_before_the_runs_are_reported(cell):
    short = cell.assign(**{"train.n_steps": 1000})
    with pytest.warns(UserWarning, match="Records end at step 400 of 1000: what comes later is not shown"):
        figure, _ = dynamics_figure(short)
    assert "Records end at step 400 of 1000" in words(figure)
    for whole in (short.assign(status="fitted"), cell.assign(**{"train.n_steps": 440})):
        assert "Records" not in words(dynamics_figure(whole)[0])


def test_optimizers_may_share_a_panel(cell):
    figure, table = dynamics_figure(cell, overlay=True)
    (ax,) = figure.axes
    names = [text.get_text().partition(":")[0] for text in ax.get_legend().get_texts()]
    assert names == ["SGD", "SAM", "signal, mean", "noise, mean"]
    assert table["optimizer"].unique().tolist() == ["sgd", "sam"]
    colours, dashes = [line.get_color() for line in ax.lines], [line.get_linestyle() for line in ax.lines]
    assert colours[0] == colours[1] != colours[2] == colours[3] and dashes[0] == dashes[2] != dashes[1]
    assert dashes[4:] == dashes[:2] and colours[4] == colours[5] not in colours[:4]  # the key to the dashes
    alone = dynamics(cell, "train_loss", overlay=True)
    assert [text.get_text() for text in alone.get_legend().get_texts()] == ["SGD", "SAM"]


def test_curves_on_one_axes_are_distinguished(cell):
    _, ax = plt.subplots()
    for optimizer in ("sgd", "sam", "sam"):
        dynamics(cell, "train_loss", optimizer=optimizer, ax=ax)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["SGD", "SAM", "SAM (2)"]
    assert len({line.get_color() for line in ax.lines}) == 3
    _, ax = plt.subplots()
    assert dynamics(cell, overlay=True, ax=ax) is ax and sum(len(line.get_xdata()) > 0 for line in ax.lines) == 4


def test_values_on_a_logarithm(cell):
    ax = dynamics(cell, log_y=True)
    assert ax.get_yscale() == "log" and "Means at or below zero (4) have no place" in words(ax.figure)


def test_the_band_of_an_error_stays_within_0_and_1(cell):
    low = cell.assign(test_error=(cell["seed"] == 0) * 0.01)
    ax = dynamics(low, "test_error", band="se", optimizer="sgd")
    assert ax.collections[0].get_paths()[0].vertices[:, 1].min() == 0


def test_an_infinite_mean_is_a_gap_and_reported(cell):
    ax = dynamics(cell.assign(train_loss=cell["train_loss"].mask(cell["step"] == 50, np.inf)), "train_loss")
    assert np.isnan(ax.lines[0].get_ydata()).tolist() == [False, True, False]
    assert "Infinite means (2) are gaps." in words(ax.figure)


@pytest.mark.parametrize("name", ["optimizer", "column", "mean", "n", "seed_", "place"])
def test_a_column_may_have_any_name(cell, name):
    _, table = dynamics_figure(cell.assign(**{name: cell["train_loss"]}), columns=name)
    plain = dynamics_figure(cell, columns="train_loss")[1]
    assert table["mean"].tolist() == plain["mean"].tolist() and {*table["column"]} == {name}


def test_cells_are_not_mixed(make_rows, cell):
    df = make_rows((5.0,), (1000, 2000))
    with pytest.raises(ValueError, match=r"mixed: data.dim takes 1000, 2000; data.snr .* Choose one cell"):
        dynamics(df)
    figure, _ = dynamics_figure(df, where={"data.dim": 2000})
    assert len(figure.axes) == 2


def test_a_given_axes_shows_one_optimizer(cell):
    _, ax = plt.subplots()
    assert dynamics(cell, optimizer="sam", ax=ax) is ax
    assert len(ax.get_legend().get_texts()) == 2
    with pytest.raises(ValueError, match="choose of sgd, sam"):
        dynamics(cell, ax=ax)


def test_bad_calls_are_refused(cell):
    with pytest.raises(ValueError, match="no band 'sd'; there are quantiles, se"):
        dynamics(cell, band="sd")
    with pytest.raises(ValueError, match="no column 'signal_coef_mx'; did you mean 'signal_coef_max'"):
        dynamics(cell, ["signal_coef_mx"])
    with pytest.raises(ValueError, match="no finished run"):
        dynamics(cell.assign(status="diverged"))


def test_one_seed_is_a_line_without_width(make_rows):
    ax = dynamics(make_rows((5.0,), (1000,), seeds=1))
    assert ax.get_title("right") == "1 seed"
    assert np.isfinite(ax.lines[0].get_ydata()).all()


def test_without_coefficients_the_loss_is_followed(make_rows):
    """As of a landscape, which has none."""
    rows = make_rows((5.0,), (1000,)).drop(columns=["signal_coef_max", "signal_coef_mean", "noise_coef_pos_mean"])
    assert set(dynamics_figure(rows)[1]["column"]) == {"train_loss"}
    assert dynamics(rows, optimizer="sam").get_ylabel() == "train loss"
