"""The one loop: it alone knows engine, rule and trackers together.

A block of runs of equal shape is trained in one batch. A run's numbers depend on its own seed only: its draws and
mini-batches come from its own streams, and a block always has the same number of lanes, padded with copies, because
the rounding of a batched product may depend on the size of the batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import count
from typing import Any

import numpy as np
import torch
from torch import Tensor

from featlearn.engines.gram import GramEngine
from featlearn.engines.landscape import LandscapeEngine
from featlearn.engines.problem import Problem, stack_problem
from featlearn.engines.protocol import Engine, Loss, Rule, Scalar, Vector, View, batch_weights
from featlearn.engines.weights import WeightEngine
from featlearn.geometry import draw_run
from featlearn.models import Landscape
from featlearn.optim import shape, stack
from featlearn.runs import RunConfig, Status, Trajectory
from featlearn.streams import stream
from featlearn.threads import one_thread

LANES = {"gram": 128, "weights": 1}
LANDSCAPE_LANES, SMALL = 32, 2**14  # a landscape of few samples times parameters costs its calls, not its arithmetic


def simulate(config: Any, *, device: str = "cpu") -> Trajectory:
    """Simulate one run: a RunConfig, or the base of a config from ``load_config`` (its sweep left aside)."""
    run = config if isinstance(config, RunConfig) else config.base_run()
    return simulate_block([run], device=device)[0]


def lanes(run: RunConfig) -> int:
    """Return how many runs make a full block, by the engine and shape of ``run`` alone.

    Wide networks and large sets get fewer, where a block's arrays would outgrow 2^22 numbers: half, down to 8, or 1.
    """
    if isinstance(run.network, Landscape):
        return LANDSCAPE_LANES if run.data.n_samples * run.network.n_parameters(run.data) <= SMALL else 1
    f, k = 2 * run.network.n_filters, 1 + run.data.n_noises + run.network.bias
    most = 2**22 // (k * k + f * f + 8 * f * k)  # Gram matrices, and what a step keeps of the filters' coefficients
    size = LANES[run.engine]
    while size > max(most, 8):
        size //= 2
    return size if size <= most else 1


def block_key(run: RunConfig) -> Hashable:
    """Return what runs must share to be simulated in one block: everything but seed, theory and real numbers.

    Real numbers of data, network and rule may differ, and in the Gram engine the dimension too.
    """
    rest = (_shape(run.optimizer), run.train, run.record, run.engine, run.sampling, run.dtype)
    if isinstance(run.network, Landscape):
        return (_shape(run.data), _shape(run.network), *rest)
    dim = None if run.engine == "gram" else run.data.dim
    return (dim, _data_shape(run.data), _network_shape(run.network), *rest)


@lru_cache(maxsize=4096)  # the runs of a sweep share their sections
def _data_shape(data: Any) -> Hashable:
    return shape(replace(data, dim=2, signal_norm=data.strength, snr=None))


@lru_cache(maxsize=4096)
def _network_shape(network: Any) -> Hashable:
    return shape(replace(network, init_std=0.0))


@lru_cache(maxsize=4096)
def _shape(part: Any) -> Hashable:
    return shape(part)


def simulate_block(runs: Sequence[RunConfig], *, device: str = "cpu") -> list[Trajectory]:
    """Simulate runs of one ``block_key``, at most ``lanes`` of them, each as if it were alone."""
    padded = [*runs, *[runs[-1]] * (lanes(runs[0]) - len(runs))]
    with one_thread():
        return train(build_engine(padded, device), padded)[0][: len(runs)]


def build_engine(runs: Sequence[RunConfig], device: str) -> Engine:
    """Draw the runs, each from its own seed (equal ones once), and give them to the engine they ask for."""
    dtype = getattr(torch, runs[0].dtype)
    if isinstance(runs[0].network, Landscape):
        models, datas, seeds = ([getattr(run, part) for run in runs] for part in ("network", "data", "seed"))
        return LandscapeEngine(models, datas, seeds, dtype=dtype, device=device)
    explicit, laid_out = runs[0].sampling == "vectors", runs[0].engine == "weights"
    drawn = {run.run_id: draw_run(run.data, run.network, run.seed, explicit=explicit, patches=laid_out) for run in runs}
    draws = [drawn[run.run_id] for run in runs]
    problem = stack_problem(
        draws,
        [run.data for run in runs],
        runs[0].network,
        [run.seed for run in runs],
        dtype=dtype,
        device=device,
    )
    if laid_out:
        return WeightEngine(problem, draws)
    return GramEngine(problem) if device != "cpu" else _fused(problem)


def _fused(problem: Problem) -> GramEngine:
    """Return the fused CPU engine, or its plain twin where numba is not installed."""
    try:
        from featlearn.engines.fused import FusedGramEngine
    except ModuleNotFoundError:
        return GramEngine(problem)
    return FusedGramEngine(problem)


class MiniBatches:
    """The mini-batches of every step.

    Each epoch shuffles the samples of a run by its own stream and cuts them into batches; the last one is smaller
    where batch_size does not divide n_samples. A full batch draws nothing.
    """

    def __init__(self, runs: Sequence[RunConfig], like: Tensor) -> None:
        self._n, self._size = runs[0].data.n_samples, runs[0].train.batch_size
        self._seeds = [run.seed for run in runs]
        self._like = like

    def indices(self) -> Iterator[np.ndarray]:
        """Yield the samples [b, size] of the batch of each step, for ever."""
        streams = [stream(seed, "batches") for seed in self._seeds]
        while True:
            order = np.stack([rng.permutation(self._n) for rng in streams])
            for start in range(0, self._n, self._size):
                yield order[:, start : start + self._size]

    def losses(self, engine: Engine) -> Iterator[Loss]:
        """Yield the loss on the batch of each step, for ever."""
        if self._size == self._n:
            full = torch.full_like(self._like, 1 / self._n)
            for t in count():
                yield Loss(engine, full, step=t)
        for t, chosen in enumerate(self.indices()):
            samples = torch.as_tensor(chosen).to(self._like.device)
            yield Loss(engine, batch_weights(samples, self._like), samples, t)


def train(engine: Engine, runs: Sequence[RunConfig]) -> tuple[list[Trajectory], Vector]:
    """Train the block that ``engine`` was built for, recording on the way; return also the final parameters.

    A run that has fitted or diverged keeps its parameters from then on.
    """
    rule = stack([run.optimizer for run in runs], engine.labels.new_tensor)
    batches = MiniBatches(runs, engine.labels)
    level, record = runs[0].train.stop_at_train_loss, runs[0].record
    due, last = set(record.steps), runs[0].train.n_steps
    w = engine.initial()
    memory = rule.init(w)
    fate = Fate(engine.labels, last)
    prospect: Prospect | None = None
    recorder = Recorder(record.trackers)
    for t, loss in zip(range(last + 1), batches.losses(engine), strict=False):
        moving = fate.active
        if level is not None:
            fate.stop(engine.losses(w).mean(1) <= level, t, "fitted")
        over = t == last or not fate.any_active()
        if over or t in due:
            prospect = Prospect.of(rule, loss, w, memory, t).where(moving, prospect)
            recorder.record(observe(engine, w, t, prospect), fate.last_step(t))
        if over:
            break
        moved, remembered = rule.step(loss, w, memory, t)
        fate.stop(~moved.finite(), t, "diverged")
        if (moving & ~fate.active).any():
            prospect = Prospect.of(rule, loss, w, memory, t).where(moving, prospect)
        memory = remembered
        w = moved if fate.all_active() else moved.where(fate.active, w)
    return [_trajectory(run, lane, fate, recorder) for lane, run in enumerate(runs)], w


@dataclass(frozen=True)
class Prospect:
    """What a rule is about to do: where it takes its gradient, the mini-batch [b, n], its radius and its rate [b].

    A run that has stopped keeps the prospect of its last step, so that it does not matter when it is recorded.
    """

    rule: Rule
    probe: Vector
    batch: Tensor
    radius: Tensor
    rate: Tensor

    @classmethod
    def of(cls, rule: Rule, loss: Loss, w: Vector, memory: Any, t: int) -> Prospect:
        """Look ahead at step t, from w."""
        none = loss.batch.new_zeros(len(loss.batch))
        return cls(rule, rule.probe(loss, w, memory, t), loss.batch, none + _radius(rule, t), none + _rate(rule, t))

    def where(self, keep: Tensor, other: Prospect | None) -> Prospect:
        """Return self in the runs where ``keep`` [b] is true, other (if any) elsewhere."""
        if other is None:
            return self
        batch = torch.where(keep[:, None], self.batch, other.batch)
        radius, rate = torch.where(keep, self.radius, other.radius), torch.where(keep, self.rate, other.rate)
        return Prospect(self.rule, self.probe.where(keep, other.probe), batch, radius, rate)


def _radius(rule: Any, t: int) -> Scalar:
    """Return the radius of the rule's perturbation at step t, 0 where it perturbs nothing."""
    return rule.radius(t) if hasattr(rule, "radius") and rule.active(t) else 0.0


def _rate(rule: Any, t: int) -> Scalar:
    """Return the learning rate of step t, that of the base where the rule wraps one; NaN for a rule that has none."""
    rate: Scalar = getattr(rule, "base", rule).rate(t) if hasattr(getattr(rule, "base", rule), "rate") else math.nan
    return rate


def observe(engine: Engine, w: Vector, step: int, prospect: Prospect) -> View:
    """Describe the point w after ``step`` steps to the trackers."""
    gradient = engine.gradient(w, torch.full_like(prospect.batch, 1 / prospect.batch.shape[1]))
    norm = engine.inner(gradient, gradient).clamp(min=0).sqrt()
    ahead = {name: getattr(prospect, name) for name in ("batch", "rule", "radius", "rate")}
    return engine.view(w, prospect.probe, engine=engine, step=step, grad_norm=norm, **ahead)


class Fate:
    """Which runs of a block still move, and how the others ended."""

    _ENDS: tuple[Status, ...] = ("ok", "fitted", "diverged")

    def __init__(self, like: Tensor, n_steps: int) -> None:
        self.active = torch.ones(len(like), dtype=torch.bool, device=like.device)
        self._stopped = torch.full_like(self.active, n_steps, dtype=torch.int64)
        self._end = torch.zeros_like(self._stopped)

    def stop(self, which: Tensor, step: int, end: Status) -> None:
        """Stop the runs in ``which`` [b] that still move, their parameters being those after ``step`` steps."""
        which = which & self.active
        self._stopped[which] = step
        self._end[which] = self._ENDS.index(end)
        self.active = self.active & ~which

    def all_active(self) -> bool:
        """Whether every run still moves."""
        return bool(self.active.all())

    def any_active(self) -> bool:
        """Whether any run still moves."""
        return bool(self.active.any())

    def last_step(self, step: int) -> np.ndarray:
        """Return [b], how many steps each run's parameters have taken when the loop has taken ``step``."""
        return self._stopped.clamp(max=step).cpu().numpy()

    def sentence(self, lane: int) -> tuple[Status, str, int]:
        """Return how a run ended, in a word and in a sentence, and the step after which it was frozen."""
        end, step = self._ENDS[int(self._end[lane])], int(self._stopped[lane])
        sentences = {
            "ok": f"took all {step} steps",
            "fitted": f"reached stop_at_train_loss after {step} steps",
            "diverged": f"step {step + 1} gave parameters that are not finite; frozen at those after step {step}",
        }
        return end, sentences[end], step


class Recorder:
    """Rows of a block: what the trackers say, with the step that each run had reached."""

    def __init__(self, trackers: Sequence[Callable[[View], dict[str, Tensor]]]) -> None:
        self._trackers = trackers
        self._steps: list[np.ndarray] = []
        self._rows: list[dict[str, np.ndarray]] = []

    def record(self, view: View, steps: np.ndarray) -> None:
        """Append a row for every run; ``steps`` [b] as from Fate.last_step."""
        columns = {name: column for tracker in self._trackers for name, column in tracker(view).items()}
        self._steps.append(steps)
        self._rows.append({name: column.cpu().numpy() for name, column in columns.items()})

    def rows(self, lane: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return the steps and columns of one run; a run that has stopped is not recorded again."""
        steps, kept = np.unique([steps[lane] for steps in self._steps], return_index=True)
        return steps, {name: np.stack([self._rows[i][name][lane] for i in kept]) for name in self._rows[0]}


def _trajectory(run: RunConfig, lane: int, fate: Fate, recorder: Recorder) -> Trajectory:
    end, sentence, stopped = fate.sentence(lane)
    return Trajectory(run, end, sentence, stopped, *recorder.rows(lane))
