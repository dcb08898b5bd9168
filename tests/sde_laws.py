"""The law of one step of a rule and of its limit: every mini-batch, or every noise, is one run of a block."""

from copy import copy
from itertools import permutations, product

import torch

from featlearn.data import Chebyshev
from featlearn.engines.batches import batch_weights
from featlearn.engines.explicit.landscape import LandscapeEngine
from featlearn.engines.protocol import Loss
from featlearn.models.mlp import MLP
from featlearn.sde import INTEGRATORS, Dynamics, Settings
from featlearn.sde.draws import draw

NET = MLP(width=2, n_hidden=1, activation="tanh")
DATA = Chebyshev(n_samples=5, degree=3)
F64 = torch.float64


def limit(rule, dynamics="sde", **settings):
    """The flow or SDE of a rule."""
    return Dynamics(rule=rule, settings=Settings(dynamics=dynamics, **settings))


def block(count, model=NET, data=DATA, seeds=None):
    """An engine of ``count`` runs with the initial point of seed 0, and with these seeds for other draws."""
    engine = LandscapeEngine([model], [data], [0])
    many = copy(engine)
    many._given = tuple(array.repeat_interleave(count, 0) for array in engine._given)
    many._initial = engine._initial.map(lambda leaf: leaf.repeat_interleave(count, 0))
    many.seeds = torch.zeros(count, dtype=torch.int64) if seeds is None else torch.as_tensor(seeds)
    many.n_parameters, many.labels = (x.repeat_interleave(count, 0) for x in (engine.n_parameters, engine.labels))
    return many


def flat(v):
    """All coordinates, [b, D]."""
    return torch.cat([leaf.flatten(1) for leaf in v.leaves], 1).detach()


def loss_of(engine, samples, *, replacement=False, noise=0.0):
    """The loss of the ordered mini-batches [b, B]; None for the training set."""
    if samples is None:
        n = engine.labels.shape[1]
        return Loss(engine, torch.full_like(engine.labels, 1 / n), gradient_noise=noise)
    return Loss(engine, batch_weights(samples, engine.labels), samples, replacement=replacement)


def direction(rule, loss, w):
    """What a rule of learning rate 1 subtracts from w, [b, D]."""
    return flat(w) - flat(rule.step(loss, w, rule.init(w), 0)[0])


def every(samples, rule, at=None, data=DATA):
    """The direction on each of the ordered mini-batches [L, B], [L, D]; at: the point, as a function of the engine."""
    engine = block(len(samples), data=data)
    return direction(rule, loss_of(engine, samples), at(engine) if at else engine.initial())


def sequences(n, size, *, replacement):
    """All ordered mini-batches, equally likely, [L, size]."""
    return torch.tensor(list(product(range(n), repeat=size) if replacement else permutations(range(n), size)))


def law(directions):
    """Mean and covariance over equally likely directions."""
    mean = directions.mean(0)
    return mean, (directions - mean).T @ (directions - mean) / len(directions)


def first_system(dynamics, loss):
    """The system of the first substep of step 0."""
    return next(draw(dynamics, loss, 0, INTEGRATORS["euler_maruyama"]()))[0]


def moments(system_of, n_noises, data=DATA, model=NET, at=None):
    """Mean and covariance of D by a system, the directions of whose noises are those of as many equal runs.

    system_of: of a block.
    """
    engine = block(max(n_noises, 1), model, data)
    w, system = at(engine) if at else engine.initial(), system_of(engine)
    mean = -flat(system.increment(w, 1.0, None))[0] / system.rate
    if not n_noises:
        return mean, torch.zeros(len(mean), len(mean), dtype=F64)
    assert system.n_noises == n_noises
    noises = flat(system.increment(w, 0.0, torch.eye(n_noises, dtype=F64))) / system.rate
    return mean, noises.T @ noises


def apart(a, b):
    """The largest difference, relative to the largest number of b."""
    return float((a - b).abs().max() / b.abs().max())
