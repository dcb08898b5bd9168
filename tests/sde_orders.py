"""Errors of integrators of SDEs without Monte Carlo.

An expectation over a step is a Gauss-Hermite sum over its increments and a sum over its random signs, one node per run
of the batch.
"""

from dataclasses import dataclass
from itertools import product
from math import factorial, prod

import numpy as np
import torch
from numpy.polynomial import Polynomial
from numpy.polynomial.hermite_e import hermegauss
from scipy.linalg import expm

from featlearn.engines.vector import Vector


@dataclass(frozen=True)
class Plain:
    """a and the b_j as functions of x [b, d]."""

    drift: object
    noises: tuple = ()

    @property
    def n_noises(self):
        return len(self.noises)

    def increment(self, w, h, dw):
        (x,) = w.leaves
        terms = [] if dw is None else [b(x) * dw[:, j, None] for j, b in enumerate(self.noises)]
        return Vector((sum(terms, h * self.drift(x)),))


def times(matrix):
    """x -> matrix x."""
    matrix = torch.as_tensor(matrix)
    return lambda x: x @ matrix.T


def evaluate(polynomial):
    """The polynomial as a function of tensors."""
    return lambda x: sum(c * x**k for k, c in enumerate(polynomial.coef.tolist()))


@dataclass(frozen=True)
class Nodes:
    """All values of the random numbers of a step of length h, and their weights."""

    dw: torch.Tensor
    uniforms: torch.Tensor
    weights: np.ndarray


def nodes(integrator, m, h, degree=8):
    """Exact for polynomials in the increments, of degree 2 ``degree`` - 1 in each."""
    points, weights = hermegauss(degree)
    weights = weights / weights.sum()
    n_signs = integrator.n_uniforms(m)
    rows = list(product(*[range(degree)] * m, *[(0.25, 0.75)] * n_signs))
    dw = [[points[i] * h**0.5 for i in row[:m]] for row in rows]
    mass = [prod(weights[i] for i in row[:m]) / 2**n_signs for row in rows]
    uniforms = torch.tensor([row[m:] for row in rows], dtype=torch.float64)
    return Nodes(torch.tensor(dw, dtype=torch.float64), uniforms, np.array(mass))


def step(integrator, system, x, h, at):
    """The states [nodes, d] after a step from x [d]."""
    start = torch.tensor(x, dtype=torch.float64).expand(len(at.dw), len(x))
    return integrator.step(system, Vector((start,)), h, at.dw, at.uniforms).leaves[0].numpy()


def slopes(errors):
    """Orders from errors at steps that are halved."""
    return np.log2(np.asarray(errors[:-1]) / np.asarray(errors[1:]))


# Two noises that do not commute, nor with the drift.
DRIFT = np.array([[-0.8, 0.5], [-0.3, -0.4]])
NOISES = np.array([[[0.2, 0.7], [0.1, -0.3]], [[0.5, -0.1], [0.6, 0.2]]])
START = np.array([1.0, -0.7])


def linear_moments(integrator, h, eps=1.0):
    """Errors at time 1 of the mean [2] and of the covariance [4] of the linear SDE, noises times eps."""
    noises = eps * NOISES
    system = Plain(times(DRIFT), tuple(map(times, noises)))
    at = nodes(integrator, 2, h, degree=3)
    maps = np.stack([step(integrator, system, e, h, at) for e in np.eye(2)], 2)  # [nodes, 2, 2]
    square = np.einsum("z,zij,zkl->ikjl", at.weights, maps, maps).reshape(4, 4)
    n, one, eye = round(1 / h), np.einsum("z,zij->ij", at.weights, maps), np.eye(2)
    generator = np.kron(DRIFT, eye) + np.kron(eye, DRIFT) + sum(np.kron(b, b) for b in noises)
    mean, true_mean = np.linalg.matrix_power(one, n) @ START, expm(DRIFT) @ START
    moment = np.linalg.matrix_power(square, n) @ np.kron(START, START)
    true_moment = expm(generator) @ np.kron(START, START)
    return mean - true_mean, moment - np.kron(mean, mean) - true_moment + np.kron(true_mean, true_mean)


def weak_error(integrator, h, eps=1.0):
    """The norm of those errors."""
    return np.linalg.norm(np.concatenate(linear_moments(integrator, h, eps)))


CUBIC = Polynomial([0.3, -0.5, 0.2, -0.4])
CURVED = (Polynomial([0.4, 0.3, 0.2]), Polynomial([-0.2, 0.6, -0.3]))  # do not commute
FLAT = (Polynomial([0.4]), Polynomial([-0.3]))
X = 0.6


def local_moments(integrator, noises, h):
    """E f(w_h), f = x, x^2, x^3, of one step from X of dx = CUBIC dt + sum_j noises_j dW_j."""
    at = nodes(integrator, len(noises), h)
    end = step(integrator, Plain(evaluate(CUBIC), tuple(map(evaluate, noises))), [X], h, at)[:, 0]
    return np.array([at.weights @ end**k for k in (1, 2, 3)])


def local_error(integrator, noises, h):
    """|E f(w_h) - sum_k h^k L^k f / k!|, with the generator L f = a f' + sum_j b_j^2 f'' / 2."""
    true = []
    for k in (1, 2, 3):
        f, total = Polynomial([0.0] * k + [1.0]), 0.0
        for order in range(5):
            total += h**order / factorial(order) * f(X)
            f = CUBIC * f.deriv() + sum(b * b for b in noises) * f.deriv(2) / 2
        true.append(total)
    return np.linalg.norm(local_moments(integrator, noises, h) - true)


def flow_error(integrator, h):
    """Error at time 2 of the logistic equation dx = x (1 - x) dt from .2."""
    system, w = Plain(lambda x: x * (1 - x)), Vector((torch.full((1, 1), 0.2, dtype=torch.float64),))
    for _ in range(round(2 / h)):
        w = integrator.step(system, w, h, None, None)
    return abs(w.leaves[0].item() - 1 / (1 + 4 * np.exp(-2)))


def strong_error_two_noises(integrator, h):
    """Root mean square error at time 1 of dx = dW_1, dy = x dW_2; a step errs by I_12 - q, whatever its start.

    Given the increments, I_12 has the mean dW_1 dW_2 / 2, so that E I_12 q = E dW_1 dW_2 q / 2; E I_12^2 = h^2 / 2.
    """
    noises = (
        lambda x: torch.stack([x[:, 0] * 0 + 1, x[:, 1] * 0], 1),
        lambda x: torch.stack([x[:, 1] * 0, x[:, 0]], 1),
    )
    at = nodes(integrator, 2, h)
    first, second = at.dw.numpy().T
    end = step(integrator, Plain(torch.zeros_like, noises), [0.7, 0.3], h, at)
    np.testing.assert_allclose(end[:, 0], 0.7 + first, rtol=1e-12)
    q = end[:, 1] - 0.3 - 0.7 * second
    return np.sqrt((h**2 / 2 - at.weights @ (first * second * q) + at.weights @ q**2) / h)


def strong_error_one_noise(integrator, h, mu=-0.5, sigma=0.8):
    """Root mean square error at time 1 of dx = mu x dt + sigma x dW from 1, on the same increments."""
    at = nodes(integrator, 1, h, degree=20)
    own = step(integrator, Plain(lambda x: mu * x, (lambda x: sigma * x,)), [1.0], h, at)[:, 0]
    true = np.exp((mu - sigma**2 / 2) * h + sigma * at.dw.numpy()[:, 0])
    n = round(1 / h)
    return np.sqrt(sum(c * (at.weights @ f) ** n for c, f in ((1, true * true), (-2, true * own), (1, own * own))))


def strong_error_additive(integrator, h, rate=0.9, s=0.7):
    """Root mean square error at time 1 of dx = -rate x dt + s dW from 1, on the same Wiener process."""
    at = nodes(integrator, 1, h, degree=3)
    system = Plain(lambda x: -rate * x, (lambda x: torch.full_like(x, s),))
    factor, noise = at.weights @ step(integrator, system, [1.0], h, at), step(integrator, system, [0.0], h, at)[:, 0]
    decay = np.exp(-rate * h)
    cross = s * (1 - decay) / (rate * h) * (at.weights @ (noise * at.dw.numpy()[:, 0]))  # noise's share along dW
    own = np.array([[s**2 * (1 - decay**2) / (2 * rate), cross], [cross, at.weights @ noise**2]])
    factors, moment = np.diag([decay, factor[0]]), np.ones((2, 2))
    for _ in range(round(1 / h)):
        moment = factors @ moment @ factors + own
    return np.sqrt(np.array([1, -1]) @ moment @ np.array([1, -1]))
