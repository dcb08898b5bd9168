"""The boundary figure shows the crossings, the law through them, the theory's slopes, and what is left out."""

from itertools import pairwise

import numpy as np
import pytest
from matplotlib import pyplot as plt

from featlearn.plots import boundary, boundary_figure, save
from featlearn.plots.boundary import law_exponent
from featlearn.tables import boundary_scaling, last_rows

X, Y = "data.dim", "data.signal_norm"


@pytest.fixture(scope="module")
def fine(make_rows):
    """A store whose error crosses 0.1 at 2.4 (d/20)^(1/4) for SGD and at 3 for SAM, except for noise of the seeds."""
    df = make_rows(signals=tuple(np.geomspace(1, 60, 40)), dims=(10**3, 10**4, 10**5, 10**6))
    return df.assign(**{"train.stop_at_train_loss": 0.06, "status": "fitted"})


def legend(figure):
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


def words(figure):
    return figure.get_supxlabel().replace("\n", " ")


def test_circles_are_the_measured_boundary_and_lines_its_power_law(fine):
    figure, table = boundary_figure(fine)
    ax = figure.axes[0]
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert (ax.get_xlabel(), ax.get_ylabel()) == (r"dimension $d$", r"signal norm $\|\mu\|$")
    for i, name in enumerate(("sgd", "sam")):
        runs = last_rows(fine[fine["optimizer.name"] == name])
        scaling = boundary_scaling(runs, 0.1)
        dots, (*_,), (bars,) = ax.containers[i]
        assert dots.get_ydata() == pytest.approx(scaling.points[Y].to_numpy())
        ends = np.array(bars.get_segments())[:, :, 1]
        assert ends == pytest.approx(scaling.points[["low", "high"]].to_numpy())
        line = next(line for line in ax.lines if line.get_label().startswith(f"{name.upper()}, fitted"))
        assert line.get_ydata() == pytest.approx(
            scaling.exponent.factor * line.get_xdata() ** scaling.exponent.exponent
        )
        assert line.get_color() == dots.get_color()
        part = table[table["optimizer"] == name]
        assert part["exponent"].unique() == pytest.approx([scaling.exponent.exponent])
        assert part["theory"].unique().tolist() == [0.25 if name == "sgd" else 0.0]


def test_the_legend_distinguishes_fits_from_theory(fine):
    figure, table = boundary_figure(fine)
    ends = table.groupby("optimizer")[["exponent", "exponent_low", "exponent_high"]].first().loc["sgd"]
    fitted, _, theory, flat = legend(figure)
    assert fitted == r"SGD, fitted: $d^{{\,{:.3f}}}$ $[{:.3f},\,{:.3f}]$".format(*ends)
    assert abs(ends["exponent"] - 0.25) < 0.01
    assert (theory, flat) == (r"theory: $d^{\,1/4}$", r"theory: $d^{\,0}$")


def test_theory_slopes_lie_aside_of_the_points(fine):
    ax = boundary(fine, optimizer="sgd")
    line = next(line for line in ax.lines if line.get_label().startswith("theory"))
    x, y = line.get_xdata(), line.get_ydata()
    assert np.diff(np.log(y)) == pytest.approx(0.25 * np.diff(np.log(x)))
    assert (y < ax.containers[0][0].get_ydata()).all()


def test_runs_that_did_not_fit_are_left_out_and_counted(fine):
    bad = (fine["seed"] == 2) & (fine["optimizer.name"] == "sam")
    spoilt = fine.assign(status=fine["status"].mask(bad, "ok"), test_error=fine["test_error"].mask(bad, 0.5))
    figure, table = boundary_figure(spoilt)
    assert "over 2 to 3 seeds" in words(figure) and "Left out, not fitted: SAM 160 of 480." in words(figure)
    assert table.groupby("optimizer", sort=False)["left_out"].sum().tolist() == [0, 160]
    without, _ = boundary_figure(fine[~bad])
    assert legend(figure)[1] == legend(without)[1]


def test_the_caption_explains_the_circles(fine):
    figure, table = boundary_figure(fine)
    text = words(figure)
    assert "where the mean test error (observed labels) over 3 seeds crosses 0.1." in text
    assert "95% bootstrap over seeds" in text and "slopes of the theory" in text
    assert "Means at step 400. Those at one place are drawn side by side." in text
    assert table["level"].unique().tolist() == [0.1]
    assert "Final train losses of single runs: 0.05." in text
    assert not any(word in text for word in ("Left out", "Arrows", "Triangles"))


@pytest.fixture
def short(fine):
    """The store of SGD without the signals above 2 at d = 1e3, and those past the boundary's cell at d = 1e6."""
    sgd = fine[fine["optimizer.name"] == "sgd"]
    at = boundary_scaling(last_rows(sgd), 0.1).points[Y].iloc[-1]
    return sgd[sgd[Y] <= sgd[X].map({10**3: 2, 10**6: sgd[Y][sgd[Y] > at].min()}).fillna(100)]


def test_points_beyond_the_sweep_are_drawn_open_and_reported(short):
    figure, table = boundary_figure(short)
    assert table["high"].tolist()[3] == np.inf and table["exponent_high"].unique() == [np.inf]
    assert table["beyond"].tolist() == ["above", "", "", ""] and np.isnan(table[Y][0])
    assert legend(figure)[0].endswith(r",\,\infty)$")
    assert "over 2.5% of the draws do not cross within the sweep" in words(figure)
    assert "not in the fit: no crossing within the sweep at $d=$1000." in words(figure)
    assert figure.axes[0].get_xlim()[0] < 1000 and figure.axes[0].get_ylim()[0] < 2
    marks = {line.get_marker(): line.get_xydata() for line in figure.axes[0].lines if len(line.get_xdata()) == 1}
    assert marks["^"].tolist() == [[1000, short[short[X] == 1000][Y].max()]]  # the last that is drawn: the triangle


OPTIMIZERS = ["sgd", "random_perturbation", "momentum_sam", "asam_elementwise", "vasso", "looksam", "n_sam", "sampa"]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("n", [1, 2, 4, 8])
def test_axes_keep_their_size_and_all_words_are_on_the_sheet(make_rows, tmp_path, n):
    df = make_rows(signals=(2.0, 4.0, 8.0, 16.0), seeds=2, optimizers=[{"optimizer.name": o} for o in OPTIMIZERS[:n]])
    spoilt = (df["seed"] == 1) & (df["data.signal_norm"] == 16)
    figure, table = boundary_figure(df.assign(status=df["status"].mask(spoilt, "diverged")))
    save(figure, table, tmp_path / "boundary.pdf")
    figure.draw_without_rendering()
    (ax,), sheet = figure.axes, figure.bbox
    inches = ax.get_window_extent().width / figure.dpi, ax.get_window_extent().height / figure.dpi
    assert inches == pytest.approx((2.8, 2.0), abs=0.15)
    legend, caption = ax.get_legend().get_window_extent(), figure.findobj(lambda a: a is figure._supxlabel)[0]
    for box in (legend, caption.get_window_extent()):
        assert sheet.x0 <= box.x0 and box.x1 <= sheet.x1 and sheet.y0 <= box.y0
    assert caption.get_window_extent().y1 < legend.y0 and legend.y1 < ax.xaxis.label.get_window_extent().y0
    for axis, start, end in ((ax.xaxis, "x0", "x1"), (ax.yaxis, "y0", "y1")):
        low, high = axis.get_view_interval()
        boxes = [t.label1.get_window_extent() for t in axis.get_major_ticks() if low <= t.get_loc() <= high]
        assert len(boxes) >= 3
        assert all(getattr(a, end) < getattr(b, start) for a, b in pairwise(boxes))


def test_one_seed_has_points_and_no_interval(fine):
    figure, table = boundary_figure(fine[fine["seed"] == 0])
    assert "One seed has no interval." in words(figure)
    assert legend(figure)[0].endswith("}$") and table["low"].isna().all()
    figure.draw_without_rendering()


def test_another_axis_has_its_own_theory(fine):
    df = fine.assign(**{"data.n_samples": (fine[X] // 1000) * 10, X: 1000, "optimizer.rho": 0.03})
    assert legend(boundary_figure(df, x="data.n_samples")[0])[2:] == [r"theory: $n^{\,{-}1/4}$", r"theory: $n^{\,0}$"]
    other = fine.rename(columns={X: "network.n_filters"}).assign(**{X: 1000})
    assert len(legend(boundary_figure(other, x="network.n_filters")[0])) == 2


def test_laws_have_the_exponents_of_the_theorems():
    assert law_exponent("sgd", "dim") == 0.25 and law_exponent("sgd", "n_samples") == -0.25
    assert law_exponent("sam", "dim") == law_exponent("sam", "n_samples") == 0
    assert law_exponent("sgd", "noise_std") == law_exponent("sam", "n_patches") == 1


def test_no_theory_without_its_assumptions(fine):
    for column, here in {"network.activation": "relu3", "data.model": "xor"}.items():
        figure, table = boundary_figure(fine.assign(**{column: here}))
        assert len(legend(figure)) == 2 and "theory" not in words(figure) and table["theory"].isna().all()
        assert words(figure).count(f"and here it is {here}.") == 1


def test_a_given_axes_is_drawn_on(fine):
    figure, ax = plt.subplots()
    assert boundary(fine, ax=ax) is ax
    assert len(legend(figure)) == 4 and figure.axes == [ax]


def test_a_figure_without_points_gives_the_reason(fine):
    with pytest.raises(ValueError, match="give the level of train_loss at which"):
        boundary_figure(fine, value="train_loss")
    with pytest.raises(ValueError, match=r"sgd: the mean test_error .* crosses 0\.9 at 0 of 4"):
        boundary_figure(fine, level=0.9)
    with pytest.raises(ValueError, match=r"network\.activation holds words"):
        boundary_figure(fine, x="network.activation")
