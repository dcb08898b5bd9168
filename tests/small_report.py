"""A small store for tests of reports: two optimizers over two axes, four seeds, with all ends of a run."""

import json

import numpy as np
from helpers import make_run

from featlearn.optim import SAM, SGD
from featlearn.runs import Trajectory
from featlearn.store import Store, failed_rows, rows

EVIL = "</script><img src=x onerror=alert(1)>&<!--"  # the name of a sweep, and in a message and a column
RULES = {"sgd": SGD(lr=0.1), "sam": SAM(rho=0.1, base=SGD(lr=0.1))}
SIGNALS, DIMS, SEEDS, STEPS = (1.0, 2.0, 3.0), (60, 600), range(4), np.array([0, 1, 2, 5, 10, 20])
FOOTER = {
    "provenance": {
        **{"featlearn": "0.1.0", "torch": "2.13.0", "processor": "x86_64 AVX512", "device": EVIL},
        "code": {"revision": "abc123", "dirty": False},
    }
}


def error(rule, signal, dim, seed, steps=STEPS):
    """A test error that falls with the signal, faster for SAM; of plain numbers, so that means can be told."""
    start = 0.5 - 0.01 * seed
    return start - (0.1 + 0.05 * (rule == "sam")) * signal * steps / 20 + 0.0001 * dim * steps / 20


def trajectory(rule, signal, dim, seed, end="ok", **values):
    run = make_run(
        RULES[rule], seed=seed, data__signal_norm=signal, data__dim=dim, data__flip_prob=0.0, data__n_samples=8
    )
    told = {"train_loss": 0.7 * 0.8**STEPS, "test_error": error(rule, signal, dim, seed)}
    told |= {"noise_coef_pos_mean": 0.1 * STEPS + seed, EVIL: np.full(len(STEPS), 1.0 + seed)}
    return Trajectory(run, end, f"ended {end}", 20, STEPS, told | values)


def small_store(path, *, axes=2, evil=True):
    """Write the store: one run diverges at the last cell, another fails; with fewer axes only some of its cells."""
    signals, dims = SIGNALS if axes else SIGNALS[:1], DIMS if axes > 1 else DIMS[:1]
    kept = [(r, s, d, seed) for r in RULES for s in signals for d in dims for seed in SEEDS]
    lost = {("sgd", 3.0, 600, 0): "diverged", ("sam", 3.0, 600, 1): "failed"}
    made = [trajectory(*key, end=lost.get(key, "ok")) for key in kept if lost.get(key) != "failed"]
    failed = [trajectory(*key).run for key in kept if lost.get(key) == "failed"]
    store = Store.create(path, "test")
    config = {
        "name": EVIL if evil else "small",
        "data": {"dim": 60},
        "sweep": {"seed": [0]},
        "path": "configs/small.yaml",
    }
    store.add_plan([t.run.run_id for t in made] + [run.run_id for run in failed], json.dumps(config))
    store.add_part(rows(made), FOOTER)
    if failed:
        store.add_part(failed_rows(failed, f"ValueError: bad value 3.1 {EVIL} (rules.py:7)"), FOOTER)
    return store
