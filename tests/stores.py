"""Small stores for tests."""

import numpy as np
from helpers import make_run

from featlearn.runs import Trajectory
from featlearn.store import Store, rows


def trajectory(seed, *, end="ok", steps=(0, 10, 20), columns=("train_loss",), **changes):
    run = make_run(seed=seed, **changes)
    values = {name: np.sqrt(seed + np.array(steps, float)) for name in columns}
    return Trajectory(run, end, f"ended {end}", steps[-1], np.array(steps), values)


def filled(path, *parts):
    """A store with one part for each list of trajectories, all of them planned in this order."""
    store = Store.create(path, "test")
    store.add_plan([t.run.run_id for part in parts for t in part], "{}")
    for part in parts:
        store.add_part(rows(part), {})
    return store
