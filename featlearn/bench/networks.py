"""The networks that are timed, scaled so that training is the same in every dimension, with nonzero test error."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from featlearn.data import SignalNoise
from featlearn.models.two_layer_cnn import TwoLayerCNN
from featlearn.optim import SAM, SGD
from featlearn.runs import Record, RunConfig, Train
from featlearn.simulation import lanes, simulate_block
from featlearn.trackers import TestError

DType = Literal["float32", "float64"]
RULES = ("sgd", "sam")


def network(
    rule: str = "sam",
    *,
    dim: int = 20_000,
    n_samples: int = 20,
    n_filters: int = 10,
    n_steps: int = 100,
    n_tests: int = 10,
    dtype: DType = "float64",
) -> RunConfig:
    """Return a run that records its test error at ``n_tests`` equally spaced steps, and nothing if that is 0.

    The noise norm grows as sqrt(dim), and so does the signal norm here; init_std and rho fall as 1 / sqrt(dim), and lr
    as 1 / dim.
    """
    ratio = dim / 1000
    sgd = SGD(lr=0.01 / ratio)
    return RunConfig(
        name="bench",
        seed=0,
        engine="gram",
        sampling="gram",
        dtype=dtype,
        data=SignalNoise(n_samples=n_samples, dim=dim, signal_norm=0.7 * ratio**0.5),
        network=TwoLayerCNN(n_filters=n_filters, init_std=0.001 / ratio**0.5),
        optimizer=SAM(rho=0.03 / ratio**0.5, base=sgd) if rule == "sam" else sgd,
        train=Train(n_steps=n_steps, batch_size=n_samples),
        record=Record(
            steps=tuple(n_steps * (i + 1) // n_tests for i in range(n_tests)) or (n_steps,),
            trackers=(TestError(),) if n_tests else (),
        ),
    )


def block(run: RunConfig, number: int, device: str = "cpu") -> list[RunConfig]:
    """Return the full block ``number``: copies of ``run`` with different seeds."""
    return [replace(run, seed=seed) for seed in seeds(run, number, device)]


def seeds(run: RunConfig, number: int, device: str) -> range:
    """Return the seeds of the full block ``number``."""
    size = lanes(run, device)
    return range(number * size, (number + 1) * size)


def compute(run: RunConfig, device: str, number: int) -> None:
    """Simulate the block ``number``."""
    simulate_block(block(run, number, device), device=device)
