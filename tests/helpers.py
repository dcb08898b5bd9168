"""Small runs for tests, and the trajectory of a block's parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import torch
from hypothesis import settings

from featlearn.config.resolve import needs
from featlearn.data import DATA, SignalNoise
from featlearn.engines import ENGINES
from featlearn.engines.explicit.landscape import LandscapeEngine
from featlearn.engines.problem import Problem
from featlearn.engines.protocol import Engine, Loss, Vector, View
from featlearn.engines.tape import Program
from featlearn.geometry import Draw, draw_run, inner_products, patches_of
from featlearn.loop import MiniBatches, NextStep, State, Stepper
from featlearn.models import Landscape
from featlearn.models.two_layer_cnn import TwoLayerCNN
from featlearn.optim import (
    ASAM,
    DNSAM,
    EMASAM,
    FSAM,
    GSAM,
    MSAM,
    MUSAM,
    NSAM,
    NUSAM,
    SAM,
    SGD,
    USAM,
    WSAM,
    Adam,
    AdamW,
    ComponentSAM,
    ElementwiseASAM,
    LabelNoiseGD,
    LookSAM,
    MomentumSAM,
    Muon,
    RandomPerturbation,
    SAMPa,
    SignSGD,
    TorchOptim,
    VaSSO,
)
from featlearn.optim.schedules import Cosine, FollowLR
from featlearn.runs import Record, RunConfig, Train, Trajectory
from featlearn.simulation import Block, _problem, build_engine
from featlearn.trackers import TRACKERS

PROPERTY = settings(deadline=None, derandomize=True, max_examples=50)  # the same examples in every session
OF_DNSAM = "ignore:.*the SDE of DNSAM is inaccurate:featlearn.config.ConfigWarning"  # of the config that shows it
FEW = {"gradient_covariance": {"n_batches": 2}}  # of what takes long
ALL_TRACKERS = tuple(  # every tracker that the Gram engine serves for any rule
    cls(**FEW.get(word, {}))
    for word, cls in TRACKERS.items()
    if needs(cls) <= ENGINES["gram"] and not hasattr(cls, "edges")
)
QUICK_TRACKERS = (TRACKERS["loss"](), TRACKERS["decomposition"]())
RULES = {
    "sgd": SGD(lr=0.1),
    "sgd momentum": SGD(lr=0.05, momentum=0.9),
    "sgd nesterov, decay": SGD(lr=0.05, momentum=0.8, nesterov=True, weight_decay=0.02),
    "sam": SAM(rho=0.1, base=SGD(lr=0.1)),
    "sam window": SAM(rho=0.2, start=5, stop=60, base=SGD(lr=0.1)),
    "sam momentum, decay": SAM(rho=0.1, base=SGD(lr=0.05, momentum=0.9, weight_decay=0.02)),
    "sam, schedules": SAM(
        rho=0.1,
        rho_schedule=FollowLR(),
        base=SGD(lr=0.1, momentum=0.5, lr_schedule=Cosine(steps=200, warmup=8, final=0.1)),
    ),
    "usam": USAM(rho=0.02, base=SGD(lr=0.1)),
    "dnsam": DNSAM(rho=0.1, base=SGD(lr=0.1)),
    "n_sam": NSAM(rho=0.1, base=SGD(lr=0.1)),
    "n_usam": NUSAM(rho=0.02, base=SGD(lr=0.1)),
    "f_sam": FSAM(rho=0.1, lam=0.6, base=SGD(lr=0.1)),
    "f_sam updated, momentum": FSAM(rho=0.1, sigma=0.7, updated=True, base=SGD(lr=0.05, momentum=0.9)),
    "vasso": VaSSO(rho=0.1, theta=0.4, base=SGD(lr=0.1)),
    "ema_sam window": EMASAM(rho=0.1, batch_weight=0.7, ema_weight=0.5, start=5, stop=60, base=SGD(lr=0.1)),
    "component_sam full": ComponentSAM(rho=0.1, component="full", base=SGD(lr=0.1)),
    "component_sam noise": ComponentSAM(rho=0.1, component="noise", base=SGD(lr=0.1)),
    "component_sam orthogonal": ComponentSAM(rho=0.1, component="orthogonal", base=SGD(lr=0.1)),
    "component_sam other_batch": ComponentSAM(rho=0.1, component="other_batch", base=SGD(lr=0.1)),
    "sampa": SAMPa(rho=0.1, base=SGD(lr=0.1)),
    "sampa momentum, decay": SAMPa(rho=0.1, lam=0.5, base=SGD(lr=0.05, momentum=0.9, weight_decay=0.02)),
    "gsam": GSAM(rho=0.1, alpha=0.4, base=SGD(lr=0.1)),
    "looksam window": LookSAM(rho=0.1, k=3, alpha=0.5, start=4, base=SGD(lr=0.1)),
    "wsam coupled": WSAM(rho=0.1, gamma=0.8, decoupled=False, base=SGD(lr=0.1)),
    "wsam momentum, decay": WSAM(rho=0.1, gamma=0.8, base=SGD(lr=0.05, momentum=0.8, weight_decay=0.02)),
    "momentum_sam": MomentumSAM(rho=0.1, base=SGD(lr=0.05, momentum=0.9)),
    "label_noise": LabelNoiseGD(flip_rate=0.2, base=SGD(lr=0.1)),
    "msam": MSAM(rho=0.1, micro_batch_size=1, base=SGD(lr=0.1)),
    "m_usam": MUSAM(rho=0.02, micro_batch_size=1, base=SGD(lr=0.1)),
    "asam": ASAM(rho=0.5, base=SGD(lr=0.1)),
    "asam_elementwise": ElementwiseASAM(rho=0.5, eta=0.1, base=SGD(lr=0.1)),
    "random_perturbation": RandomPerturbation(rho=0.3, base=SGD(lr=0.1)),
    "muon": Muon(lr=0.02, weight_decay=0.1),
    "sam around muon": SAM(rho=0.1, stop=60, base=Muon(lr=0.02, momentum=0.8, nesterov=False)),
    "adam": Adam(lr=0.01),
    "sam around adamw": SAM(rho=0.1, stop=60, base=AdamW(lr=0.01, weight_decay=0.1)),
    "signsgd": SignSGD(lr=0.003, momentum=0.5, weight_decay=0.1),
    "torch_optim": TorchOptim(lr=0.003, cls="torch.optim.RMSprop", options={"alpha": 0.9, "centered": True}),
}
PLAIN = {  # whose steps cannot be recorded: they draw, or ask an engine for more than gradients and products
    "component_sam other_batch",
    "label_noise",
    "msam",
    "m_usam",
    "asam",
    "asam_elementwise",
    "random_perturbation",
    "muon",
    "sam around muon",
    "adam",
    "sam around adamw",
    "signsgd",
    "torch_optim",
}
RECORDED = [name for name in RULES if name not in PLAIN]
IN_LAW = ("random_perturbation",)  # the engines draw differently, and no draw follows a symmetry
BY_COORDINATE = [name for name, rule in RULES.items() if "coordinates" in needs(rule)]
GRAM_RULES = [name for name in RULES if name not in BY_COORDINATE]
ROUTES = [(name, engine) for engine in ("gram", "weights") for name in (GRAM_RULES if engine == "gram" else RULES)]


def make_run(optimizer: Any = RULES["sgd"], **changes: Any) -> RunConfig:
    """A small resolved run; dotted changes such as data__dim=50 go to the section's object."""
    run = RunConfig(
        name="test",
        seed=0,
        engine="weights" if "coordinates" in needs(optimizer) else "gram",
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


def landscape_engine(model: Landscape, data: Any, seed: int, **options: Any) -> LandscapeEngine:
    """The engine of one run on a landscape, by default on the first data model that it accepts."""
    return LandscapeEngine([model], [data or DATA[model.sees[0]]()], [seed], **options)


def make_landscape_run(
    network: Landscape, optimizer: Any = RULES["sgd"], data: Any = None, **changes: Any
) -> RunConfig:
    """A small resolved run on a landscape, full batch, recorded at its ends, by default on the first data accepted."""
    data, n_steps = data or DATA[network.sees[0]](), changes.pop("n_steps", 20)
    trackers = changes.pop("trackers", (TRACKERS["loss"](), TRACKERS["position"]()))
    return make_run(
        optimizer,
        engine="weights",
        network=network,
        data=data,
        train=Train(n_steps=n_steps, batch_size=data.n_samples),
        record=Record(steps=(0, n_steps), trackers=trackers),
        **changes,
    )


def with_steps(run: RunConfig, n_steps: int, *, batch_size: int | None = None) -> RunConfig:
    """The run with another length, recorded at its ends."""
    size = run.train.batch_size if batch_size is None else batch_size
    return replace(
        run,
        train=replace(run.train, n_steps=n_steps, batch_size=size),
        record=replace(run.record, steps=(0, n_steps)),
    )


ACTIVATIONS_BY_HAND: dict[str, tuple[Callable[[float], float], Callable[[float], float]]] = {
    "relu": (lambda z: max(z, 0.0), lambda z: 1.0 if z > 0 else 0.0),
    "relu2": (lambda z: max(z, 0.0) ** 2, lambda z: 2 * max(z, 0.0)),
    "relu3": (lambda z: max(z, 0.0) ** 3, lambda z: 3 * max(z, 0.0) ** 2),
    "softplus": (lambda z: math.log1p(math.exp(z)), lambda z: 1 / (1 + math.exp(-z))),
}


class PlainNetwork:
    """The network and its gradient in d dimensions, from the formula, by loops, sharing no code with the engines.

    One output, the logistic loss. A bias is one more coordinate, at which every patch is 1: weights are [f, d] or
    [f, d + 1], distinct patches [N, d] or [N, d + 1]. vectors [K, d]: the signals, then the noises.
    """

    def __init__(self, run: RunConfig, draw: Draw | None = None) -> None:
        draw = draw or draw_run(run.data, run.network, run.seed, keep=True)
        biases = draw.geometry.biases
        self.distinct, self.start, self.vectors = (x[0].numpy() for x in (draw.patches, draw.weights, draw.vectors))
        if biases is not None:
            self.distinct = np.column_stack([self.distinct, np.ones(len(self.distinct))])
            self.start = np.column_stack([self.start, biases[0].numpy()])
        times = [slot.times for slot in run.data.slots]
        self.patches = self.distinct[draw.training.shown[0].numpy().repeat(times, 1)]
        self.labels, self.true_labels = draw.training.labels[0].numpy(), draw.training.true_labels[0].numpy()
        self.m = run.network.n_filters
        self.signs = [1.0] * self.m + [-1.0] * self.m
        self.scale = 1 / self.m if run.network.filters == "mean" else 1.0
        self.scale /= self.patches.shape[1] if run.network.patches == "mean" else 1
        self.act, self.slope = ACTIVATIONS_BY_HAND[run.network.activation]

    def output(self, weights: np.ndarray, i: int) -> float:
        """f of sample i."""
        hidden = 0.0
        for sign, w in zip(self.signs, weights, strict=True):
            for patch in self.patches[i]:
                hidden += sign * self.act(float(w @ patch))
        return self.scale * hidden

    def loss_slope(self, weights: np.ndarray, i: int) -> float:
        """Derivative of log(1 + exp(-z)) at z = y_i f_i."""
        return -1 / (1 + math.exp(self.labels[i] * self.output(weights, i)))

    def gradient(self, weights: np.ndarray, chosen: Iterable[int]) -> np.ndarray:
        """Gradient of the mean loss of the chosen samples."""
        chosen = list(chosen)
        gradient = np.zeros_like(weights)
        for i in chosen:
            c = self.loss_slope(weights, i) * self.labels[i] * self.scale / len(chosen)
            for f, (sign, w) in enumerate(zip(self.signs, weights, strict=True)):
                for patch in self.patches[i]:
                    gradient[f] += c * sign * self.slope(float(w @ patch)) * patch
        return gradient


def explicit(w: Vector, network: PlainNetwork) -> np.ndarray:
    """Explicit weights [f, D] of the first lane of a Gram or weight engine's vector, a point or a direction."""
    if len(w.leaves) == 3 and w.leaves[0].ndim == 1:
        alpha, coef, _ = (leaf[0].numpy() for leaf in w.leaves)
        return alpha * network.start + coef @ network.distinct
    first = [leaf[0].numpy() for leaf in w.leaves]
    return first[0] if len(first) == 1 else np.column_stack(first)


def engine_of(*runs: RunConfig) -> Engine:
    """The engine of a block of runs, without padding."""
    return build_engine(runs, "cpu")


def problem_of(run: RunConfig, draw: Draw) -> Problem:
    """The problem of a given draw, in place of the run's."""
    return _problem(Block.of([run]), draw, torch.tensor([run.seed]))


def redrawn(run: RunConfig, *, vectors: Any = None, weights: Any = None, biases: Any = None, **training: Any) -> Draw:
    """The explicit draw of a run with other vectors [K, d], weights [f, d], biases [f], labels [n] and the like."""
    draw = draw_run(run.data, run.network, run.seed, keep=True)

    def chosen(x: Any, drawn: Any) -> Any:
        return drawn if x is None else torch.as_tensor(np.asarray(x))[None]

    own = replace(draw.training, **{name: chosen(x, None) for name, x in training.items()})
    vectors, weights = chosen(vectors, draw.vectors), chosen(weights, draw.weights)
    biases, patches = chosen(biases, draw.geometry.biases), patches_of(vectors, own)
    n_signals = len(run.data.frame.signals)
    geometry = inner_products(vectors, patches, weights, biases, n_signals, torch.matmul)
    return Draw(own, geometry, vectors, weights, patches)


def advance(engine: Engine, rule: Any, batches: Iterable[Any], w: Any = None, memory: Any = None, t: int = 0) -> Any:
    """The parameters and the memory after one step for each of the batches [b, n], from step t on."""
    w = engine.initial() if w is None else w
    memory = rule.init(w) if memory is None else memory
    for step, batch in enumerate(batches, start=t):
        w, memory = rule.step(loss_on(engine, batch, step), w, memory, step)
    return w, memory


def loss_on(engine: Engine, batch: Any, t: int = 0) -> Loss:
    """The loss of step t on the batch [b, n], its samples in their own order."""
    chosen = batch > 0
    samples = None if chosen.all() else torch.stack([lane.nonzero().flatten() for lane in chosen])
    return Loss(engine, batch, samples, t)


def full_batches(engine: Engine, count: int) -> list[Any]:
    """The whole training set, ``count`` times."""
    return [torch.full_like(engine.labels, 1 / engine.labels.shape[1])] * count


def mini_batches(like: torch.Tensor, *runs: RunConfig) -> MiniBatches:
    """The mini-batches of a block of runs; ``like`` [b, n] gives their shape."""
    return MiniBatches(torch.tensor([run.seed for run in runs]), runs[0].train.batch_size, like)


def drawn_batches(run: RunConfig, count: int) -> tuple[list[Any], list[list[int]]]:
    """The run's own mini-batches: as sample weights [1, n], and as samples."""
    like = torch.zeros(1, run.data.n_samples, dtype=torch.float64)
    weights = [loss.batch for loss in islice(mini_batches(like, run).losses(None), count)]
    return weights, [row[0].nonzero().flatten().tolist() for row in weights]


def view_after(engine: Engine, rule: Any, batches: list[Any]) -> View:
    """The view that trackers get after one step on each batch but the last, which is the next one."""
    steps, stepper = len(batches) - 1, Stepper(engine, rule, None)
    first, *others = (loss_on(engine, batch, t) for t, batch in enumerate(batches))
    state = stepper.run(stepper.start(first), iter(others), 0, steps)
    coming = NextStep.of(rule, state.loss(engine, steps), state.w, state.memory, steps)
    return coming.view(engine, state.w, steps)


def view_of(*runs: RunConfig, steps: int = 0) -> View:
    """The view that trackers get of a block of runs after some full-batch steps of their common rule."""
    engine = engine_of(*runs)
    return view_after(engine, runs[0].optimizer, full_batches(engine, steps + 1))


def same_bits(a: Trajectory, b: Trajectory) -> bool:
    """Whether two trajectories hold the same rows, bit for bit."""
    ends = (a.status, a.message, a.stopped_step) == (b.status, b.message, b.stopped_step)
    steps = a.steps.tolist() == b.steps.tolist() and a.values.keys() == b.values.keys()
    return ends and steps and all(a.values[key].tobytes() == b.values[key].tobytes() for key in a.values)


def programs_of(stepper: Stepper) -> list[Program | None]:
    """The latest recordings that a stepper replays; None for a step that cannot be recorded."""
    return [recording.program for recording in stepper.tapes.kept]


def run_to(stepper: Stepper, state: State, losses: Any, first: int, last: int) -> State:
    """The state after the steps first ... last - 1, each time as many in one call as the stepper takes."""
    while first < last:
        following = stepper.until(state, first, last)
        state, first = stepper.run(state, losses, first, following), following
    return state
