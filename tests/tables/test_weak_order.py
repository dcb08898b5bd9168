"""Weak orders: known slopes are found, intervals cover, pairs are pairs, and what no order can be read from is said."""

import numpy as np
import pandas as pd
import pytest

from featlearn.tables import weak_errors, weak_order
from featlearn.tables.weak_order import RATE

RATES = (0.1, 0.05, 0.025, 0.0125)


def study(order=1.0, *, noise=0.0, shared=1.0, seeds=200, rates=RATES, random=0):
    """Return end values of a rule and of its SDE, which is off by lr^order; the seeds' luck is `shared` by both.

    Seed s draws the noise of its difference, of standard deviation `noise` lr^(1/2), anew at every rate.
    """
    rng = np.random.default_rng(random)
    rows = []
    for lr in rates:
        luck, own = shared * rng.standard_normal(seeds), noise * lr**0.5 * rng.standard_normal(seeds)
        head = {"optimizer.name": "sam", RATE: lr, "seed": np.arange(seeds), "status": "ok"}
        rows.append(pd.DataFrame({**head, "optimizer.dynamics": "rule", "moment": luck}))
        rows.append(pd.DataFrame({**head, "optimizer.dynamics": "sde", "moment": luck - 0.3 * lr**order + own}))
    table = pd.concat(rows, ignore_index=True)
    return table.assign(run_id=range(len(table)), step=(1 / table[RATE]).round())


def errors_of(table):
    return weak_errors(table, "moment", "sam sde", "sam")


@pytest.mark.parametrize("order", [1.0, 0.5, 2.0, 0.0])
def test_an_order_without_noise_is_found(order):
    errors = errors_of(study(order))
    assert errors.points["error"].tolist() == pytest.approx([0.3 * lr**order for lr in sorted(RATES)])
    assert (errors.points["mean"] < 0).all() and errors.points["resolved"].all()
    found = weak_order(errors, n_boot=20)
    assert found[:4] == pytest.approx((order, order, order, 0.3), abs=1e-9)
    assert (found.n_points, found.n_unresolved) == (4, 0)


def test_errors_are_those_of_a_paired_t_test():
    table = study(noise=0.1)
    wide = table.pivot(index=["seed", RATE], columns="optimizer.dynamics", values="moment")
    by_rate = (wide["sde"] - wide["rule"]).groupby(RATE)
    points = errors_of(table).points.set_index(RATE)
    assert points["mean"].tolist() == pytest.approx(by_rate.mean().tolist())
    assert points["se"].tolist() == pytest.approx(by_rate.sem().tolist())
    half = 1.97196 * points["se"]  # the 97.5% quantile of t with 199 degrees of freedom
    assert (points["high"] - points["mean"]).tolist() == pytest.approx(half.tolist(), rel=1e-5)


def test_pairing_removes_the_luck_of_a_seed():
    table = study(noise=0.05)
    shuffled = np.where(table["optimizer.dynamics"] == "sde", table["seed"].max() - table["seed"], table["seed"])
    paired, unpaired = (errors_of(t).points["se"].max() for t in (table, table.assign(seed=shuffled)))
    assert unpaired > 50 * paired


def test_intervals_have_their_nominal_coverage():
    """Of 40 studies, 95% intervals hold the truth in 34 (the chance of fewer is 1%); none holds a wrong order."""
    found = [weak_order(errors_of(study(noise=0.1, seeds=100, random=i)), n_boot=100) for i in range(40)]
    assert 34 <= sum(f.low <= 1 <= f.high for f in found) < 40
    assert not any(f.low <= 0.5 <= f.high for f in found)
    widths = np.array([f.high - f.low for f in found])
    assert np.std([f.slope for f in found]) == pytest.approx(widths.mean() / (2 * 1.96), rel=0.25)
    assert np.mean([f.chi2 for f in found]) == pytest.approx(1, abs=0.3)


def test_seeds_are_resampled_jointly():
    """Luck that moves the errors of all rates by one factor moves no slope; it does if rates are resampled apart."""
    table = study(seeds=100)
    factor = np.random.default_rng(1).uniform(0, 2, 100)[table["seed"]]
    scaled = table.assign(moment=np.where(table["optimizer.dynamics"] == "sde", -0.3 * table[RATE] * factor, 0.0))
    errors = errors_of(scaled)
    joint = weak_order(errors)
    rng = np.random.default_rng(2)
    apart = errors.differences.apply(lambda column: pd.Series(rng.permutation(column.to_numpy()), column.index))
    twin = weak_order(type(errors)(errors.points, apart))
    assert joint.slope == twin.slope == pytest.approx(1)
    assert joint.high - joint.low < 1e-9 and twin.high - twin.low > 0.05


def test_a_line_that_does_not_fit_is_told_by_chi2():
    bent = study(noise=0.01)
    off = np.where(bent["optimizer.dynamics"] == "sde", -10 * bent[RATE] ** 2, 0)
    assert weak_order(errors_of(bent.assign(moment=bent["moment"] + off)), n_boot=20).chi2 > 20
    assert weak_order(errors_of(bent), n_boot=20).chi2 < 5
    assert np.isnan(weak_order(errors_of(study(noise=0.01, rates=RATES[:2])), n_boot=20).chi2)


def test_an_error_within_its_noise_is_counted():
    errors = errors_of(study(noise=1.0))
    assert not errors.points["resolved"].all()
    assert weak_order(errors, n_boot=20).n_unresolved == (~errors.points["resolved"]).sum()


def test_the_same_seed_gives_the_same_interval():
    errors = errors_of(study(noise=0.1))
    assert weak_order(errors, seed=3) == weak_order(errors, seed=3) != weak_order(errors, seed=4)


def test_rates_that_differ_by_rounding_are_one():
    table = study()
    table[RATE] = table[RATE].where(table["optimizer.dynamics"] == "rule", np.nextafter(table[RATE], 1))
    assert len(errors_of(table).points) == 4


def test_the_sde_of_another_rule_is_a_control():
    table = study()
    other = table["optimizer.dynamics"] == "sde"
    sgd = table.assign(**{"optimizer.name": table["optimizer.name"].where(~other, "sgd")})
    assert weak_order(weak_errors(sgd, "moment", "sgd sde", "sam"), n_boot=20).slope == pytest.approx(1)


def test_lost_runs_are_dropped_and_counted():
    table = study()
    lost = (table["seed"] < 3) & (table[RATE] == 0.05) & (table["optimizer.dynamics"] == "sde")
    errors = errors_of(table.assign(status=table["status"].mask(lost, "diverged")))
    points = errors.points.set_index(RATE)
    assert points.loc[0.05, ["n", "dropped"]].tolist() == [197, 3] and points.loc[0.1, "dropped"] == 0
    assert weak_order(errors, n_boot=20).high == pytest.approx(1)


def test_one_pair_has_no_interval():
    found = weak_order(errors_of(study(seeds=1)))
    assert found.slope == pytest.approx(1) and np.isnan([found.low, found.high, found.chi2]).all()


def test_bad_calls_are_refused():
    table = study(seeds=3)
    sde = table["optimizer.dynamics"] == "sde"
    for bad, message in (
        (table.assign(moment=table["moment"].mask(sde & (table["seed"] == 1), np.inf)), "is infinite in 4 pairs"),
        (table.assign(status=table["status"].mask(table[RATE] == 0.1, "failed")), "no pair .* at optimizer.lr = 0.1"),
        (pd.concat([table, table.assign(run_id=-table["run_id"] - 1, **{"optimizer.rho": 1.0})]), "in optimizer.rho"),
    ):
        with pytest.raises(ValueError, match=message):
            errors_of(bad)
    with pytest.raises(ValueError, match="needs two step sizes; there is 1"):
        weak_order(errors_of(table[table[RATE] == 0.1]))
    with pytest.raises(ValueError, match="exactly 0"):
        weak_order(errors_of(table.assign(moment=1.0)))
