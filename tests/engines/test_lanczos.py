"""Lanczos, as batched torch and compiled, against whole matrices and against scipy's ARPACK."""

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import LinearOperator, eigsh

from featlearn.engines.cpu import lanczos as compiled
from featlearn.engines.cpu.hessian import Linear
from featlearn.engines.cpu.network import Incidence
from featlearn.engines.cpu.operators import MATRIX, Operator
from featlearn.engines.lanczos import TOLERANCE, by_size, lanczos, largest, normals
from featlearn.linalg import eigh, eigvalsh
from featlearn.tiles import pad_columns


def symmetric(spectra, seed=0):
    """Matrices [b, D, D] with the given spectra [b, D]."""
    spectra = torch.tensor(spectra, dtype=torch.float64)
    turns = torch.linalg.qr(
        torch.as_tensor(np.random.default_rng(seed).normal(size=(*spectra.shape, spectra.shape[1])))
    )[0]
    return (turns * spectra[:, None]) @ turns.mT


def solve(matrices, k):
    starts = normals(matrices.shape[1], k, matrices)
    return lanczos(lambda x: (matrices @ x[:, :, None])[:, :, 0], starts, len(matrices))


def solve_compiled(matrices, k):
    """The compiled search on matrices [b, D, D]."""
    b, dim, _ = matrices.shape
    none, starts = np.empty((b, 0, 0)), pad_columns(normals(dim, k, matrices)[:, None].numpy())
    incidence = Incidence(np.empty((b, 0, 0), np.int64), np.empty(0), np.empty(0, np.int64))
    linear = Linear(none, none, np.empty((b, 0)), incidence)
    operator = Operator(linear, pad_columns(matrices.numpy()), none, none, none)
    values, vectors = np.full((b, k), np.nan), np.full((b, k, starts[0].size), np.nan)
    forms = np.full(b, MATRIX)
    compiled.largest(forms, starts, operator, TOLERANCE, values, vectors)
    return largest(torch.as_tensor(values), torch.as_tensor(vectors[:, :, :dim]).mT, k)


HARD = {
    "spread": np.linspace(-3, 5, 60),
    "clustered at the top": 10 - np.geomspace(1e-4, 9, 60),
    "both ends alike": np.concatenate([np.linspace(-4, 0, 30), np.linspace(0.1, 4.0001, 30)]),
    "low rank": np.concatenate([np.zeros(57), [1.0, -2.0, 3.0]]),
    "tiny": 1e-30 * np.linspace(-3, 5, 60),
    "huge": 1e100 * np.linspace(-3, 5, 60),
    "nearly equal": np.concatenate([np.linspace(-4, 4, 56), 5 - 1e-7 * np.array([0.0, 1.0, 1.5, 3.0])]),
    "multiple": np.repeat([-3.0, 1.0, 2.0], 20),
}


@pytest.mark.parametrize("name", HARD)
@pytest.mark.parametrize("k", [1, 3, 8])
@pytest.mark.parametrize("search", [solve, solve_compiled])
def test_largest_eigenvalues(name, k, search):
    matrices = symmetric(np.stack([HARD[name], HARD[name] ** 2 / np.abs(HARD[name]).max()]))
    values, vectors = search(matrices, k)
    expected, _ = largest(*eigh(matrices), k)
    assert torch.allclose(values, expected, rtol=1e-10, atol=1e-12 * float(expected.abs().max()))
    residual = matrices @ vectors - vectors * values[:, None]
    assert residual.norm(dim=1).max() < 1e-8 * expected.abs().max()
    assert torch.allclose(vectors.norm(dim=1), torch.ones(2, k, dtype=torch.float64))


def test_arpack_agrees():
    (matrix,) = symmetric(HARD["spread"][None])
    operator = LinearOperator((60, 60), matvec=lambda x: matrix.numpy() @ x, dtype=np.float64)
    values = eigsh(operator, k=3, which="LM", v0=np.ones(60), tol=1e-13)[0]
    assert solve(matrix[None], 3)[0][0].sort()[0].numpy() == pytest.approx(np.sort(values), rel=1e-11)


@pytest.mark.parametrize("search", [solve, solve_compiled])
def test_every_eigenvalue_can_be_had(search):
    matrices = symmetric(np.stack([np.arange(1.0, 8), np.arange(-3.0, 4), np.repeat([-2.0, 0.0, 5.0], [2, 2, 3])]))
    values, _ = search(matrices, 7)
    assert torch.allclose(values.sort()[0], torch.linalg.eigvalsh(matrices), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("search", [solve, solve_compiled])
def test_zero_and_nan(k, search):
    matrices = symmetric(np.tile(np.arange(10.0), (3, 1)))
    matrices[1] = 0
    matrices[2, 3, 3] = torch.inf
    values, vectors = search(matrices, k)
    assert values[0].tolist() == pytest.approx([9.0, 8.0][:k]) and values[1].tolist() == [0.0, 0.0][:k]
    assert values[2].isnan().all() and vectors[2].isnan().all() and vectors[:2].isfinite().all()
    assert eigvalsh(matrices)[2].isnan().all() and eigh(matrices)[0][2].isnan().all()


def test_the_order_is_by_absolute_value_with_signs_kept():
    values = torch.tensor([[-3.0, -1.0, 0.0, 2.0, 3.5]])
    assert largest(values, torch.eye(5)[None], 3)[0].tolist() == [[3.5, -3.0, 2.0]]
    assert largest(values, torch.eye(5)[None], 3)[1][0].T.argmax(1).tolist() == [4, 0, 3]


@pytest.mark.parametrize("search", [solve, solve_compiled])
@pytest.mark.parametrize("off", [0.0, 1e-13, -1e-13])
@pytest.mark.parametrize("rest", [np.linspace(-3, 3, 40), np.array([0.5])])
def test_of_a_tie_the_positive_eigenvalue_comes_first(search, off, rest):
    spectra = np.stack([np.concatenate([[-4.0 + off, 4.0], rest]), np.concatenate([[-4.0 + off, -4.0], rest])])
    matrices = symmetric(spectra)
    for k in (1, 2):
        values, vectors = search(matrices, k)
        expected = torch.tensor([[4.0, -4.0], [-4.0, -4.0]], dtype=torch.float64)[:, :k]
        assert torch.allclose(values, expected, rtol=1e-12)
        assert torch.allclose(matrices @ vectors, vectors * values[:, None], atol=1e-7)


@pytest.mark.parametrize("search", [solve, solve_compiled])
def test_a_difference_that_is_not_rounding_decides(search):
    matrices = symmetric(np.concatenate([[-4.0 - 1e-8, 4.0], np.linspace(-3, 3, 40)])[None])
    assert search(matrices, 1)[0].item() < 0


def test_a_tie_is_ordered_alike_in_any_order():
    tied = torch.tensor([[3.0, -5.0, 5.0, -5.0 - 1e-12, 0.0, 5.0 + 1e-12, torch.nan]], dtype=torch.float64)[:, :6]
    for shift in range(6):
        found = by_size(tied.roll(shift, 1))[0]
        assert found.sign().tolist() == [1, 1, -1, -1, 1, 0] and found[4] == 3
