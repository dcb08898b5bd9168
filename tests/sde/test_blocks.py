"""Flows and SDEs in both engines, and in any block."""

from dataclasses import replace

import numpy as np
import pytest
from helpers import QUICK_TRACKERS, same_bits
from sde_laws import DATA, NET, limit
from sde_paths import BASE, CURVED, NOISY_SAM, RULES, mini_batches, path

from featlearn.models.two_valleys import TwoValleys
from featlearn.optim import SAM, SGD, USAM
from featlearn.runs import Record
from featlearn.simulation import block_key, lanes, simulate, simulate_block, simulate_seeds

VARIANTS = {
    "sde": {"substeps": 2},
    "exact, rk4": {"substeps": 2, "expansion": "exact", "integrator": "rk4"},
    "strang": {"substeps": 1, "integrator": "strang"},
}
AGREE = [(name, "sde", {}) for name in RULES]
AGREE += [("sam", "exact, rk4", {}), ("msam", "exact, rk4", {}), ("sgd", "strang", {}), ("usam", "strang", {})]
AGREE += [
    (name, "sde", {"network__second_layer": "trained", "network__bias": True}) for name in ("sam", "n_sam", "1-sam")
]
AGREE += [(name, "sde", {"sampling": "with_replacement"}) for name in ("sgd", "sam", "m_usam")]


@pytest.mark.parametrize(("name", "variant", "changes"), AGREE)
def test_the_engines_agree(name, variant, changes):
    rule = limit(RULES[name], sets=2, **VARIANTS[variant])
    gram, weights = (simulate(mini_batches(rule, engine=engine, **changes)) for engine in ("gram", "weights"))
    for key in gram.values:
        assert np.abs(gram.values[key] - weights.values[key]).max() < 1e-10, key
    assert np.abs(gram.values["train_loss"][-1] - gram.values["train_loss"][0]) > 1e-3


def test_the_engines_agree_along_flows():
    for name in ("usam", "n_sam", "1-sam"):
        ends = []
        for engine in ("gram", "weights"):
            rule = limit(RULES[name], "flow", integrator="rk4", substeps=2)
            ends.append(simulate(mini_batches(rule, engine=engine)).values["train_loss"])
        assert np.abs(ends[0] - ends[1]).max() < 1e-10


# blocks

ALONE = {
    "gaussian": lambda seed: path(TwoValleys(n_transverse=2, x=0.3), NOISY_SAM, 3, noise=0.3, seed=seed),
    "platen": lambda seed: path(CURVED, replace_integrator("platen"), 3, noise=0.3, seed=seed),
    "sampled gaussian": lambda seed: path(
        CURVED, limit(SAM(rho=0.1, base=BASE), expansion="exact", sets=3, substeps=2), 3, noise=0.3, seed=seed
    ),
    "mini-batches": lambda seed: in_mini_batches(NOISY_SAM, seed),
    "strang": lambda seed: in_mini_batches(replace_integrator("strang"), seed),
    "second": lambda seed: in_mini_batches(limit(USAM(rho=0.1, base=BASE), expansion="second", substeps=2), seed),
    "cnn": lambda seed: replace(mini_batches(NOISY_SAM, n_steps=3, record=SHORT), seed=seed),
    "cnn, weighted": lambda seed: replace(mini_batches(limit(RULES["n_sam"]), n_steps=3, record=SHORT), seed=seed),
    "cnn, micro-batches": lambda seed: replace(mini_batches(limit(RULES["1-sam"]), n_steps=3, record=SHORT), seed=seed),
}
SHORT = Record(steps=(0, 3), trackers=QUICK_TRACKERS)


def replace_integrator(name):
    return limit(SAM(rho=0.1, base=BASE), substeps=2, integrator=name)


def in_mini_batches(rule, seed):
    run = path(NET, rule, 3, data=DATA, seed=seed)
    return replace(run, train=replace(run.train, batch_size=2, batch_sampling="without_replacement"))


@pytest.mark.parametrize("case", ALONE)
def test_a_path_is_the_same_alone_and_in_company(case):
    """Bit for bit: in a block of 40, in the reversed one, and again alone."""
    runs = [ALONE[case](seed) for seed in range(40)]
    together, reverse = simulate_block(runs), simulate_block(runs[::-1])[::-1]
    assert all(same_bits(a, b) for a, b in zip(together, reverse, strict=True))
    for seed in (0, 17, 39):
        assert same_bits(simulate(runs[seed]), together[seed])
    ends = {tuple(each.values["train_loss"].tolist()) for each in together}
    assert len(ends) == 40


def test_many_seeds_are_the_runs_of_these_seeds():
    run = path(CURVED, NOISY_SAM, 5, noise=0.3)
    found = simulate_seeds(run, [3, 9, 4])
    for row, seed in enumerate((3, 9, 4)):
        one = simulate(replace(run, seed=seed))
        assert np.array_equal(found["x0"][row], one.values["x0"]) and found["seed"][row] == seed


def test_blocks_share_settings_and_not_numbers():
    a = path(CURVED, NOISY_SAM)
    other = [limit(NOISY_SAM.rule, substeps=3), limit(NOISY_SAM.rule, "flow", substeps=2), NOISY_SAM.rule]
    other.append(limit(NOISY_SAM.rule, substeps=2, expansion="exact"))
    assert len({block_key(path(CURVED, rule)) for rule in (*other, NOISY_SAM)}) == 5
    wider = path(CURVED, limit(SAM(rho=0.2, base=SGD(lr=0.05)), substeps=2))
    assert block_key(wider) == block_key(a) and lanes(a) == 8192
    assert same_bits(simulate_block([a, wider])[1], simulate(wider))
