"""The diagonal linear network: its teacher, its conserved quantity, and the bias of its start."""

from dataclasses import replace

import numpy as np
import pytest
from helpers import landscape_engine, make_landscape_run

from featlearn.data.gaussian import Gaussian
from featlearn.data.iris import Iris
from featlearn.models.diagonal_network import DiagonalNetwork
from featlearn.optim import SGD
from featlearn.simulation import simulate
from featlearn.trackers import TRACKERS

CLOUD = Gaussian(n_samples=8, dim=12)
MODEL = DiagonalNetwork(start_u=0.2, n_active=2)


def test_gaussian_inputs_have_the_targets_of_a_sparse_teacher():
    inputs, targets = MODEL.given(3, CLOUD)
    teacher = MODEL.teacher(3, CLOUD)
    assert np.array_equal(np.abs(teacher), [1] * 2 + [0] * 10)
    assert np.array_equal(targets[:, 0], inputs @ teacher)
    residual = replace(MODEL, noise=0.5).given(3, replace(CLOUD, n_samples=4000))
    assert np.std(residual[1][:, 0] - residual[0] @ teacher) == pytest.approx(0.5, rel=0.05)
    signs = {tuple(MODEL.teacher(seed, CLOUD)[:2]) for seed in range(40)}
    assert len(signs) == 4


def test_data_with_targets_keep_them():
    iris = Iris(n_samples=9)
    inputs, targets = MODEL.given(0, iris)
    assert targets.shape == (9, 3) and MODEL.shapes(iris) == ((3, 4), (3, 4))
    assert np.array_equal(inputs, iris.draw(0)[0])


def test_a_teacher_larger_than_the_inputs_is_refused():
    assert "n_active = 13 is more than the 12" in replace(MODEL, n_active=13).refusal(CLOUD)
    assert MODEL.refusal(CLOUD) is None and replace(MODEL, n_active=13).refusal(Iris(n_samples=9)) is None


def solution(start, rate=0.02, n_steps=4000):
    """u * v after training by gradient descent, and the change of u^2 - v^2."""
    model, position = replace(MODEL, start_u=start), TRACKERS["position"](n_coordinates=24)
    trackers = (TRACKERS["loss"](), position)
    run = make_landscape_run(model, SGD(lr=rate), CLOUD, n_steps=n_steps, trackers=trackers)
    values = simulate(run).values
    assert values["train_loss"][-1] < 1e-3
    u, v = np.array([values[f"x{i}"][-1] for i in range(24)]).reshape(2, 12)
    return u * v, np.abs(u**2 - v**2 - start**2).max()


def test_u_squared_minus_v_squared_is_conserved_to_first_order_in_the_rate():
    """By gradient flow; gradient descent changes it by lr^2 |grad|^2 a step, lr in all."""
    coarse, fine = solution(0.5, 0.02)[1], solution(0.5, 0.01, 8000)[1]
    assert 1.8 < coarse / fine < 2.2 and fine < 0.05


def test_a_small_start_finds_the_sparse_teacher_and_a_large_one_the_smallest_l2_norm():
    teacher, (inputs, targets) = MODEL.teacher(0, CLOUD), MODEL.given(0, CLOUD)
    smallest = np.linalg.lstsq(inputs, targets[:, 0])[0]
    sparse, dense = solution(0.02)[0], solution(3.0, 0.004)[0]
    assert np.abs(sparse - teacher).max() < 0.1 < np.abs(smallest - teacher).max()
    assert np.linalg.norm(dense - smallest) < 0.1 * np.linalg.norm(smallest)


def test_permuted_coordinates_are_a_symmetry():
    engine = landscape_engine(MODEL, CLOUD, 0)
    (u, v), (inputs, targets) = MODEL.initial(0, CLOUD), MODEL.given(0, CLOUD)
    order = np.random.default_rng(1).permutation(12)
    residual = inputs[:, order] @ (u * v)[0, order] - targets[:, 0]
    assert np.allclose(engine.losses(engine.initial())[0], residual**2 / 2, rtol=1e-13)
