"""From runs to trajectories: draws, engine and loop of a block.

A block of runs of equal shape is trained in one batch. A run's numbers depend on its own seed only: its draws and
mini-batches come from its own streams, products and decompositions are computed run by run (linalg.py), and a block is
padded with copies to one lane, or to whole vector registers, because torch may round the remainder of a tensor
differently from the rest (independence.py checks this on the present machine).
"""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from featlearn.custom import is_own
from featlearn.devices import chosen_device
from featlearn.engines.explicit.engine import WeightEngine
from featlearn.engines.explicit.landscape import LandscapeEngine
from featlearn.engines.problem import Problem, make_problem
from featlearn.engines.protocol import Engine, Vector
from featlearn.engines.span.engine import GramEngine
from featlearn.environment import fresh_environment
from featlearn.geometry import Draw, draw_run, stacked
from featlearn.independence import LEAST, check_independence
from featlearn.law import draw, merged, structure
from featlearn.loop import MiniBatches, Outcome, train
from featlearn.loop.state import ENDS
from featlearn.models import Landscape
from featlearn.models.landscape import SMALL
from featlearn.optim import shape, stack
from featlearn.runs import RunConfig, Status, Train, Trajectory

LANES = {"cpu": {"gram": 128, "weights": 1}, "cuda": {"gram": 2**16, "weights": 1}}
PATHS = 8192  # runs of a block on a landscape, at most: there calls cost more than arithmetic
NUMBERS = {"cpu": 2**22, "cuda": 2**29}


def simulate(config: Any, *, device: str = "auto") -> Trajectory:
    """Simulate one run: a RunConfig, or the base of a config from ``load_config`` (its sweep is ignored).

    device: cpu, cuda, or auto: cuda where available. Raises TypeError for anything but a config, and ValueError for a
    device that is not available.
    """
    if not isinstance(config, RunConfig) and not hasattr(config, "base_run"):
        raise TypeError(f"expected a RunConfig, or what load_config returns; found {config!r}")
    run = config if isinstance(config, RunConfig) else config.base_run()
    return simulate_block([run], device=chosen_device(device))[0]


def simulate_block(runs: Sequence[RunConfig], *, device: str = "cpu", full: bool = True) -> list[Trajectory]:
    """Simulate runs of one ``block_key``, at most ``lanes`` of them, each as if it were alone.

    full: fill all lanes, so that blocks of a sweep have few shapes; else only whole vector registers, for an answer
    sooner. The numbers are the same.
    """
    padded = [*runs, *[runs[-1]] * (_padded(runs[0], len(runs), device, full) - len(runs))]
    outcome, _ = train_block(Block.of(padded), device)
    return trajectories(runs, outcome)


def simulate_seeds(run: RunConfig, seeds: Sequence[int] | np.ndarray, *, device: str = "cpu") -> dict[str, np.ndarray]:
    """Simulate ``run`` with any number of seeds, block by block, and return arrays, without an object per seed.

    seed, status, stopped_step [b]; step and the trackers' columns [b, r], one for each recorded step. The rows of a run
    that has stopped repeat its last one.
    """
    size, parts = lanes(run, device), []
    for start in range(0, len(seeds), size):
        own = np.asarray(seeds[start : start + size], dtype=np.int64)
        padded = np.concatenate([own, np.repeat(own[-1:], _padded(run, len(own), device) - len(own))])
        outcome, _ = train_block(Block.repeated(run, padded), device)
        columns = {"status": np.array(ENDS)[outcome.end], "stopped_step": outcome.stopped, "step": outcome.steps}
        parts.append({"seed": own, **{name: c[: len(own)] for name, c in (columns | outcome.values).items()}})
    most = max(part["step"].shape[1] for part in parts)  # a block that stops early has fewer rows
    alone = ("seed", "status", "stopped_step")
    by_row = {name: c.shape[2:] for part in parts for name, c in part.items() if name not in alone}
    for part in parts:
        rows = np.minimum(np.arange(most), part["step"].shape[1] - 1)
        lacking = {name: np.full((*part["step"].shape, *shape), np.nan) for name, shape in by_row.items()}
        part |= {name: part.get(name, lacking[name])[:, rows] for name in by_row}  # first written in a later block
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def lanes(run: RunConfig, device: str = "cpu") -> int:
    """Return how many runs make a full block, by the engine and shape of ``run`` and the kind of device alone.

    A power of two. Wide networks and large sets get fewer, where a block's arrays would outgrow 2^22 numbers, 2^29 on a
    GPU: half, down to LEAST, or 1. Landscapes get up to PATHS, as many as 2^18 numbers hold.
    """
    if isinstance(run.network, Landscape):
        numbers = run.data.n_samples * run.network.n_parameters(run.data)
        return min(max(LEAST, 1 << (2**18 // numbers).bit_length() - 1), PATHS) if numbers <= SMALL else 1
    f, k = run.network.n_neurons(run.data), run.data.n_common + run.data.frame.n_noises
    most = NUMBERS[device] // (k * k + f * f + 8 * f * k)  # Gram matrices, and the coefficients of a step
    size = LANES[device][run.engine]
    while size > max(most, LEAST):
        size //= 2
    return size if size <= most else 1


def _padded(run: RunConfig, n_runs: int, device: str, full: bool = True) -> int:
    """Return how many lanes a block of so many runs has: those of a full one, or for a landscape, or if the block need
    not be full, a multiple of LEAST.
    """
    if full and not isinstance(run.network, Landscape):
        return lanes(run, device)
    return min(lanes(run, device), -(-n_runs // LEAST) * LEAST)


def block_key(run: RunConfig) -> Hashable:
    """Return what runs must share to be simulated in one block: everything but seed, theory and real numbers.

    Real numbers of data, network and rule may differ, and in the Gram engine also the dimension.
    """
    shared = vars(run.setting)
    if "block_key" not in shared:
        shared["block_key"] = _block_key(run)
    key: Hashable = shared["block_key"]
    return key


def _block_key(run: RunConfig) -> Hashable:
    rest = (_shape(run.optimizer), run.train, run.record, run.engine, run.sampling, run.dtype)
    if isinstance(run.network, Landscape):
        return (_shape(run.data), _shape(run.network), *rest)
    dim = None if run.engine == "gram" else run.data.dim
    return (dim, _data_shape(run.data), _network_shape(run.network), *rest)


@lru_cache(maxsize=4096)  # the runs of a sweep share their sections
def _data_shape(data: Any) -> Hashable:
    """Return what the data models of a block share: all but their real numbers, in parameters, frame and population."""
    own = shape(replace(data, dim=2) if type(data.dim) is int else data)
    return own, structure(data.frame), structure(data.population())


@lru_cache(maxsize=4096)
def _network_shape(network: Any) -> Hashable:
    return shape(replace(network, init_std=0.0))


@lru_cache(maxsize=4096)
def _shape(part: Any) -> Hashable:
    return shape(part)


@dataclass(frozen=True)
class Block:
    """Runs to be computed together: run i has the seed ``seeds[i]`` and the setting ``settings[which[i]]``."""

    settings: Sequence[RunConfig]
    which: np.ndarray
    seeds: np.ndarray

    @classmethod
    def of(cls, runs: Sequence[RunConfig]) -> Block:
        """Make a block of any runs of one ``block_key``."""
        return cls(runs, np.arange(len(runs)), np.array([run.seed for run in runs], dtype=np.int64))

    @classmethod
    def repeated(cls, run: RunConfig, seeds: np.ndarray) -> Block:
        """Make a block of one run with other seeds."""
        return cls([run], np.zeros(len(seeds), dtype=np.int64), seeds)

    def column(self, values: Sequence[float]) -> Tensor:
        """Return a number of every setting as one of every run, [b], in float64."""
        return torch.as_tensor(np.array(values, dtype=np.float64)[self.which])

    def rule(self, like: Tensor) -> Any:
        """Return the optimizers merged into one, their numbers as tensors [b] of the kind of ``like``."""
        return stack([run.optimizer for run in self.settings], lambda values: self.column(values).to(like))


def train_block(block: Block, device: str) -> tuple[Outcome, Vector]:
    """Draw, train and record a block; return also the final parameters."""
    with fresh_environment():
        check_independence(device)
        engine, first = _engine(block, device), block.settings[0]
        batches = MiniBatches.of(first.train, engine)
        return train(engine, block.rule(engine.labels), batches.losses(engine), first.train, first.record)


def build_engine(runs: Sequence[RunConfig], device: str) -> Engine:
    """Draw the runs, each from its own seed, and build the engine of their config."""
    return _engine(Block.of(runs), device)


def _engine(block: Block, device: str) -> Engine:
    first, dtype = block.settings[0], getattr(torch, block.settings[0].dtype)
    if isinstance(first.network, Landscape):
        runs = [block.settings[i] for i in block.which]
        models, datas = [run.network for run in runs], [run.data for run in runs]
        return LandscapeEngine(models, datas, block.seeds.tolist(), dtype=dtype, device=device)
    seeds, pairs = torch.as_tensor(block.seeds).to(device), [(run.data, run.network) for run in block.settings]
    if first.sampling == "gram":
        return _gram_engine(_problem(block, draw(pairs, block.which, seeds), seeds))
    laid_out = first.engine == "weights"
    drawn = _drawn_vectors(pairs, block, keep=laid_out)
    problem = _problem(block, drawn, seeds)
    return WeightEngine(problem, drawn) if laid_out else _gram_engine(problem)


def _drawn_vectors(pairs: Sequence[tuple[Any, Any]], block: Block, *, keep: bool) -> Draw:
    """Draw vectors, run by run, equal draws once."""
    keys = [(*pairs[i], int(seed)) for i, seed in zip(block.which, block.seeds, strict=True)]
    drawn = {key: draw_run(*key, keep=keep) for key in dict.fromkeys(keys)}
    together: Draw = stacked([drawn[key] for key in keys])
    return together


def _problem(block: Block, drawn: Draw, seeds: Tensor) -> Problem:
    first, datas = block.settings[0], [run.data for run in block.settings]
    dtype = getattr(torch, first.dtype)

    def column(values: Sequence[float]) -> Tensor:
        return block.column(values).to(seeds.device)

    sizes = [run.network.n_parameters(run.data) for run in block.settings]
    numbers = {"flip_prob": column([data.flip_prob for data in datas]), "n_parameters": column(sizes)}
    frame, population = merged([data.frame for data in datas], column), merged([d.population() for d in datas], column)
    return make_problem(drawn, seeds, first.data, first.network, frame, population, numbers, dtype=dtype)


def _gram_engine(problem: Problem) -> GramEngine:
    """Return the engine compiled for the device, or the plain one where that is not available for the shape."""
    try:
        if problem.seeds.is_cuda:
            from featlearn.engines.gpu.engine import GPUGramEngine, fits

            if is_own(problem.activation.name) or is_own(problem.loss.name):
                warnings.warn("your own activation or loss is in no kernel: torch computes on the GPU", stacklevel=2)
            return GPUGramEngine(problem) if fits(problem) else GramEngine(problem)
        from featlearn.engines.cpu.engine import CPUGramEngine
    except ModuleNotFoundError:  # no numba, no Triton
        return GramEngine(problem)
    return CPUGramEngine(problem)


def trajectories(runs: Sequence[RunConfig], outcome: Outcome) -> list[Trajectory]:
    """Return the rows of each run; a run that has stopped has no further rows."""
    out = []
    for lane, run in enumerate(runs):
        end, stopped = ENDS[outcome.end[lane]], int(outcome.stopped[lane])
        kept: Any = slice(None)
        if end != "ok":
            kept = np.unique(outcome.steps[lane], return_index=True)[1]
        values = {name: column[lane][kept] for name, column in outcome.values.items()}
        out.append(Trajectory(run, end, _sentence(end, stopped, run.train), stopped, outcome.steps[lane][kept], values))
    return out


def _sentence(end: Status, step: int, schedule: Train) -> str:
    """Return how a run ended, frozen after ``step`` steps, as a sentence."""
    levels = [name for name in ("stop_at_train_loss", "stop_at_train_error") if vars(schedule)[name] is not None]
    sentences = {
        "ok": f"took all {step} steps",
        "fitted": f"reached {' or '.join(levels)} after {step} steps",
        "diverged": f"step {step + 1} gave parameters that are not finite; frozen at those after step {step}",
    }
    return sentences[end]
