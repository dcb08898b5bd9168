"""The law of one step of a rule and of its limit: every mini-batch, or every noise, is one run of a block."""

import math
from copy import copy
from itertools import permutations, product

import numpy as np
import torch
from scipy.linalg import expm

from featlearn.data import Chebyshev, NoData
from featlearn.engines.batches import batch_weights
from featlearn.engines.explicit.landscape import LandscapeEngine
from featlearn.engines.protocol import Loss
from featlearn.models.mlp import MLP
from featlearn.sde import INTEGRATORS, Dynamics, Settings
from featlearn.sde.draws import draw
from featlearn.sde.gaussian import Shifted

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


# where rule and limit are linear: their Gaussian laws, exactly


def linear_rule(rule, model, noise):
    """F and G of one step w <- F w + G Z of a rule on a quadratic, with gradients + noise Z."""
    at, z = _units(model)
    engine = block(len(at), model, NoData())
    loss, w = Shifted(loss_of(engine, None), noise * engine.unflattened(z)), engine.unflattened(at)
    return _halves(flat(rule.step(loss, w, rule.init(w), 0)[0]))


def linear_limit(dynamics, model, noise):
    """A and G of dw = A w dt + G dW in steps, from the increments of the system."""
    at, dw = _units(model)
    engine = block(len(at), model, NoData())
    system, w = first_system(dynamics, loss_of(engine, None, noise=noise)), engine.unflattened(at)
    return _halves(flat(system.increment(w, 1.0, dw)))


def _units(model):
    """Points and noises: the unit vectors of w without noise, then those of the noise at w = 0."""
    one = torch.eye(model.n_parameters(None), dtype=F64)
    return torch.cat([one, 0 * one]), torch.cat([0 * one, one])


def _halves(rows):
    return tuple(half.T.numpy() for half in rows.chunk(2))


def after_steps(start, factor, noise, n_steps):
    """Mean and second moment of w <- F w + G Z after n_steps from a point."""
    mean, covariance = start, np.zeros_like(factor)
    for _ in range(n_steps):
        mean, covariance = factor @ mean, factor @ covariance @ factor.T + noise @ noise.T
    return mean, covariance + np.outer(mean, mean)


def step_of(drift, noise):
    """F and G of one step of time of dw = A w dt + G dW, in closed form (Van Loan 1978, IEEE Trans. Autom. Control)."""
    d = len(drift)
    both = expm(np.block([[-drift, noise @ noise.T], [np.zeros((d, d)), drift.T]]))
    factor = both[d:, d:].T
    return factor, np.linalg.cholesky(factor @ both[:d, d:])


def euler_step(drift, noise, k):
    """F and G of k steps of Euler-Maruyama in one step of time; their noise is a sum of k shares."""
    one, shares = np.eye(len(drift)) + drift / k, []
    for j in range(k):
        shares.append(np.linalg.matrix_power(one, j) @ noise / math.sqrt(k))
    return np.linalg.matrix_power(one, k), np.hstack(shares)
