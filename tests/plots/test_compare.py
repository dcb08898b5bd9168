"""The figure of a comparison: values above, differences below, what they are called, and the caption."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from featlearn.plots import KINDS, compare, compare_figure
from featlearn.plots.comparison import comparisons


def words(figure):
    """Return the caption, unwrapped."""
    return figure.get_supxlabel().replace("\n", " ")


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


@pytest.mark.parametrize("free", [False, True])
def test_a_given_axes_holds_both_panels(three, free):
    figure = plt.figure()
    ax = figure.add_axes((0.2, 0.2, 0.7, 0.7)) if free else figure.subplots()
    before = ax.get_position()
    assert compare(three, ax=ax) is ax
    lower = figure.axes[-1]
    assert lower is not ax and len(lower.lines) == 3 and len(ax.get_legend().get_texts()) == 3
    above, below = ax.get_position(), lower.get_position()
    assert above.y0 > below.y1 and (above.y1, below.y0) == pytest.approx((before.y1, before.y0))
    with pytest.raises(ValueError, match="one column of one rule: there are train_loss, grad_norm of sam"):
        compare(three, ["train_loss", "grad_norm"], ax=ax)


@pytest.fixture(scope="module")
def drawn(made_limits):
    """Return the figure and the table of a rule, its flow and its SDE."""
    return compare_figure(made_limits)


def test_values_above_and_differences_below(drawn, three):
    upper, lower = drawn[0].axes
    assert upper.get_shared_x_axes().joined(upper, lower)
    means = three.pivot_table(index="step", columns="optimizer.dynamics", values="train_loss")
    for line, kind in zip(upper.lines, ("rule", "flow", "sde"), strict=True):
        assert line.get_ydata() == pytest.approx(means[kind].tolist())
    zero, *others = lower.lines
    assert set(zero.get_ydata()) == {0}
    for line, kind in zip(others, ("flow", "sde"), strict=True):
        assert line.get_ydata() == pytest.approx((means[kind] - means["rule"]).tolist())
    assert (upper.get_ylabel(), lower.get_ylabel(), lower.get_xlabel()) == ("train loss", "difference", "step")
    assert legend(drawn[0]) == ["SAM", "SAM flow", "SAM SDE"]


def test_bands_are_those_of_the_caption(drawn):
    figure, table = drawn
    row = table[(table["optimizer"] == "sam sde") & (table["step"] == 20)].iloc[0]
    upper, lower = figure.axes
    for band, high in ((upper.collections[2], row["q90"]), (lower.collections[1], row["high"])):
        corners = band.get_paths()[0].vertices
        assert corners[corners[:, 0] == 20, 1].max() == pytest.approx(high)


def test_the_caption_states_settings_paths_and_bands(drawn):
    text = words(drawn[0])
    assert "Above: means over 6 paths, one a seed. Bands: 10% to 90% quantiles over seeds." in text
    assert "Below: flow and SDE minus the rule, 6 pairs of one seed each; bands: 95% t intervals of the mean." in text
    assert r"All at $\eta$ = 0.1, $\rho$ = 0.05. Flow: integrator = rk4." in text
    assert "SDE: substeps = 8, integrator = euler_maruyama." in text and "left out" not in text


def test_the_caption_reports_what_is_missing(three):
    """A lost run, an infinite value and a standard error as band; there is no flow."""
    sde = three["optimizer.dynamics"] == "sde"
    loss = three["train_loss"].mask((three["step"] == 20) & (three["optimizer.dynamics"] == "rule"), np.inf)
    rows = three.assign(train_loss=loss, status=three["status"].mask(sde & (three["seed"] < 2), "diverged"))
    ax = compare(rows[rows["optimizer.dynamics"] != "flow"], band="se")
    text = words(ax.figure)
    assert "means over 4 to 6 paths, one a seed. Bands: one standard error" in text
    assert "Below: SDE minus the rule, 4 pairs" in text
    assert "Diverged or failed runs (2) are left out; so are their partners below." in text
    assert "Infinite means (1) are gaps." in text
    assert np.isnan(ax.lines[0].get_ydata()).tolist() == [False, False, True, False]


def test_several_columns_of_several_rates(three):
    """A rate is a pair of rows, a column of the table a column of panels."""
    slow = three.assign(**{"optimizer.lr": 0.05}, run_id="slow" + three["run_id"])
    options = {"columns": ["train_loss", "grad_norm"], "log_y": True, "where": {"seed": [0, 1, 2]}}
    figure, table = KINDS["compare"](pd.concat([three, slow]), options)
    above, beside, below, _ = figure.axes[:4]
    titles, labels = [r"SAM, $\eta$ = 0.1", r"SAM, $\eta$ = 0.05"], ["train loss", "gradient norm", "difference", ""]
    assert [ax.get_title("left") for ax in figure.axes] == [*[titles[0]] * 2, "", "", *[titles[1]] * 2, "", ""]
    assert [ax.get_ylabel() for ax in figure.axes] == labels * 2
    assert [ax.get_xlabel() for ax in figure.axes] == [""] * 6 + ["step"] * 2
    assert above.get_yscale() == beside.get_yscale() == "log" and below.get_yscale() == "linear"
    assert not above.get_shared_y_axes().joined(above, beside)
    assert r"All at $\rho$ = 0.05." in words(figure) and legend(figure) == ["rule", "flow", "SDE"]
    assert table["column"].unique().tolist() == ["train_loss", "grad_norm"]
    names = [f"{name} lr={rate}" for rate in (0.1, 0.05) for name in ("sam", "sam flow", "sam sde")]
    assert table["optimizer"].unique().tolist() == names


def test_several_rules_share_their_values(three):
    sgd = three.assign(**{"optimizer.name": "sgd"}, run_id="sgd" + three["run_id"])
    figure = compare(pd.concat([sgd, three])).figure
    assert [ax.get_title("left") for ax in figure.axes] == ["SGD", "SAM", "", ""]
    assert figure.axes[0].get_shared_y_axes().joined(*figure.axes[:2])
    assert [ax.get_ylabel() for ax in figure.axes] == ["train loss", "", "difference", ""]
    assert len(comparisons(pd.concat([sgd, three]), ["train_loss"], "sam", "se")) == 1


def test_the_legend_has_rule_flow_and_sde_in_this_order(three):
    """Also where the first rule has no flow."""
    sgd = three[three["optimizer.dynamics"] != "flow"].assign(**{"optimizer.name": "sgd", "optimizer.rho": np.nan})
    figure = compare(pd.concat([sgd.assign(run_id="sgd" + sgd["run_id"]), three])).figure
    assert legend(figure) == ["rule", "flow", "SDE"]
    assert "Below: flow and SDE minus the rule" in words(figure)
    assert r"All at $\eta$ = 0.1; SAM at $\rho$ = 0.05." in words(figure)


def test_settings_of_no_use_are_no_part_of_the_caption(three):
    """Of Gaussian noise, of mini-batches, and of a drift of one's own; what differs from a default is named."""
    limits = three["optimizer.dynamics"] != "rule"
    usual = {"optimizer.expansion": "first", "optimizer.covariance": "complete", "optimizer.sets": 2}
    three = three.assign(**{key: three["seed"].astype(object).where(~limits, value) for key, value in usual.items()})
    three.loc[~limits, [*usual]] = np.nan
    assert words(compare(three).figure).endswith("SDE: substeps = 8, integrator = euler_maruyama, expansion = first.")
    batches = three.assign(**{"train.batch_size": 5, "data.n_samples": 20})
    assert words(compare(batches).figure).endswith("expansion = first, sets = 2.")
    truncated = three.assign(**{"optimizer.covariance": three["optimizer.covariance"].where(~limits, "truncated")})
    assert words(compare(truncated).figure).endswith("expansion = first, covariance = truncated.")
    own = batches.assign(**{"optimizer.name": "my_sde.py:Langevin"})
    assert words(compare(own).figure).endswith("SDE: substeps = 8, integrator = euler_maruyama.")
