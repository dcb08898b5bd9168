"""The theory line follows the law with the right constant, or is not drawn."""

import numpy as np
import pandas as pd
import pytest

from featlearn.plots import phase_diagram, phase_figure
from featlearn.plots.law import boundary_line, own_law, radius_follows

X, Y = "data.signal_norm", "data.dim"


def legend(ax):
    """Return the texts of a panel's legend."""
    return [text.get_text() for text in ax.get_legend().get_texts()] if ax.get_legend() else []


def test_a_fitted_constant_is_right_and_marked_as_fitted(make_rows):
    fine = make_rows(signals=tuple(np.linspace(0, 16, 33)), dims=(1000, 2000, 4000), seeds=1)
    fine["test_error"] -= 0.02
    figure, table = phase_figure(fine)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "measured: mean crosses 0.1",
        r"SGD: theory $\|\mu\| = C\,(d/n)^{1/4}P\sigma_p$, $C = 1.2$ fitted",
        r"SAM: theory $\|\mu\| = C\,P\sigma_p$, $C = 1.5$ fitted",
    ]
    assert "and the radius follows it here" in figure.get_supxlabel().replace("\n", " ")
    assert "constant C of the theory is fitted to the circles" in figure.get_supxlabel().replace("\n", " ")
    assert table.groupby("law")["law_c"].first().to_dict() == pytest.approx({"sgd": 1.2, "sam": 1.5}, rel=1e-3)


def test_sams_law_is_drawn_only_where_its_radius_scales(make_rows):
    fixed = make_rows(optimizers=[{"optimizer.name": "sam", "optimizer.rho": 0.03}])
    assert not [text for text in legend(phase_diagram(fixed, X, Y)) if "theory" in text]
    with pytest.raises(ValueError, match=r"a radius in proportion to m sqrt\(B\) .*; here optimizer\.rho takes 0\.03"):
        phase_diagram(fixed, X, Y, theory="sam")
    sgd = phase_diagram(make_rows(optimizers=[{"optimizer.name": "sgd"}]), X, Y, theory="sam")
    assert "The line at SGD is the law 'sam', as requested." in sgd.figure.get_supxlabel().replace("\n", " ")


@pytest.mark.parametrize(
    ("column", "values", "power"),
    [
        ("data.dim", (1000, 4000), -0.5),
        ("data.noise_std", (0.5, 1.0), -1),
        ("data.n_patches", (2, 4), -1),
        ("network.n_filters", (5, 20), 1),
        ("train.batch_size", (4, 16), 0.5),
    ],
)
def test_a_radius_follows_the_law_in_each_of_its_factors(column, values, power):
    runs = pd.DataFrame({column: values, "optimizer.rho": 0.1})
    assert not radius_follows(runs)
    assert radius_follows(runs.assign(**{"optimizer.rho": 0.3 * runs[column].astype(float) ** power}))
    assert radius_follows(runs.assign(**{"optimizer.rho.theory": 1.0}))
    assert not radius_follows(runs.assign(**{"optimizer.rho.theory": [1.0, 2.0]}))


@pytest.mark.parametrize("word", ["xor", "signal_noise"])
def test_a_law_is_drawn_for_the_data_model_it_is_stated_for_alone(rows, word):
    figure, table = phase_figure(rows.assign(**{"data.model": word}))
    text = figure.get_supxlabel().replace("\n", " ")
    reason = "No law is drawn: the theorem supposes data.model = signal_noise, and here it is xor."
    drawn = word == "signal_noise"
    assert text.count(reason) == (not drawn) and ("of the theory" in text) == ("law" in table) == drawn
    assert [len(ax.lines) for ax in figure.axes[:2]] == [drawn, drawn]


def test_a_law_of_another_data_model_is_refused_even_if_asked_for(rows):
    with pytest.raises(ValueError, match=r"'sgd' cannot be drawn: .* data\.model = signal_noise, and here it is xor"):
        phase_diagram(rows.assign(**{"data.model": "xor"}), X, Y, theory="sgd", constant=1.0)


def test_no_law_is_drawn_outside_the_theorems_settings(rows):
    for column, word in {"data.model": "xor", "network.model": "mlp", "network.loss": "hinge"}.items():
        assert own_law(rows[rows["optimizer.name"] == "sgd"].assign(**{column: word})) is None
    sam = rows[rows["optimizer.name"] == "sam"]
    assert own_law(sam.assign(**{"optimizer.base": "sgd"})) == "sam"
    assert own_law(sam.assign(**{"optimizer.base": "adam"})) is None
    for name in ("sgd", "sam"):  # a theorem is about the algorithm
        assert own_law(rows[rows["optimizer.name"] == name].assign(**{"optimizer.dynamics": "sde"})) is None


def test_the_line_is_the_law(rows):
    ax = phase_diagram(rows, X, Y, optimizer="sgd", constant=2.0)
    (line,) = ax.lines
    assert line.get_xdata() == pytest.approx(2.0 * (line.get_ydata() / 20) ** 0.25 * 2)
    assert line.get_ydata()[[0, -1]] == pytest.approx(ax.get_ylim())
    assert line.get_label().endswith("$C = 2$ given")
    assert "fitted" not in ax.figure.get_supxlabel().replace("\n", " ")


def test_the_same_line_with_the_axes_exchanged_and_as_a_ratio(rows):
    (line,) = phase_diagram(rows, Y, X, optimizer="sgd", constant=2.0).lines
    assert line.get_ydata() == pytest.approx(4.0 * (line.get_xdata() / 20) ** 0.25)
    one = rows[rows[Y] == 1000].assign(**{"data.noise_std": 0.5}).drop(columns=X)
    more = one.assign(**{"data.n_samples": 40, "run_id": one["run_id"] + "+"})
    (line,) = phase_diagram(pd.concat([one, more]), "data.snr", "data.n_samples", optimizer="sgd", constant=2.0).lines
    norm = 2.0 * (1000 / line.get_ydata()) ** 0.25 * 2 * 0.5
    assert line.get_xdata() == pytest.approx(norm / (0.5 * 1000**0.5))


def test_the_default_level_lies_above_the_flipped_labels(rows):
    ax = phase_diagram(rows.assign(**{"data.flip_prob": 0.1}), X, Y, optimizer="sgd")
    assert legend(ax)[0] == "measured: mean crosses 0.2"


def test_measured_points_lie_where_the_mean_crosses(rows):
    ax = phase_diagram(rows, X, Y, optimizer="sam", level=0.25)
    points = next(c for c in ax.collections if c.get_label().startswith("measured")).get_offsets()
    points = np.asarray(points)
    luck = np.mean([0.02 * np.cos(7 * seed) for seed in range(3)])
    near = 2.0 + 2.0 * (0.1 - 0.2 * (2 / 3 - 1) + luck - 0.25) / (0.2 * 2 / 3)
    assert points[:, 0] == pytest.approx(near, abs=0.01)
    assert points[:, 1].tolist() == [1000, 2000, 4000, 8000]


def test_no_law_is_drawn_where_none_is_proved(rows):
    for table in (rows.assign(**{"network.activation": "relu3"}), rows.assign(**{"optimizer.name": "adam"})):
        one = table[table["run_id"].str.startswith("sgd")]
        assert not phase_diagram(one, X, Y).lines
    assert not phase_diagram(rows, X, Y, optimizer="sgd", theory=None).lines
    assert not phase_diagram(rows, X, Y, optimizer="sgd", theory="none").lines
    assert not phase_diagram(rows, X, Y, "train_loss", optimizer="sgd").lines


def test_a_law_that_is_asked_for_must_apply(rows):
    with pytest.raises(ValueError, match="no theory 'sdg'; there are sgd, sam, power, "):
        phase_diagram(rows, X, Y, theory="sdg")
    with pytest.raises(ValueError, match="needs the signal on one axis"):
        phase_diagram(rows[rows[X] == 4], Y, "data.n_samples", theory="sgd", constant=1.0)
    with pytest.raises(ValueError, match=r"needs one value of data\.n_patches"):
        phase_diagram(rows.drop(columns="data.n_patches"), X, Y, theory="sgd", constant=1.0)
    with pytest.raises(ValueError, match="no constant to fit"):
        phase_diagram(rows, X, Y, theory="sgd", level=0.9)


def test_one_crossing_fits_no_law(rows):
    """SGD's boundary crosses the level at d = 1000 alone: any law would pass through that point."""
    few = rows[(rows[Y] == 1000) | (rows[X] < 2)]
    assert not phase_diagram(few, X, Y, optimizer="sgd").lines
    with pytest.raises(ValueError, match="a single crossing fits any law"):
        phase_diagram(few, X, Y, optimizer="sgd", theory="sgd")


@pytest.fixture(scope="module")
def cores(make_rows):
    """Errors on the minority over core norm and alignment: they cross 1/2 at the boundary, twice with C = 1."""
    rows = make_rows(signals=tuple(np.linspace(0.2, 1.6, 15)), dims=(1000,), optimizers=[{"optimizer.name": "sgd"}])
    own = {"data.model": "spurious", "network.activation": "cubic", "data.spurious_norm": 1.0}
    numbers = {"data.noise_std": 0.02, "data.n_samples": 20, "data.core_norm": rows[X]}
    tables = []
    for alignment in (0.6, 0.8, 1.0):
        error = 0.5 + 0.3 * (np.cbrt(2 * alignment - 1) - rows[X])
        tables.append(rows.assign(**own, **numbers, **{"data.alignment": alignment, "test_error.minority": error}))
        tables[-1]["run_id"] += f" {alignment}"
    return pd.concat(tables).drop(columns=X)


CORE = "data.alignment", "data.core_norm", "test_error.minority"


def test_another_models_law_is_drawn_in_its_own_strength(cores):
    figure, table = phase_figure(cores, x=CORE[0], y=CORE[1], value=CORE[2], level=0.5)
    assert table["law"].unique().tolist() == ["spurious"]
    assert table["law_c"].iloc[0] == pytest.approx(1.0, rel=0.01)
    (text,) = [text for text in legend(figure.axes[0]) if "theory" in text]
    assert text.startswith(r"theory $b_c = C\,b_s(2\alpha-1)^{1/3}$, $C = ")


def test_where_the_conditions_fail_is_shaded(cores):
    """Noise escapes first where both cubes are below s^3 / n, s = .02 sqrt(1000)."""
    shown = {}
    for n_samples in (1000, 1):
        runs = cores.assign(**{"data.n_samples": n_samples})
        line = boundary_line(runs, *CORE[:2], "spurious", 1.0, runs.iloc[:0])
        assert line.outside is not None
        x, y, fails = line.outside
        cubes = np.maximum(y[:, None] ** 3, 2 * x - 1)
        assert np.array_equal(fails, n_samples * cubes <= 0.02**3 * 1000**1.5)
        ax = phase_diagram(runs, *CORE, constant=1.0, level=0.5)
        shown[n_samples] = "the theorem's conditions do not hold" in legend(ax)
    assert shown == {1000: False, 1: True}


def test_a_turned_diagram_is_shaded_alike(cores):
    runs = cores.assign(**{"data.n_samples": 1})
    straight, turned = (boundary_line(runs, *axes, "spurious", 1.0, runs.iloc[:0]) for axes in (CORE[:2], CORE[1::-1]))
    assert np.array_equal(straight.outside[2], turned.outside[2].T)
    assert np.array_equal(straight.x, turned.y)
