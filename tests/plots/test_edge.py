"""Sharpness and edges over steps: a panel per cell, a line per seed."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from featlearn.plots import edge, edge_figure

STEPS = [0, 50, 100, 200]


def run(lr, rho, seed, name="sam"):
    """Return a run whose sharpness rises to its edge: 2 / lr, or a half of it for SAM with rho > 0."""
    own = 1 / lr if rho else 2 / lr
    head = {"run_id": f"{name}-{lr}-{rho}-{seed}", "step": STEPS, "status": "ok", "seed": seed}
    rule = {"optimizer.name": name, "optimizer.lr": lr, "optimizer.rho": rho}
    values = {"sharpness": own * np.array([0.2, 0.5, 1.0, 1.01 + seed / 100]), "stability_edge": 2 / lr}
    return pd.DataFrame({**head, **rule, **values, "sam_edge": np.nan if name == "sgd" else own})


@pytest.fixture
def grid():
    """Return two learning rates, two radii, three seeds."""
    runs = [run(lr, rho, seed) for lr in (0.1, 0.2) for rho in (0.0, 0.05) for seed in range(3)]
    return pd.concat(runs, ignore_index=True)


def drawn(ax):
    """Return the lines of a panel by label; later seeds have none."""
    return [line.get_label() for line in ax.lines if not line.get_label().startswith("_")]


def test_every_cell_has_a_panel_and_every_seed_a_line(grid):
    ax = edge(grid)
    axes = ax.figure.axes
    assert [panel.get_title("left") for panel in axes[:2]] == [
        r"SAM, $\eta$ = 0.1, $\rho$ = 0",
        r"SAM, $\eta$ = 0.1, $\rho$ = 0.05",
    ]
    assert len(axes) == 4 and axes[0].get_title("right") == "3 seeds"
    assert axes[0].get_shared_y_axes().joined(axes[0], axes[3]) and ax.get_yscale() == "log"
    solid = axes[3].lines[:3]
    assert [line.get_ydata()[-1] for line in solid] == pytest.approx([5.05, 5.1, 5.15])
    labels = [text.get_text() for text in ax.figure.legends[0].get_texts()]
    assert sorted(labels) == sorted([r"sharpness $\lambda_{\max}$", "SAM edge", r"$2/\eta$"])


def test_settings_that_all_cells_share_stand_in_the_caption_alone(grid):
    one = grid[grid["optimizer.lr"] == 0.1]
    panels = edge(one).figure.axes
    assert [panel.get_title("left") for panel in panels] == [r"SAM, $\rho$ = 0", r"SAM, $\rho$ = 0.05"]
    assert panels[0].figure.get_supxlabel().startswith(r"All at $\eta$ = 0.1. Every line is one seed.")
    names = [text.get_text() for text in edge(one, overlay=True).get_legend().get_texts()]
    assert names[:2] == [r"SAM, $\rho$ = 0", r"SAM, $\rho$ = 0.05"]
    assert "All at" not in edge(grid).figure.get_supxlabel()


def test_both_edges_where_they_differ_and_one_where_they_do_not(grid):
    zero, positive, *_ = edge(grid).figure.axes
    assert drawn(zero) == [r"sharpness $\lambda_{\max}$", r"$2/\eta$"]
    assert drawn(positive) == [r"sharpness $\lambda_{\max}$", "SAM edge", r"$2/\eta$"]
    assert positive.lines[3].get_ydata() == pytest.approx([10.0] * 4)
    assert positive.lines[6].get_ydata() == pytest.approx([20.0] * 4)
    assert "SAM of radius 0 is gradient descent" in zero.figure.get_supxlabel().replace("\n", " ")


def test_sgd_is_drawn_with_its_edge_alone(grid):
    sgd = pd.concat([run(0.1, np.nan, seed, "sgd") for seed in range(2)])
    for rows in (sgd, sgd.drop(columns=["sam_edge", "optimizer.rho"])):
        ax = edge(rows)
        assert (
            drawn(ax) == [r"sharpness $\lambda_{\max}$", r"$2/\eta$"] and ax.get_title("left") == r"SGD, $\eta$ = 0.1"
        )
        assert "radius 0" not in ax.figure.get_supxlabel()
    figure, table = edge_figure(pd.concat([sgd, grid]))  # its index repeats
    assert len(figure.axes) == 5 and len(table) == len(sgd) + len(grid)


def test_the_table_contains_the_drawn_values(grid):
    figure, table = edge_figure(grid, where={"optimizer.lr": 0.2})
    assert len(figure.axes) == 2 and len(table) == 2 * 3 * 4
    assert {"optimizer.rho", "seed", "step", "sharpness", "stability_edge", "sam_edge"} <= {*table}
    assert table.groupby("optimizer.rho")["sam_edge"].count().tolist() == [0, 12]


def test_a_given_axes_shows_one_cell(grid):
    _, ax = plt.subplots()
    assert edge(grid[(grid["optimizer.lr"] == 0.1) & (grid["optimizer.rho"] > 0)], ax=ax) is ax
    assert len(ax.get_legend().get_texts()) == 3
    with pytest.raises(ValueError, match=r"one cell: choose of sam lr=0.1 rho=0; sam lr=0.1 rho=0.05; "):
        edge(grid, ax=ax)


def test_the_absolute_value_of_a_negative_sharpness_is_drawn_and_reported(grid):
    ax = edge(grid.assign(sharpness=grid["sharpness"].mask(grid["step"] == 0, -3.0).mask(grid["step"] == 50, 0.0)))
    size = ax.lines[0].get_ydata()
    assert ax.get_yscale() == "log" and size[0] == 3 and np.isnan(size[1])
    assert "eigenvalue is negative (12 records), its size is drawn." in ax.figure.get_supxlabel().replace("\n", " ")
    assert "negative" not in edge(grid).figure.get_supxlabel()


def test_lost_and_fitted_runs_are_reported(grid):
    last = grid["seed"] == 2
    status = grid["status"].mask(last & (grid["optimizer.lr"] == 0.1), "diverged").mask(grid["seed"] == 0, "fitted")
    words = edge(grid.assign(status=status)).figure.get_supxlabel().replace("\n", " ")
    assert "stopped when fitted (4)" in words and "Diverged or failed runs (2) are left out." in words
    lost = grid.assign(status=grid["status"].mask(grid["optimizer.lr"] == 0.1, "diverged"))
    with pytest.warns(UserWarning, match="every run diverged or failed: sam lr=0.1 rho=0; sam lr=0.1 rho=0.05"):
        assert len(edge(lost).figure.axes) == 2


def test_cells_may_share_a_panel(grid):
    figure, table = edge_figure(grid, overlay=True)
    (ax,) = figure.axes
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert len(names) == 6 and names[-2:] == ["SAM edge", r"$2/\eta$"] and len(table) == len(grid)
    colours = {line.get_label(): line.get_color() for line in ax.lines if line.get_label() in names[:4]}
    assert len({*colours.values()}) == 4


def test_curves_on_one_axes_are_distinguished(grid):
    _, ax = plt.subplots()
    for rho in (0.0, 0.05):
        edge(grid[(grid["optimizer.lr"] == 0.1) & (grid["optimizer.rho"] == rho)], ax=ax)
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names[0] == r"SAM, $\eta$ = 0.1, $\rho$ = 0: sharpness $\lambda_{\max}$" and len({*names}) == len(names) == 5
    first, second = ({line.get_color() for line in lines} for lines in (ax.lines[:6], ax.lines[6:]))
    assert len(first) == 2 and len(second) == 1 and not first & second


def test_steps_begin_at_zero_and_early_ends_are_reported(grid):
    assert edge(grid.assign(step=grid["step"].replace({50: 1, 100: 10}))).get_xscale() == "symlog"
    with pytest.warns(UserWarning, match="Records end at step 200 of 1000"):
        edge(grid.assign(**{"train.n_steps": 1000}))
    assert edge(grid, log_y=False).get_yscale() == "linear"


def test_an_infinite_edge_is_a_gap(grid):
    one = grid[grid["seed"] == 0]
    stopped = one.assign(**{c: one[c].mask(one["step"] == 200, np.inf) for c in ("stability_edge", "sam_edge")})
    ax = edge(stopped).figure.axes[1]
    assert np.isfinite(ax.get_ylim()).all() and np.isnan(ax.lines[1].get_ydata()[-1])


@pytest.mark.parametrize("column", ["sharpness", "stability_edge", "sam_edge"])
def test_a_tracker_that_was_not_recorded_is_named(grid, column):
    with pytest.raises(ValueError, match=f"hold no {column}: add the tracker {column} to record.trackers"):
        edge(grid.drop(columns=column))


def test_rows_that_cannot_be_drawn_are_refused(grid):
    with pytest.raises(ValueError, match="no finished run"):
        edge(grid.assign(status="diverged"))
    many = pd.concat([run(0.01 * (1 + i), 0.0, 0) for i in range(25)])
    with pytest.raises(ValueError, match="25 cells are more than the 24 panels"):
        edge(many)
