"""Lanczos, as batched torch and compiled, against whole matrices and against scipy's ARPACK."""

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import LinearOperator, eigsh

from featlearn.engines import lanczos_kernels
from featlearn.engines.lanczos import TOLERANCE, eigh, eigvalsh, lanczos, largest, normals
from featlearn.tiles import pad_columns


def symmetric(spectra, seed=0):
    """Matrices [b, D, D] with the given spectra [b, D]."""
    spectra = torch.tensor(spectra, dtype=torch.float64)
    turns = torch.linalg.qr(
        torch.as_tensor(np.random.default_rng(seed).normal(size=(*spectra.shape, spectra.shape[1])))
    )[0]
    return (turns * spectra[:, None]) @ turns.mT


def solve(matrices, k, start=None):
    if start is None:
        start = normals(matrices.shape[1], 0, matrices).expand(len(matrices), -1)
    return lanczos(lambda x: (matrices @ x[:, :, None])[:, :, 0], start, k)


def solve_compiled(matrices, k):
    """The compiled search on matrices [b, D, D]."""
    b, dim, _ = matrices.shape
    none, start = np.empty((b, 0, 0)), pad_columns(normals(dim, 0, matrices)[None].numpy())
    operators = (none, none, np.empty((b, 0)), np.empty((b, 0)), pad_columns(matrices.numpy()), none, none)
    values, vectors = np.full((b, k), np.nan), np.full((b, k, 1, dim), np.nan)
    forms = np.full(b, lanczos_kernels.MATRIX)
    lanczos_kernels.largest(forms, start, operators, (0, 0, False), TOLERANCE, values, vectors)
    return torch.as_tensor(values), torch.as_tensor(vectors)[:, :, 0].mT


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
@pytest.mark.parametrize("k", [1, 3])
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


def test_every_eigenvalue_can_be_had():
    matrices = symmetric(np.stack([np.arange(1.0, 8), np.arange(-3.0, 4)]))
    values, _ = solve(matrices, 7)
    assert torch.allclose(values.sort()[0], torch.linalg.eigvalsh(matrices), rtol=1e-12, atol=1e-12)


def test_a_start_that_misses_the_top_or_is_nothing():
    """An invariant start is left for a fresh direction; a start of 0 or NaN is replaced."""
    matrix = torch.diag(torch.arange(1.0, 41, dtype=torch.float64))[None]
    for start in (torch.zeros(1, 40), torch.full((1, 40), torch.nan), torch.eye(40)[:1]):
        found = [solve(matrix, k, start.double())[0][0].tolist() for k in (1, 2, 40)]
        if start.isfinite().all() and start.any():
            assert found[0] == pytest.approx([1.0]) or found[0] == pytest.approx([40.0])
        else:
            assert found[0] == pytest.approx([40.0]) and found[1] == pytest.approx([40.0, 39.0])
        assert found[2] == pytest.approx(list(range(40, 0, -1)))


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("search", [solve, solve_compiled])
def test_zero_and_what_is_not_a_number(k, search):
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
