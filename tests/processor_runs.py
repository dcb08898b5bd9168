"""Runs this file's settings and prints their columns as JSON: for test_processors.py, in a process of its own."""

import json
import sys
from dataclasses import replace

from helpers import ALL_TRACKERS, RULES, make_run

from featlearn.data import DATA, XOR
from featlearn.runs import Record, Train
from featlearn.simulation import simulate

NAMES = ("sgd momentum", "sam", "looksam window", "sam around muon", "msam")
MODELS = {"spurious": {}, "margins": {"signal_norm": 2.0}, "multi_view": {"signal_norm": 2.0}, "oscillation": {}}


def found(engine: str) -> dict[str, list[float]]:
    """Return every column of the runs."""
    columns = {}
    for name in NAMES:
        run = make_run(
            RULES[name],
            engine=engine,
            data=XOR(n_samples=8, dim=40, signal_norm=2.0, angle=70.0, flip_prob=0.2),
            network__activation="softplus",
            network__init_std=0.1,
            network__bias=True,
        )
        run = replace(
            run, train=Train(n_steps=60, batch_size=3), record=Record(steps=(0, 20, 60), trackers=ALL_TRACKERS)
        )
        values = simulate(run).values
        columns |= {f"{name} {key}": values[key].ravel().tolist() for key in values}
    for model, settings in MODELS.items():
        run = make_run(
            RULES["sam"], engine=engine, data=DATA[model](n_samples=8, dim=40, **settings), network__init_std=0.1
        )
        run = replace(
            run, train=Train(n_steps=60, batch_size=3), record=Record(steps=(0, 20, 60), trackers=ALL_TRACKERS)
        )
        values = simulate(run).values
        columns |= {f"{model} {key}": values[key].ravel().tolist() for key in values}
    return columns


if __name__ == "__main__":
    print(json.dumps(found(sys.argv[1])))
