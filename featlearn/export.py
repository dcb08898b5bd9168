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
from featlearn.engines.protocol import Engine, Vector
from featlearn.environment import fresh_environment
from featlearn.geometry import Draw, draw_run
from featlearn.loop import MiniBatches, train
from featlearn.models import Landscape
from featlearn.outputs import clear, refuse_overwriting
from featlearn.runs import RunConfig
from featlearn.simulation import build_engine, trajectories
from featlearn.streams import stream
from featlearn.trackers import Decomposition

ENGINES = ("weights", "gram")
MOST_NUMBERS = 2**30  # 8 GiB in float64


def export(config: Any, path: str | Path, *, engine: Any = "weights", force: bool = False) -> dict[str, np.ndarray]:
    """Write the base run of ``config`` to an .npz file and return its arrays.

    config: a RunConfig, what ``load_config`` returns, the path of a YAML file, or its content as a mapping.
    engine: weights or gram; the one that trains the run.
    force: overwrite a file that is no export, and a link.

    patches [n, P, d] (those of a sample in random order), labels and true_labels [n] (+-1, or classes 0, ..., C - 1),
    signal [d] (S signals: [S, d]), noise [R, d], init_weights and final_weights [2, m, d] (sign +1 first; with the
    softmax [C, m, d]), with a bias also init_biases and final_biases [2, m], with a trained second layer also
    init_second and final_second [2, m, C] (of one output C = 1), batches [T, B] (the samples of each step taken, in
    the order in which they were drawn, also that of mSAM's micro-batches; a sample drawn twice stands twice; -1 where
    the last batch of an epoch is smaller), steps and every tracked column, signal_coef [2, m] (S signals: [S, 2, m])
    and noise_coef [2, m, R] at the end, config (JSON). With the engine gram also distinct_patches X [N, d] and the
    final coefficients alpha and coef C [f, N]: the final weights are alpha W0 + C X, and the biases alpha b0 + C 1.

    The run is drawn from explicit vectors, so the dimension must fit in memory. Where the config draws Gram matrices
    from their law (sampling: gram), this is another draw from the same law.

    Raises ValueError for another suffix or engine, a missing folder, a file in the way, arrays above 8 GiB, an engine
    that cannot run the rule, or a dimension too low for the data vectors to be independent, so that coefficients are
    not unique.
    """
    run: RunConfig = config if isinstance(config, RunConfig) else loaded(config).base_run()
    path = Path(path)
    _check(run, path, engine)
    if not force:
        refuse_overwriting(path, "export", lambda content: b"patches.npy" in content and b"config.npy" in content)
    run = replace(run, engine=engine, sampling="vectors")
    with fresh_environment():
        draw = draw_run(run.data, run.network, run.seed, keep=True)
        arrays = {**_drawn(run, draw), **_trained(run, draw), "config": np.array(json.dumps(run.columns()))}
    clear(path)
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)
    return arrays


def _check(run: RunConfig, path: Path, engine: str) -> None:
    """Raise ValueError, before anything is drawn, if the run cannot be exported."""
    if engine not in ENGINES:
        raise ValueError(f"engine: expected one of {', '.join(ENGINES)}; found {engine!r}")
    if isinstance(run.network, Landscape):
        raise ValueError("network.model: an export holds patches and filters, which a landscape does not have")
    if engine == "gram" and run.engine != "gram":
        raise ValueError("engine: the config needs the weights engine, so it has no coefficients to export")
    data, frame = run.data, run.data.frame
    vectors = len(frame.signals) + frame.n_noises
    numbers = data.dim * (data.n_samples * data.n_patches + 3 * run.network.n_neurons(data) + 2 * vectors)
    if path.suffix != ".npz":
        raise ValueError(f"{path}: an export is an .npz file, not '{path.suffix}'")
    if not path.absolute().parent.is_dir():
        raise ValueError(f"{path}: there is no folder {path.absolute().parent}")
    if numbers > MOST_NUMBERS:
        raise ValueError(f"data.dim: {data.dim} makes an export of {8 * numbers / 2**30:.3g} GiB; at most 8 GiB")
    if data.dim < vectors:
        raise ValueError(f"data.dim: coefficients over {vectors} vectors are not unique in dimension {data.dim}")


def _drawn(run: RunConfig, draw: Draw) -> dict[str, np.ndarray]:
    training = draw.training
    assert draw.patches is not None and draw.vectors is not None
    vectors, n_signals = draw.vectors[0].numpy(), len(run.data.frame.signals)
    return {
        "patches": draw.patches[0].numpy()[_places(run, training.shown[0].numpy())],
        "labels": training.labels[0].numpy(),
        "true_labels": training.true_labels[0].numpy(),
        "signal": vectors[0] if n_signals == 1 else vectors[:n_signals],
        "noise": vectors[n_signals:],
    }


def _places(run: RunConfig, shown: np.ndarray) -> np.ndarray:
    """Return the distinct patch of each sample at each position, [n, P]: its slots in random order."""
    places = shown.repeat([slot.times for slot in run.data.slots], 1)
    order = stream(run.seed, "positions").permuted(np.broadcast_to(np.arange(places.shape[1]), places.shape), axis=1)
    return np.take_along_axis(places, order, 1)


def _trained(run: RunConfig, draw: Draw) -> dict[str, Any]:
    lists = Decomposition(per_filter=True, per_sample=True)
    trackers = (*[t for t in run.record.trackers if not isinstance(t, Decomposition)], lists)
    engine, record = build_engine([run], "cpu"), replace(run.record, trackers=trackers)
    outcome, final = train(engine, run.optimizer, MiniBatches.of(run.train, engine).losses(engine), run.train, record)
    (trajectory,) = trajectories([run], outcome)
    m, groups = run.network.n_filters, run.network.n_neurons(run.data) // run.network.n_filters
    points = {"init": _parameters(run, draw, engine.initial()), "final": _parameters(run, draw, final)}
    shaped = {
        f"{when}_{name}": np.asarray(leaf).reshape(groups, m, *leaf.shape[1:])
        for when, leaves in points.items()
        for name, leaf in leaves.items()
    }
    signal = trajectory.values["signal_coef"][-1].reshape(-1, groups, m)
    return {
        **shaped,
        **(_coefficients(draw, final) if run.engine == "gram" else {}),
        "batches": _batches(run, engine, trajectory.stopped_step),
        "steps": trajectory.steps,
        **trajectory.values,
        "signal_coef": signal[0] if len(signal) == 1 else signal,
        "noise_coef": trajectory.values["noise_coef"][-1].reshape(groups, m, -1),
    }


def _parameters(run: RunConfig, draw: Draw, w: Vector) -> dict[str, Tensor]:
    """Return weights [f, d], biases [f] and second layer [f, C] at a point of either engine."""
    leaves, bias, trained = [leaf[0].double() for leaf in w.leaves], run.network.bias, run.network.second_layer
    if run.engine == "gram":
        alpha, coef, _, *second = leaves
        assert draw.weights is not None and draw.patches is not None
        leaves = [alpha * draw.weights[0] + coef @ draw.patches[0]]
        if draw.geometry.biases is not None:
            leaves.append(alpha * draw.geometry.biases[0] + coef.sum(1))
        leaves += second
    names = ["weights", *["biases"] * bias, *["second"] * (trained == "trained")]
    return dict(zip(names, leaves, strict=True))


def _coefficients(draw: Draw, w: Vector) -> dict[str, np.ndarray]:
    assert draw.patches is not None
    alpha, coef = (leaf[0].double().numpy() for leaf in w.leaves[:2])
    return {"alpha": alpha, "coef": coef, "distinct_patches": draw.patches[0].numpy()}


def _batches(run: RunConfig, engine: Engine, n_steps: int) -> np.ndarray:
    batches = np.full((n_steps, run.train.batch_size), -1)
    for row, chosen in zip(batches, islice(MiniBatches.of(run.train, engine).indices(), len(batches)), strict=True):
        row[: chosen.shape[1]] = chosen[0]
    return batches
