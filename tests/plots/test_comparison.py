"""What a comparison computes of each rule: curves, paired differences, styles; and what it refuses to compare."""

import numpy as np
import pandas as pd
import pytest

from featlearn.plots import compare
from featlearn.plots.comparison import STYLES, comparisons
from featlearn.tables import mean_interval


def computed(rows, column="train_loss"):
    """Return the one comparison of a table."""
    (found,) = comparisons(rows, [column], None, "quantiles")
    return found


def of(table, optimizer):
    return table[table["optimizer"] == optimizer].set_index("step")


def test_differences_are_paired_and_have_their_interval(three):
    table = computed(three).table
    at = three[three["step"] == 20].pivot(index="seed", columns="optimizer.dynamics", values="train_loss")
    row = of(table, "sam sde").loc[20]
    wanted = mean_interval(at["sde"] - at["rule"])
    assert row[["difference", "difference_se", "low", "high"]].tolist() == pytest.approx(list(wanted))
    assert row["difference_se"] < row["se"] / 5  # of runs that are not paired it would be larger than that of the SDE
    assert row["mean"] == pytest.approx(at["sde"].mean()) and row["n"] == row["pairs"] == 6
    assert of(table, "sam")["difference"].isna().all()


def test_lost_runs_are_left_out_and_their_partners_of_differences(three):
    lost = (three["seed"] < 2) & (three["optimizer.dynamics"] == "sde")
    found = computed(three.assign(status=three["status"].mask(lost, "diverged")))
    assert {line: set(of(found.table, line)["n"]) for line in found.lines} == {
        "sam": {6},
        "sam flow": {6},
        "sam sde": {4},
    }
    left = of(computed(three[three["seed"] >= 2]).table, "sam sde")
    assert of(found.table, "sam sde")["difference"].tolist() == pytest.approx(left["difference"].tolist())
    assert found.runs["status"].value_counts().to_dict() == {"ok": 16, "diverged": 2}


def test_the_order_and_the_styles_are_those_of_the_dynamics(three):
    for rows in (
        three,
        three.iloc[::-1],
        three.assign(**{"optimizer.dynamics": three["optimizer.dynamics"].replace("rule", None)}),
    ):
        found = computed(rows)
        assert [line.dynamics for line in found.lines] == ["rule", "flow", "sde"]
        assert list(found.lines.values()) == [STYLES[kind] for kind in ("rule", "flow", "sde")]
    assert len({str(style.get("ls")) for style in STYLES.values()}) == 3  # told apart in grey too
    two = computed(three[three["optimizer.dynamics"] != "flow"])
    assert list(two.lines.values()) == [STYLES["rule"], STYLES["sde"]]


def test_without_the_rule_the_flow_is_subtracted(three):
    found = computed(three[three["optimizer.dynamics"] != "rule"])
    assert found.first == "sam flow" and of(found.table, "sam flow")["difference"].isna().all()
    assert of(found.table, "sam sde")["difference"].loc[10:].between(0.01, 0.05).all()


def test_integrations_are_lines_of_their_own(make_limits, three):
    k1 = three[three["optimizer.dynamics"] == "sde"].assign(**{"optimizer.substeps": 1})
    found = computed(pd.concat([three, k1.assign(run_id="k1" + k1["run_id"])]))
    assert [*found.lines] == ["sam", "sam flow", "sam sde substeps=8", "sam sde substeps=1"]
    assert len({style["tone"] for style in found.lines.values()}) == 4


def test_cells_are_not_mixed(three):
    wide = three.assign(**{"data.dim": 2000}, run_id="wide" + three["run_id"])
    with pytest.raises(ValueError, match=r"mixed: data\.dim takes 1000, 2000\. Choose one cell"):
        compare(pd.concat([three, wide]))
    part = three["optimizer.dynamics"] == "sde"
    with pytest.raises(ValueError, match=r"mixed: data\.dim"):  # or the difference would be that of two problems
        compare(three.assign(**{"data.dim": three["data.dim"].mask(part, 2000)}))


def test_what_cannot_be_compared_is_refused(three):
    rule = three[three["optimizer.dynamics"] == "rule"]
    for alone in (rule, rule.drop(columns=["optimizer.dynamics", "optimizer.substeps", "optimizer.integrator"])):
        with pytest.raises(ValueError, match="takes two of rule, flow and SDE of one optimizer; here is sam"):
            compare(alone)
    with pytest.raises(ValueError, match="here is no run that finished"):
        compare(three.assign(status="diverged"))
    apart = three.assign(seed=three["seed"] + 10 * (three["optimizer.dynamics"] == "sde"))
    with pytest.raises(ValueError, match="no pair of sam sde and sam is left: they share no seed"):
        compare(apart)
    with pytest.raises(ValueError, match="no band 'sd'"):
        compare(three, band="sd")
    with pytest.raises(ValueError, match="no column 'train_los'; did you mean 'train_loss'"):
        compare(three, "train_los")
    with pytest.raises(ValueError, match="no optimizer 'sam sde'; there are sam"):
        compare(three, optimizer="sam sde")


def test_a_rule_with_nothing_to_compare_is_left_out_with_a_warning(three):
    sgd = three.assign(**{"optimizer.name": "sgd"}, run_id="sgd" + three["run_id"])
    with pytest.warns(UserWarning, match="no two dynamics to compare: sgd"):
        assert computed(pd.concat([sgd[sgd["optimizer.dynamics"] == "rule"], three])).rule == "sam"


def test_a_limit_that_always_diverged_is_left_out_with_a_warning(three):
    lost = three["status"].mask(three["optimizer.dynamics"] == "sde", "diverged")
    with pytest.warns(UserWarning, match="every run diverged or failed: sam sde"):
        assert [*computed(three.assign(status=lost)).lines] == ["sam", "sam flow"]


def test_one_pair_has_no_interval(three):
    table = computed(three[three["seed"] == 0]).table
    assert table["low"].isna().all() and np.isfinite(of(table, "sam sde")["difference"]).all()


@pytest.mark.parametrize("name", ["optimizer", "column", "mean", "n", "low", "seed_", "difference"])
def test_a_column_may_have_any_name(three, name):
    table = computed(three.assign(**{name: three["train_loss"]}), name).table
    pd.testing.assert_frame_equal(table.drop(columns="column"), computed(three).table.drop(columns="column"))
