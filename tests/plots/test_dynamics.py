"""Curves over steps: means, bands, one panel an optimizer, one cell at a time."""

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


def test_lines_are_means_and_bands_are_what_the_caption_says(cell):
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
    assert "Dashed: SAM starts or stops." in words(ax.figure)


def test_steps_on_a_logarithm_leave_out_step_zero(cell):
    ax = dynamics(cell, log=True)
    assert ax.get_xscale() == "log" and ax.lines[0].get_xdata().tolist() == [50, 400]
    assert dynamics(cell).get_xscale() == "linear"


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
    rows = make_rows((5.0,), (1000,)).drop(columns=["signal_coef_max", "noise_coef_pos_mean"])
    assert set(dynamics_figure(rows)[1]["column"]) == {"train_loss"}
    assert dynamics(rows, optimizer="sam").get_ylabel() == "train loss"
