"""Training on landscapes: closed forms of the dynamics, and a block's runs as if each were alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import landscape_engine, make_landscape_run, same_bits

from featlearn.data.digits import Digits
from featlearn.data.gaussian import Gaussian
from featlearn.data.iris import Iris
from featlearn.data.none import NoData
from featlearn.models.beale import Beale
from featlearn.models.bump import Bump
from featlearn.models.landscape import matmul
from featlearn.models.linear_autoencoder import LinearAutoencoder
from featlearn.models.mlp import MLP
from featlearn.models.product import Product
from featlearn.models.quadratic import Quadratic
from featlearn.models.saddle import Saddle
from featlearn.models.teacher_student import TeacherStudent
from featlearn.models.two_valleys import TwoValleys
from featlearn.models.valley import Valley
from featlearn.optim import SAM, SGD
from featlearn.simulation import block_key, lanes, simulate, simulate_block
from featlearn.trackers import Position

CASES = {
    "quadratic": (Quadratic(rotated=True), NoData()),
    "valley": (Valley(), NoData()),
    "product": (Product(), NoData()),
    "saddle": (Saddle(), NoData()),
    "beale": (Beale(y=0.9), NoData()),
    "bump": (Bump(), NoData()),
    "two valleys": (TwoValleys(n_transverse=4), NoData()),
    "autoencoder": (LinearAutoencoder(), Gaussian(n_samples=30)),
    "teacher-student": (TeacherStudent(n_hidden=3), Gaussian(n_samples=37, dim=13)),
    "tanh": (MLP(), None),
    "relu": (MLP(activation="relu", width=7, n_hidden=2), None),
    "linear": (MLP(loss="cross_entropy", activation="identity", width=3), Iris(n_samples=13)),
    "classes": (MLP(loss="cross_entropy", activation="sigmoid", width=9), Digits(n_samples=13)),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_run_in_company_has_the_bits_of_the_run_alone(case, dtype):
    network, data = CASES[case]
    rules = [SAM(rho=0.02 * i, base=SGD(lr=0.03 + 0.01 * i)) for i in range(3)]
    runs = [make_landscape_run(network, rule, data, seed=i, dtype=dtype) for i, rule in enumerate(rules)]
    assert len({block_key(run) for run in runs}) == 1 and lanes(runs[0]) >= 32
    alone = [simulate(run) for run in runs]
    filler = [replace(runs[0], seed=9)] * min(lanes(runs[0]) - 3, 80)
    for block in (runs, [*filler[:29], *runs], [*filler, *runs]):  # blocks of 32 runs, of 32 and of up to 96
        assert all(map(same_bits, alone, simulate_block(block)[-3:]))


@pytest.mark.parametrize("case", CASES)
def test_a_block_of_several_runs_uses_no_library_for_products(case, monkeypatch):
    network, data = CASES[case]
    run = make_landscape_run(network, SAM(rho=0.02, base=SGD(lr=0.03)), data, trackers=(Position(),))

    def refuse(self, other):
        raise AssertionError("a batched product")

    monkeypatch.setattr(torch.Tensor, "__matmul__", refuse)
    assert lanes(run) > 1 and simulate(run).status == "ok"


@pytest.mark.parametrize("sizes", [(3, 4, 5), (1, 1, 1), (40, 20, 25)])
def test_products_are_right_on_both_sides_of_the_size_of_a_block(sizes):
    (m, s, n), rng = sizes, np.random.default_rng(0)
    left, right = (torch.tensor(rng.normal(size=size), requires_grad=True) for size in ((m, s), (s, n)))
    assert torch.allclose(matmul(left, right), left @ right, rtol=1e-13, atol=1e-14)
    if m < 40:
        assert torch.autograd.gradgradcheck(matmul, (left, right))


def test_a_run_that_diverges_leaves_its_neighbours_alone():
    runs = [make_landscape_run(Quadratic(), SGD(lr=lr), n_steps=200) for lr in (0.1, 5.0)]
    sound, wild = simulate_block(runs)
    assert wild.status == "diverged" and same_bits(sound, simulate(runs[0]))


def test_runs_of_one_block_may_differ_in_real_numbers_only():
    key = block_key(make_landscape_run(Quadratic(spectrum=(1.0, 2.0))))
    assert block_key(make_landscape_run(Quadratic(spectrum=(3.0, 4.0), init_std=2.0))) == key
    assert block_key(make_landscape_run(Quadratic(spectrum=(1.0, 2.0, 3.0)))) != key
    assert block_key(make_landscape_run(Quadratic(spectrum=(1.0, 2.0), rotated=True))) != key
    placed, elsewhere = (Quadratic(spectrum=(1.0, 2.0), start=start) for start in ((0.0, 1.0), (2.0, 3.0)))
    assert block_key(make_landscape_run(placed)) == block_key(make_landscape_run(elsewhere)) != key
    points = make_landscape_run(MLP())
    assert block_key(replace(points, data=replace(points.data, degree=4))) != block_key(points)


def test_large_problems_are_computed_one_by_one():
    assert lanes(make_landscape_run(MLP(), data=Digits())) == 1


def final_positions(networks, rule, n_steps, count=2, seed=0):
    """The first coordinates [runs, count] at the end of full-batch runs, computed in one block."""
    trackers = (Position(n_coordinates=count),)
    runs = [make_landscape_run(net, rule, seed=seed, n_steps=n_steps, trackers=trackers) for net in networks]
    values = [trajectory.values for trajectory in simulate_block(runs)]
    return np.array([[column[f"x{i}"][-1] for i in range(count)] for column in values])


def test_gradient_descent_on_a_quadratic_is_a_matrix_power():
    network, lr = Quadratic(spectrum=(4.0, 1.5, -0.3), rotated=True), 0.1
    eigenvalues, rows = network.given(5, NoData())
    step = np.eye(3) - lr * rows.T @ np.diag(eigenvalues) @ rows
    expected = np.linalg.matrix_power(step, 50) @ network.initial(5, NoData())[0]
    found = final_positions([network], SGD(lr=lr), 50, 3, seed=5)[0]
    assert np.allclose(found, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("rotated", [False, True])
def test_sam_on_a_quadratic_ends_in_a_2_cycle_along_the_top_eigenvector(rotated):
    """+- lr rho lam1 / (2 - lr lam1) v1 (Bartlett, Long, Bousquet 2023)."""
    lr, rho, network = 0.1, 0.05, Quadratic(spectrum=(4.0, 1.0), rotated=rotated)
    amplitude = lr * rho * 4 / (2 - lr * 4)
    top = network.given(0, NoData())[1][0]
    last, before = (final_positions([network], SAM(rho=rho, base=SGD(lr=lr)), n)[0] for n in (601, 600))
    assert np.abs(last) == pytest.approx(amplitude * np.abs(top), abs=1e-9)
    assert last == pytest.approx(-before, abs=1e-9)


def test_sam_drifts_along_the_valley_by_the_formula():
    """-2 lr rho^2 / (2 - lr lam1)^2 a step, with lam1 = 5 + y: -1.30981e-5 on the mean over 100 steps from y = .05."""
    lr, rho, y = 0.05, 0.02, 0.05
    on_the_cycle = lr * rho * (5 + y) / (2 - lr * (5 + y))
    moved = final_positions([Valley(x=on_the_cycle, y=y)], SAM(rho=rho, base=SGD(lr=lr)), 100)[0, 1] - y
    assert moved / 100 == pytest.approx(-1.30981e-5, rel=1e-3)
    assert moved / 100 == pytest.approx(-2 * lr * rho**2 / (2 - lr * (5 + y + moved / 2)) ** 2, rel=1e-3)


class TestProduct:
    """(xy)^2 / 2 at lr .05, rho .1: gradient descent stops at any y^2 < 40, SAM drives y^2 to 0."""

    SQUARES = np.array([10.0, 30.0, 39.0])

    def ends(self, squares, rule, n_steps):
        return final_positions([Product(x=1e-6, y=float(square) ** 0.5) for square in squares], rule, n_steps)

    def test_gradient_descent_stays_below_its_edge(self):
        x, y = self.ends(self.SQUARES, SGD(lr=0.05), 1000).T
        assert np.abs(x).max() < 1e-12 and np.allclose(y**2, self.SQUARES, rtol=1e-9)

    def test_gradient_descent_leaves_minima_above_its_edge(self):
        """Negative control: at once, and for a place well below the edge."""
        (_, y), *_ = self.ends([41.0], SGD(lr=0.05), 1000)
        assert y**2 < 39.9

    def test_sam_goes_down_the_valley_towards_zero(self):
        rule = SAM(rho=0.1, base=SGD(lr=0.05))
        middle, end = (self.ends(self.SQUARES, rule, n)[:, 1] ** 2 for n in (1000, 2000))
        assert (middle < 0.5 * self.SQUARES).all() and (end < 0.5 * middle).all()


def test_a_block_lives_on_the_device_and_dtype_asked_for():
    engine = landscape_engine(MLP(), None, 0, dtype=torch.float32)
    w = engine.initial()
    assert {leaf.dtype for leaf in w.leaves} == {engine.losses(w).dtype} == {torch.float32}
