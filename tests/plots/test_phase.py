"""Phase diagrams show the means at their place, and mark missing ones."""

import numpy as np
import pytest
from matplotlib import pyplot as plt

from featlearn.plots import phase_diagram, phase_figure
from featlearn.tables import last_rows, phase_grid

X, Y = "data.signal_norm", "data.dim"


def means(ax):
    """Return the matrix that a panel shows, NaN where it shows none."""
    return np.ma.filled(ax.collections[0].get_array().astype(float), np.nan)


def words(figure):
    """Return the caption, unwrapped."""
    return figure.get_supxlabel().replace("\n", " ")


def test_the_call_of_the_contract(rows):
    ax = phase_diagram(last_rows(rows), x=X, y=Y, value="test_error")
    first, second, bar = ax.figure.axes
    assert ax is first
    assert (first.get_title("left"), second.get_title("left")) == ("SGD", "SAM")
    assert first.get_title("right") == "3 seeds"
    assert bar.get_ylabel() == "test error (observed labels)"
    assert (ax.get_xlabel(), ax.get_ylabel()) == (r"signal norm $\|\mu\|$", r"dimension $d$")
    assert ax.collections[0].norm is second.collections[0].norm


def test_cells_are_seed_means_on_true_axes(rows):
    ax = phase_diagram(rows, X, Y)
    runs = last_rows(rows[rows["optimizer.name"] == "sgd"])
    grid = phase_grid(runs, X, Y, "test_error").pivot(index=Y, columns=X, values="mean")
    np.testing.assert_allclose(means(ax), grid)
    corners = np.asarray(ax.collections[0].get_coordinates())
    assert corners[0, :, 0] == pytest.approx([-1, 1, 3, 5, 7, 9, 11])
    assert corners[:, 0, 1] == pytest.approx(1000 * 2.0 ** np.arange(-0.5, 4))
    assert (ax.get_xscale(), ax.get_yscale()) == ("linear", "log")


class TestWhatIsMissing:
    def test_an_optimizer_without_the_axis_is_left_out_with_a_word(self, rows):
        with pytest.warns(UserWarning, match="left out, as they have no optimizer.rho or data.signal_norm: sgd"):
            phase_figure(last_rows(rows[rows[Y] == 2000]), x="optimizer.rho", y=X)

    def test_missing_cells_are_hatched_and_counted(self, rows):
        figure, _ = phase_figure(rows[(rows[X] < 9) | (rows[Y] < 4000) | (rows["optimizer.name"] == "sam")])
        first, second, _ = figure.axes
        assert np.isnan(means(first)).sum() == 2 and np.isnan(means(second)).sum() == 0
        assert first.patch.get_hatch()
        assert "Hatched: no finished run (2 cells)." in words(figure)

    def test_diverged_cells_are_marked_and_not_averaged(self, rows):
        lost = (rows[X] == 4) & (rows[Y] == 2000) & (rows["optimizer.name"] == "sgd")
        some = (rows[X] == 6) & (rows[Y] == 2000) & (rows["optimizer.name"] == "sgd") & (rows["seed"] == 0)
        df = rows.assign(status=rows["status"].mask(lost | some, "diverged"))
        df["test_error"] = df["test_error"].mask(lost | some, 99.0)
        figure, table = phase_figure(df, optimizer="sgd")
        ax = figure.axes[0]
        assert np.isnan(means(ax)).sum() == 1 and np.nanmax(means(ax)) < 1
        grey = ax.collections[1].get_array()
        assert grey.count() == 1
        assert ax.collections[2].get_offsets().tolist() == [[4, 2000], [6, 2000]]
        assert "Crosses: runs that diverged (4)" in words(figure)
        assert ax.get_title("right") == "2 to 3 seeds"
        assert table["diverged"].sum() == 4

    def test_an_optimizer_that_always_diverged_is_shown_as_such(self, rows):
        df = rows.assign(status=rows["status"].mask(rows["optimizer.name"] == "sgd", "diverged"))
        first, second, _ = phase_diagram(df, X, Y).figure.axes
        assert first.get_title("right") == "no seed" and np.isnan(means(first)).all()
        assert second.get_title("right") == "3 seeds"

    def test_a_complete_store_has_nothing_to_explain(self, rows):
        figure, _ = phase_figure(rows, theory=None)
        assert "Hatched" not in words(figure) and "Crosses" not in words(figure)
        assert "Final train losses of single runs: 0.05." in words(figure)

    def test_nothing_to_draw_is_reported(self, rows):
        with pytest.raises(ValueError, match="no finished run has a test_error"):
            phase_diagram(rows.assign(test_error=np.nan), X, Y)
        with pytest.raises(ValueError, match="no finished run has a test_error"):
            phase_diagram(rows.assign(status="diverged"), X, Y)
        with pytest.raises(ValueError, match="the table has no rows"):
            phase_diagram(rows.head(0), X, Y)

    @pytest.mark.parametrize("value", ["test_error", "signal_coef_max"])
    def test_one_cell_of_one_seed_is_drawn(self, make_rows, value):
        ax = phase_diagram(make_rows((5.0,), (1000,), seeds=1), X, Y, value, theory=None)
        assert means(ax).shape == (1, 1)
        assert ax.get_title("right") == "1 seed"
        ax.figure.draw_without_rendering()


class TestWhatIsDrawnIsSaid:
    def test_the_step_is_that_of_the_rows(self, rows):
        early = rows[rows["step"] == 50].assign(**{"train.n_steps": 400})
        text = words(phase_figure(early)[0])
        assert "Means at step 50 of 400. Train losses of single runs" in text and "last" not in text

    def test_infinite_cells_are_marked_and_outside_the_colours(self, rows):
        endless = (rows[X] == 4) & (rows["seed"] == 0) & (rows["optimizer.name"] == "sgd")
        figure, table = phase_figure(
            rows.assign(train_loss=rows["train_loss"].mask(endless, np.inf)), value="train_loss"
        )
        norm, first = figure.axes[0].collections[0].norm, figure.axes[0]
        assert np.isfinite([norm.vmin, norm.vmax]).all() and np.isinf(table["mean"]).sum() == 4
        assert {tuple(place) for place in first.collections[2].get_offsets().tolist()} == {
            (4, d) for d in (1000, 2000, 4000, 8000)
        }
        assert first.collections[1].get_array().count() == 4
        assert r"$\infty$: an infinite mean (4 cells), outside the colours." in words(figure)
        assert "Hatched" not in words(figure)
        figure.draw_without_rendering()
        everywhere = phase_diagram(rows.assign(train_loss=np.inf), X, Y, "train_loss")
        assert "an infinite mean (48 cells)" in words(everywhere.figure)

    def test_a_finished_run_without_the_value_is_not_called_missing(self, rows):
        blank = (rows[X] == 4) & (rows["optimizer.name"] == "sgd")
        text = words(phase_figure(rows.assign(test_error=rows["test_error"].mask(blank)))[0])
        assert "finished runs that have no such value (4 cells)" in text and "Hatched" not in text

    def test_of_an_axis_that_follows_from_another_the_swept_one_is_named(self, rows):
        text = words(phase_figure(rows, x="data.snr", y=Y)[0])
        assert r"The sweep is over signal norm $\|\mu\|$, from which signal to noise ratio" in text


class TestAxes:
    @pytest.mark.parametrize("kind", ["numpy_nullable", "pyarrow"])
    def test_columns_of_any_kind(self, rows, kind):
        plain = phase_figure(rows)[1]
        other = last_rows(rows).convert_dtypes(dtype_backend=kind)
        other["optimizer.name"] = other["optimizer.name"].astype("category")
        other[X] = other[X].astype(object)
        assert phase_figure(other)[1].equals(plain)

    def test_an_axis_may_be_put_on_a_logarithm_if_it_is_positive(self, rows):
        assert phase_diagram(rows, X, Y, log_y=False).get_yscale() == "linear"
        assert phase_diagram(rows[rows[X] > 0], Y, X, log_y=True).get_yscale() == "log"
        with pytest.raises(ValueError, match=r"data\.signal_norm has no logarithm at 0"):
            phase_diagram(rows, Y, X, log_y=True)

    def test_a_given_axes_shows_one_optimizer(self, rows):
        figure, ax = plt.subplots()
        assert phase_diagram(rows, X, Y, optimizer="sam", ax=ax) is ax
        assert ax.get_title("left") == "SAM"
        assert figure.axes[1].get_ylabel() == "test error (observed labels)"
        with pytest.raises(ValueError, match="choose of sgd, sam"):
            phase_diagram(rows, X, Y, ax=ax)

    def test_axes_are_found_or_asked_for(self, rows):
        _, table = phase_figure(rows)
        assert table.columns[:2].tolist() == [X, Y]
        with pytest.raises(ValueError, match=r"a diagram has two axes, and .* only data\.signal_norm varies"):
            phase_figure(rows, where={Y: 1000})

    def test_an_axis_of_words_is_refused(self, rows):
        with pytest.raises(ValueError, match=r"network\.activation holds words"):
            phase_diagram(rows, X, "network.activation")

    def test_an_error_has_a_fixed_scale_and_other_values_their_range(self, rows):
        norm = phase_diagram(rows, X, Y).collections[0].norm
        assert (norm.vmin, norm.vmax) == (0, 0.5)
        norm = phase_diagram(rows.assign(share=rows[X] / 7 - 1), X, Y, "share").collections[0].norm
        assert (norm.vmin, norm.vmax) == pytest.approx((-1, 3 / 7))

    def test_a_swept_radius_is_an_axis_not_a_panel(self, make_rows):
        optimizers = [{"optimizer.name": "sam", "optimizer.rho": rho} for rho in (0.01, 0.1, 1.0)]
        ax = phase_diagram(make_rows(optimizers=optimizers, dims=(1000,)), X, "optimizer.rho", theory=None)
        assert len(ax.figure.axes) == 2
        assert means(ax).shape == (3, 6)


def test_the_caption_describes_the_drawn_rows(rows):
    other = rows.assign(train_loss=rows["train_loss"] * np.where(rows["optimizer.name"] == "sam", 0.1, 1.0))
    figure, _ = phase_figure(other, optimizer="sgd")
    assert "Final train losses of single runs: 0.05." in words(figure)
