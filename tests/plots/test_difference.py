"""Difference maps: centred, paired, and with unknown cells marked."""

import numpy as np
import pytest
from matplotlib import pyplot as plt

from featlearn.plots import difference, difference_figure

X, Y = "data.signal_norm", "data.dim"


def words(figure):
    """Return the caption, unwrapped."""
    return figure.get_supxlabel().replace("\n", " ")


def test_colours_are_centred_at_zero_and_red_where_the_first_is_larger(rows):
    ax = difference(rows, X, Y)
    mesh = ax.collections[0]
    assert mesh.norm(0.0) == 0.5
    assert -mesh.norm.vmin == mesh.norm.vmax == pytest.approx(np.abs(mesh.get_array()).max())
    red, _, blue, _ = mesh.cmap(mesh.norm(0.9 * mesh.norm.vmax))
    assert red > 2 * blue
    assert ax.get_title("left") == "SGD minus SAM"
    assert ax.get_title("right") == "3 pairs"


def test_values_are_first_minus_second_and_turn_with_them(rows):
    _, table = difference_figure(rows)
    means = rows[rows["step"] == 400].groupby([X, Y, "optimizer.name"])["test_error"].mean().unstack()
    assert table["mean"].tolist() == pytest.approx((means["sgd"] - means["sam"]).tolist())
    _, turned = difference_figure(rows, first="sam", second="sgd")
    assert turned["mean"].tolist() == pytest.approx((-table["mean"]).tolist())


def test_cells_whose_interval_excludes_zero_carry_their_sign(rows):
    jitter = np.where(rows["seed"] == 0, 0.3, -0.15) * (rows["optimizer.name"] == "sam") * (rows[X] == 4)
    ax = difference(rows.assign(test_error=rows["test_error"] + jitter), X, Y)
    plus, minus = ({tuple(place) for place in marks.get_offsets().tolist()} for marks in ax.collections[2:])
    assert not {(4.0, d) for d in (1000, 2000, 4000, 8000)} & (plus | minus)
    assert {(6.0, 8000), (10.0, 8000)} <= plus and not minus & plus
    assert "Signs: the cell's 95% t interval excludes zero." in words(ax.figure)
    _, other = (marks.get_offsets() for marks in difference(rows, X, Y, first="sam", second="sgd").collections[2:])
    assert {(6.0, 8000), (10.0, 8000)} <= {tuple(place) for place in other.tolist()}


def test_one_pair_has_no_interval(make_rows):
    ax = difference(make_rows(seeds=1), X, Y)
    assert "Signs: of the one pair, which has no interval." in words(ax.figure)
    means = np.ma.filled(ax.collections[0].get_array().astype(float), np.nan)
    assert len(ax.collections[2].get_offsets()) == (means > 0).sum() > 0


def test_pairs_can_be_gated_on_the_train_loss(rows):
    apart = (rows["optimizer.name"] == "sam") & (rows[X] == 2)
    df = rows.assign(train_loss=rows["train_loss"] * np.where(apart, 3, 1))
    figure, table = difference_figure(df, train_loss_tol=2.0)
    assert table.loc[table[X] == 2, "mean"].isna().all() and table.loc[table[X] != 2, "mean"].notna().all()
    assert figure.axes[0].collections[1].get_array().count() == 4
    assert "agree within a factor 2. " in words(figure)
    assert "Dropped: train loss (12). Grey: no pair left." in words(figure)
    assert "Train losses are not matched." in words(difference(df, X, Y).figure)
    matched = words(difference(df.assign(train_loss_level=0.1, reached=True), X, Y).figure)
    assert "the train loss first reaches 0.1" in matched and "not matched" not in matched


def test_several_radii_need_a_label(make_rows):
    optimizers = [{"optimizer.name": "sgd"}]
    optimizers += [{"optimizer.name": "sam", "optimizer.rho": rho} for rho in (0.03, 0.1)]
    df = make_rows(optimizers=optimizers)
    with pytest.raises(ValueError, match=r"they differ in optimizer.rho \(0.03, 0.1\)"):
        difference(df, X, Y, second="sam")
    ax = difference(df, X, Y, second="sam rho=0.1")
    assert ax.get_title("left") == r"SGD minus SAM, $\rho$ = 0.1"


def test_of_two_optimizers_one_or_none_has_to_be_named(rows):
    names = {"sgd": "usam", "sam": "asam"}
    df = rows.assign(**{"optimizer.name": rows["optimizer.name"].map(names)})
    chosen = [{}, {"first": "asam"}, {"second": "usam"}, {"first": "usam"}, {"second": "asam"}]
    axes = [plt.subplots()[1] for _ in chosen]  # a sheet of its own takes longer, and its title is the same
    assert difference(df, X, Y).get_title("left") == "ASAM minus USAM"
    assert [difference(df, X, Y, ax=ax, **names).get_title("left") for ax, names in zip(axes, chosen, strict=True)] == [
        *["ASAM minus USAM"] * 3,
        *["USAM minus ASAM"] * 2,
    ]


def test_of_many_optimizers_two_are_chosen_never_taken(make_rows):
    optimizers = [{"optimizer.name": name} for name in ("sgd", "sam", *(f"rule{i}" for i in range(9)))]
    df = make_rows(optimizers=optimizers, signals=(1.0, 2.0), dims=(1000, 2000))
    for given in ({}, {"first": "sam"}):
        with pytest.raises(
            ValueError, match=r"there are 11 optimizers, sgd, rule0, .*: choose .* \(--first, --second\)"
        ):
            difference(df, X, Y, **given)
    assert difference(df, X, Y, second="rule3").get_title("left") == "SGD minus RULE3"
    assert difference(df, X, Y, first="sam", second="rule3").get_title("left") == "SAM minus RULE3"


def test_nothing_to_compare_is_reported(rows):
    with pytest.raises(ValueError, match="takes two optimizers; sgd is the only one"):
        difference(rows[rows["optimizer.name"] == "sgd"], X, Y)
    with pytest.raises(ValueError, match="no run has optimizer = 'adam'; it takes sgd, sam"):
        difference(rows, X, Y, second="adam")
    with pytest.raises(ValueError, match=r"no pair of sgd and sam is left to compare: diverged \(72\)"):
        difference(rows.assign(status="diverged"), X, Y)


def test_one_row_is_drawn_but_an_axis_within_the_optimizer_is_not(make_rows):
    df = make_rows(dims=(1000,))
    assert difference(df, X, Y).collections[0].get_array().shape == (1, 6)
    with pytest.raises(ValueError, match=r"differ in data\.signal_norm or optimizer\.rho"):
        difference(df, X, "optimizer.rho")


def test_no_difference_at_all_is_drawn(make_rows):
    df = make_rows()
    ax = difference(df.assign(test_error=0.5), X, Y)
    assert (ax.collections[0].get_array() == 0).all()
    assert len(ax.collections[2].get_offsets()) == 0
    assert "No cell's 95% t interval excludes zero." in words(ax.figure)


def test_the_bar_shows_the_colours_in_use(rows):
    figure, table = difference_figure(rows)
    low, high = figure.axes[1].get_ylim()
    assert (low, high) == pytest.approx((min(table["mean"].min(), 0), max(table["mean"].max(), 0)))


def test_an_infinite_difference_is_marked_and_outside_the_colours(rows):
    endless = (rows[X] == 4) & (rows["optimizer.name"] == "sgd")
    figure, table = difference_figure(rows.assign(test_error=rows["test_error"].mask(endless, np.inf)))
    assert np.isinf(table.loc[table[X] == 4, "mean"]).all()
    assert figure.axes[0].collections[0].norm.vmax == pytest.approx(table["mean"].replace(np.inf, 0).abs().max())
    assert r"$\infty$: an infinite mean (4 cells), outside the colours." in words(figure)
    both = rows[X] == 4
    _, table = difference_figure(rows.assign(test_error=rows["test_error"].mask(both, np.inf)))
    assert (table.loc[both.groupby(rows[X]).any()[lambda s: s].index[0] == table[X], "dropped"] == 3).all()


def test_intervals_stay_where_differences_of_errors_can_be(rows):
    noisy = rows.assign(test_error=((rows["seed"] == 0) ^ (rows["optimizer.name"] == "sgd")) * 1.0)
    _, table = difference_figure(noisy)
    assert table["low"].min() == -1 and table["high"].max() == 1


def test_a_given_axes(rows):
    figure, ax = plt.subplots()
    assert difference(rows, X, Y, ax=ax) is ax
    assert figure.axes[1].get_ylabel() == r"$\Delta$ test error (observed labels)"


def test_dynamics_of_one_rule_differ_over_its_settings(make_rows):
    """SDE minus rule over rate and dimension; two rules do not share such an axis."""
    rule = {"optimizer.name": "sam", "optimizer.dynamics": "rule", "optimizer.substeps": np.nan}
    sde = rule | {"optimizer.dynamics": "sde", "optimizer.substeps": 8}
    df = make_rows(
        (5.0,), (1000, 2000), optimizers=[o | {"optimizer.lr": lr} for o in (rule, sde) for lr in (0.1, 0.2)]
    )
    df["test_error"] += (df["optimizer.dynamics"] == "sde") * df["optimizer.lr"]
    axes = {"x": "optimizer.lr", "y": Y}
    figure, table = difference_figure(df, **axes, first="sam sde", second="sam")
    assert figure.axes[0].get_title("left") == "SAM SDE minus SAM"
    assert table["mean"].tolist() == pytest.approx(table["optimizer.lr"].tolist()) and (table["n"] == 3).all()
    other = df.assign(**{"optimizer.name": df["optimizer.name"].where(df["optimizer.dynamics"] == "rule", "usam")})
    with pytest.raises(ValueError, match="pairs cannot lie along it"):
        difference_figure(other, **axes, first="usam sde", second="sam")
