"""Small runs for tests, and the trajectory of a block's parameters."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from featlearn.data import SignalNoise
from featlearn.models.two_layer_cnn import TwoLayerCNN
from featlearn.optim import SAM, SGD
from featlearn.runs import Record, RunConfig, Train
from featlearn.trackers import TRACKERS

ALL_TRACKERS = tuple(cls() for cls in TRACKERS.values())
RULES = {
    "sgd": SGD(lr=0.1),
    "sgd momentum": SGD(lr=0.05, momentum=0.9),
    "sgd nesterov, decay": SGD(lr=0.05, momentum=0.8, nesterov=True, weight_decay=0.02),
    "sam": SAM(rho=0.1, base=SGD(lr=0.1)),
    "sam window": SAM(rho=0.2, start=5, stop=60, base=SGD(lr=0.1)),
    "sam momentum, decay": SAM(rho=0.1, base=SGD(lr=0.05, momentum=0.9, weight_decay=0.02)),
}


def make_run(optimizer: Any = RULES["sgd"], **changes: Any) -> RunConfig:
    """A small resolved run; dotted changes such as data__dim=50 go to the section's object."""
    run = RunConfig(
        name="test",
        seed=0,
        engine="gram",
        sampling="vectors",
        dtype="float64",
        data=SignalNoise(n_samples=8, dim=60, signal_norm=2.0),
        network=TwoLayerCNN(n_filters=3, init_std=0.05),
        optimizer=optimizer,
        train=Train(n_steps=20, batch_size=8),
        record=Record(steps=(0, 10, 20), trackers=ALL_TRACKERS),
    )
    for key, value in changes.items():
        if "__" not in key:
            run = replace(run, **{key: value})
            continue
        section, name = key.split("__")
        run = replace(run, **{section: replace(getattr(run, section), **{name: value})})
    return run


def with_steps(run: RunConfig, n_steps: int, *, batch_size: int | None = None) -> RunConfig:
    """The run with another length, recorded at its ends."""
    size = run.train.batch_size if batch_size is None else batch_size
    return replace(
        run,
        train=replace(run.train, n_steps=n_steps, batch_size=size),
        record=replace(run.record, steps=(0, n_steps)),
    )
