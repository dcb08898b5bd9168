"""Small multiples: a panel for every value of a further column."""

import numpy as np
import pandas as pd
import pytest

from featlearn.plots import KINDS, difference, dynamics, phase_diagram
from featlearn.plots.multiples import headed
from featlearn.plots.style import paper
from featlearn.tables.labels import Label

X, Y, N = "data.signal_norm", "data.dim", "data.n_samples"


def titles(figure):
    return [ax.get_title("left") for ax in figure.axes if ax.get_title("left")]


@pytest.fixture(scope="module")
def wide(make_rows):
    """Return the rows of two optimizers on a grid, at three numbers of samples; errors rise with it."""
    rows = make_rows((0.0, 4.0, 8.0), (1000, 4000), seeds=2)
    parts = [rows.assign(**{N: n, "run_id": rows["run_id"] + f"-{n}"}) for n in (10, 20, 40)]
    return pd.concat([part.assign(test_error=part["test_error"] + part[N] / 1000) for part in parts])


def test_a_column_is_a_value_and_a_row_an_optimizer(wide):
    figure, table = KINDS["phase"](wide, {"by": [N]})
    assert titles(figure) == ["SGD\n$n$ = 10", "$n$ = 20", "$n$ = 40", "SAM\n$n$ = 10", "$n$ = 20", "$n$ = 40"]
    assert set(table["optimizer"]) == {"sgd", "sam"} and sorted(set(table[N])) == [10, 20, 40]
    meshes = [ax.collections[0] for ax in figure.axes[:6]]
    assert len({id(mesh.norm) for mesh in meshes}) == 1
    for mesh, (optimizer, n) in zip(meshes, [(o, n) for o in ("sgd", "sam") for n in (10, 20, 40)], strict=True):
        part = table[(table["optimizer"] == optimizer) & (table[N] == n)]
        shown = np.ma.filled(mesh.get_array().astype(float), np.nan)
        np.testing.assert_allclose(shown, part.pivot(index=Y, columns=X, values="mean"))


def test_the_lines_share_an_entry_of_the_legend_and_the_caption_has_their_constants(wide):
    figure, table = KINDS["phase"](wide, {"by": N})
    (legend,) = figure.legends
    words = [text.get_text() for text in legend.get_texts()]
    assert len(words) == 2 and sum("theory" in word for word in words) == 1 and not any("C = " in w for w in words)
    ends = f"{table['law_c'].min():.3g} to {table['law_c'].max():.3g}"
    assert f"is fitted to the circles in every panel: {ends}." in figure.get_supxlabel().replace("\n", " ")


def test_rows_and_columns_are_exchanged_on_a_narrow_sheet(wide):
    figure, _ = KINDS["phase"](wide, {"by": [N], "size": (3.0, None)})
    assert titles(figure)[:4] == ["$n$ = 10\nSGD", "SAM", "$n$ = 20\nSGD", "SAM"]


def test_differences_share_a_scale(wide):
    figure, table = KINDS["difference"](wide, {"by": [N]})
    assert titles(figure) == ["SGD minus SAM\n$n$ = 10", "$n$ = 20", "$n$ = 40"]
    first, *others = [ax.collections[0].norm for ax in figure.axes[:3]]
    assert all(norm is first for norm in others) and sorted(set(table[N])) == [10, 20, 40]
    one = KINDS["difference"](wide, {"where": {N: 20}})[1]
    assert table.loc[table[N] == 20, "mean"].tolist() == pytest.approx(one["mean"].tolist())


def test_words_such_as_losses_are_compared_in_one_figure(wide):
    cell = wide[(wide[X] == 4) & (wide[Y] == 1000)].assign(**{"network.loss": lambda df: df[N].map(str) + " loss"})
    cell = cell.assign(**{N: 20})
    figure, table = KINDS["dynamics"](cell, {"by": ["network.loss"]})
    assert titles(figure)[:2] == ["SGD\nloss = 10 loss", "loss = 20 loss"] and len(figure.axes) == 6
    assert sorted(set(table["network.loss"])) == ["10 loss", "20 loss", "40 loss"]
    figure, _ = KINDS["dynamics"](cell, {"by": ["network.loss"], "overlay": True, "columns": ["test_error"]})
    lines = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 3]
    assert len(lines) == len({(line.get_color(), line.get_marker()) for line in lines}) == 6
    with pytest.raises(ValueError, match=r"network\.loss takes .* or keep them apart, by `by`"):
        dynamics(cell)
    several = pd.concat([cell, wide[(wide[X] == 8) & (wide[Y] == 1000)].assign(**{"network.loss": "x", N: 20})])
    table = KINDS["curve"](several, {"by": ["network.loss"], "x": X})[1]
    assert table.groupby(["optimizer", "network.loss"]).ngroups == 8


@pytest.mark.parametrize("kind", ["phase", "difference", "dynamics"])
def test_more_panels_than_a_page_holds_are_refused(wide, kind):
    many = pd.concat([wide.assign(**{N: n, "run_id": wide["run_id"] + f"-{n}"}) for n in range(13)])
    many = many.drop_duplicates(["run_id", "step"]).query("`data.n_samples` < 13 and run_id.str.contains('-10-')")
    many = many[(many[X] == 4) & (many[Y] == 1000)] if kind == "dynamics" else many
    with pytest.raises(ValueError, match=r"panels are more than the 12 of a figure: choose values of data\.n_samples"):
        KINDS[kind](many, {"by": [N]})


@pytest.mark.parametrize("n", range(2, 13))
def test_up_to_twelve_panels_are_laid_out(n):
    with paper():
        figure, axes, pairs = headed([Label("sgd", {N: str(i)}) for i in range(n)], list(range(n)), [N], {})
    assert len(axes) == n and [part for _, part in pairs] == list(range(n))
    columns = axes[0].get_subplotspec().get_gridspec().ncols
    assert columns <= 4 and figure.get_figheight() <= 7 and (columns - n % columns) % columns <= 2


def test_a_panel_for_which_there_is_nothing_is_hatched(wide):
    figure, _ = KINDS["phase"](wide[(wide[N] < 40) | (wide["optimizer.name"] == "sgd")], {"by": [N]})
    assert len(figure.axes[5].collections) == 0 and figure.axes[5].patch.get_hatch()


def test_a_column_that_cannot_have_panels_is_refused(wide):
    for by, message in ((X, "is an axis"), ("optimizer.name", "of its own"), ("data.n_sample", "did you mean")):
        with pytest.raises(ValueError, match=message):
            phase_diagram(wide, X, Y, by=by)
    with pytest.raises(ValueError, match="one Axes shows one map"):
        difference(wide, X, Y, by=N, ax=phase_diagram(wide[wide[N] == 10], X, Y))
