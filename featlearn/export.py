"""One run as plain arrays, so that anyone can retrain it with their own code."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from featlearn.calls import loaded
from featlearn.engines.protocol import Engine
from featlearn.environment import fresh_environment
from featlearn.geometry import Draw, draw_run
from featlearn.loop import MiniBatches, train
from featlearn.models import Landscape
from featlearn.runs import RunConfig
from featlearn.simulation import build_engine, trajectories
from featlearn.trackers import Decomposition

MOST_NUMBERS = 2**30  # 8 GiB in float64


def export(config: Any, path: str | Path) -> dict[str, np.ndarray]:
    """Write the base run of ``config`` to an .npz file and return its arrays.

    config: a RunConfig, what ``load_config`` returns, the path of a YAML file, or its content as a mapping.

    patches [n, P, d], labels and true_labels [n], signal [d], noise [n_noises, d], init_weights and final_weights
    [2, m, d] (sign +1 first; with a bias also init_biases and final_biases [2, m]), batches [T, B] (the samples of
    each step that the weights took, in the order they were drawn in, which is that of mSAM's micro-batches; -1 where
    the last batch of an epoch is smaller), steps and every tracked column, signal_coef [2, m] and
    noise_coef [2, m, n_noises] at the end, config (JSON).

    The run is drawn from explicit vectors and trained in the weight engine, so the dimension must fit in memory. Where
    the config draws Gram matrices from their law (sampling: gram), this is another draw of the same law.

    Raises ValueError for another suffix, a missing folder, arrays above 8 GiB, or a dimension so low that the data
    vectors are dependent and the coefficients not unique.
    """
    run: RunConfig = config if isinstance(config, RunConfig) else loaded(config).base_run()
    _check(run, Path(path))
    run = replace(run, engine="weights", sampling="vectors")
    with fresh_environment():
        arrays: dict[str, Any] = {**_drawn(run), **_trained(run), "config": np.array(json.dumps(run.columns()))}
    with Path(path).open("wb") as file:
        np.savez_compressed(file, **arrays)
    return arrays


def _check(run: RunConfig, path: Path) -> None:
    """Raise ValueError, before anything is drawn, if the run cannot be exported."""
    if isinstance(run.network, Landscape):
        raise ValueError("network.model: an export holds patches and filters, which a landscape does not have")
    data, numbers = run.data, run.data.dim * (run.data.n_samples * run.data.n_patches + 6 * run.network.n_filters)
    if path.suffix != ".npz":
        raise ValueError(f"{path}: an export is an .npz file, not '{path.suffix}'")
    if not path.absolute().parent.is_dir():
        raise ValueError(f"{path}: there is no folder {path.absolute().parent}")
    if numbers > MOST_NUMBERS:
        raise ValueError(f"data.dim: {data.dim} makes an export of {8 * numbers / 2**30:.3g} GiB; at most 8 GiB")
    if data.dim <= data.n_noises:
        raise ValueError(
            f"data.dim: coefficients over {data.n_noises + 1} vectors are not unique in dimension {data.dim}"
        )


def _drawn(run: RunConfig) -> dict[str, np.ndarray]:
    draw: Draw = draw_run(run.data, run.network, run.seed, patches=True)
    assert draw.patches is not None and draw.vectors is not None
    return {
        "patches": draw.patches,
        "labels": draw.labels,
        "true_labels": draw.true_labels,
        "signal": draw.vectors[0],
        "noise": draw.vectors[1:],
    }


def _trained(run: RunConfig) -> dict[str, np.ndarray]:
    lists = Decomposition(per_filter=True, per_sample=True)
    trackers = (*[t for t in run.record.trackers if not isinstance(t, Decomposition)], lists)
    engine, record = build_engine([run], "cpu"), replace(run.record, trackers=trackers)
    outcome, final = train(engine, run.optimizer, _mini_batches(run, engine).losses(engine), run.train, record)
    (trajectory,) = trajectories([run], outcome)
    names = ("weights", "biases")[: len(final.leaves)]
    m, n_noises = run.network.n_filters, run.data.n_noises
    return {
        **{f"init_{name}": _by_sign(leaf) for name, leaf in zip(names, engine.initial().leaves, strict=True)},
        **{f"final_{name}": _by_sign(leaf) for name, leaf in zip(names, final.leaves, strict=True)},
        "batches": _batches(run, engine, trajectory.stopped_step),
        "steps": trajectory.steps,
        **trajectory.values,
        "signal_coef": trajectory.values["signal_coef"][-1].reshape(2, m),
        "noise_coef": trajectory.values["noise_coef"][-1].reshape(2, m, n_noises),
    }


def _by_sign(leaf: Tensor) -> np.ndarray:
    array: np.ndarray = leaf[0].cpu().numpy()
    return array.reshape(2, -1, *array.shape[1:])


def _mini_batches(run: RunConfig, engine: Engine) -> MiniBatches:
    return MiniBatches(engine.seeds, run.train.batch_size, engine.labels)


def _batches(run: RunConfig, engine: Engine, n_steps: int) -> np.ndarray:
    batches = np.full((n_steps, run.train.batch_size), -1)
    for row, chosen in zip(batches, islice(_mini_batches(run, engine).indices(), len(batches)), strict=True):
        row[: chosen.shape[1]] = chosen[0]
    return batches
