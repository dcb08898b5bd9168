"""Wall time of SDE paths through a sweep with two jobs, store and all: ``python tests/benchmarks/sde_paths.py``.

Not collected by the suite. 10,000 paths in two dimensions, 1000 steps; 1000 paths of the CNN at d = 1e9, 100 steps;
k = 8 substeps in a step.
"""

import shutil
import tempfile
import time
from pathlib import Path

import featlearn as fl

QUADRATIC = {"model": "quadratic", "spectrum": [1.0, 3.0], "start": [1.0, 1.0]}
SADDLE = {"model": "saddle", "spectrum": [-1.0, 2.0], "init_std": 0.3}
LIMIT = {"dynamics": "sde", "substeps": 8}


def two_parameters(network, rule, lr, n_paths=10_000, n_steps=1000):
    """Paths of a landscape with Gaussian gradient noise."""
    return {
        "data": "none",
        "network": network,
        "optimizer": {"name": rule, "lr": lr, "rho": 0.1, **LIMIT},
        "train": {"n_steps": n_steps, "gradient_noise": 0.3},
        "record": {"every": n_steps, "trackers": ["loss"]},
        "sweep": {"seed": {"range": [0, n_paths]}},
    }


def cnn(n_paths=1000, n_steps=100):
    """Paths of SAM on mini-batches of the signal-noise CNN."""
    return {
        "data": {"n_samples": 20, "dim": 10**9, "snr": 0.1},
        "network": {"n_filters": 10, "init_std": {"theory": 1}},
        "optimizer": {"name": "sam", "lr": 1e-7, "rho": {"theory": 1}, **LIMIT},
        "train": {"n_steps": n_steps, "batch_size": 5, "batch_sampling": "without_replacement"},
        "record": {"every": n_steps, "trackers": ["loss"]},
        "sweep": {"seed": {"range": [0, n_paths]}},
    }


def seconds(config):
    """Return the wall time of a sweep into a new store."""
    store = Path(tempfile.mkdtemp()) / "store"
    began = time.monotonic()
    fl.sweep(config, store, n_jobs=2, progress=False)
    taken = time.monotonic() - began
    shutil.rmtree(store.parent)
    return taken


def main():
    """Measure each problem three times, after a short sweep that compiles and starts the processes."""
    problems = {
        "USAM, quadratic": lambda **size: two_parameters(QUADRATIC, "usam", 0.1, **size),
        "SAM, quadratic": lambda **size: two_parameters(QUADRATIC, "sam", 0.1, **size),
        "USAM, saddle": lambda **size: two_parameters(SADDLE, "usam", 0.002, **size),
        "SAM, CNN": cnn,
    }
    for name, config in problems.items():
        seconds(config(n_paths=256, n_steps=5))
        print(f"{name}: {', '.join(f'{seconds(config()):.1f}' for _ in range(3))} s", flush=True)


if __name__ == "__main__":
    main()
