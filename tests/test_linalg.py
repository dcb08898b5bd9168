"""Products and eigenvalues of a block: right, and with the same bits whoever stands beside a matrix, and where."""

import ast
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import featlearn
from featlearn import linalg
from featlearn.linalg import eigh, eigvalsh, plain_product, product, times

SIZES = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 23, 24, 25, 41]
DTYPES = [torch.float64, torch.float32]


def numbers(*shape, dtype=torch.float64, seed=0):
    return torch.as_tensor(np.random.default_rng(seed).normal(size=shape), dtype=dtype)


def displaced(x, by):
    """The same numbers in memory that begins ``by`` numbers later."""
    buffer = torch.empty(x.numel() + by, dtype=x.dtype)
    buffer[by:] = x.flatten()
    return buffer[by:].view(x.shape)


def bits_are_of_the_own_matrices(function, *arrays):
    """Does every place of a block hold what the same arrays give alone, in another order, and elsewhere in memory?"""
    together, b = function(*arrays), len(arrays[0])
    order = torch.as_tensor(np.random.default_rng(1).permutation(3 * b) % b)
    shuffled, moved = function(*(x[order] for x in arrays)), function(*(displaced(x, 3) for x in arrays))
    alone = torch.cat([function(*(x[i : i + 1] for x in arrays)) for i in range(b)])
    return all(map(torch.equal, (alone, shuffled, moved), (together, together[order], together)))


@pytest.mark.parametrize("multiply", [product, plain_product])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("s", SIZES)
def test_a_product_is_right_and_its_bits_are_of_its_own_matrices(multiply, dtype, s):
    for m, n in zip(SIZES, [*SIZES[s % 7 :], *SIZES[: s % 7]], strict=True):
        left, right = numbers(5, m, s, dtype=dtype), numbers(5, s, n, dtype=dtype, seed=1)
        exact = left.double() @ right.double()
        bound = s * torch.finfo(dtype).eps * (left.abs().double() @ right.abs().double())
        assert ((multiply(left, right) - exact).abs() <= bound).all(), (m, n)
        assert bits_are_of_the_own_matrices(multiply, left, right), (m, n)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 70), st.integers(1, 50), st.integers(1, 50), st.integers(1, 50), st.sampled_from(DTYPES))
def test_at_any_size_and_place(b, m, s, n, dtype):
    left, right = numbers(1, m, s, dtype=dtype).expand(b, m, s), numbers(1, s, n, dtype=dtype, seed=1).expand(b, s, n)
    found = product(left, right)
    assert torch.equal(found, found[:1].expand_as(found))


def test_transposed_matrices_are_taken_as_they_are():
    left, right = numbers(3, 6, 5), numbers(3, 7, 5, seed=1)
    assert torch.allclose(product(left, right.mT), left @ right.mT, rtol=1e-14, atol=1e-14)
    assert bits_are_of_the_own_matrices(lambda a, b: product(a.mT, b.mT), numbers(3, 5, 6), right)


def test_leading_axes_broadcast():
    left, right = numbers(4, 1, 6, 5), numbers(3, 5, 2, seed=1)
    assert torch.allclose(product(left, right), left @ right, rtol=1e-14, atol=1e-14)
    assert product(left, right).shape == (4, 3, 6, 2)


@pytest.mark.parametrize("shape", [(0, 2, 3, 4), (2, 0, 3, 4), (2, 3, 0, 4), (2, 3, 4, 0)])
def test_nothing_times_something_is_an_empty_or_a_zero_matrix(shape):
    b, m, s, n = shape
    found = product(numbers(b, m, s), numbers(b, s, n))
    assert found.shape == (b, m, n) and (found == 0).all()


def test_infinity_stays_in_its_own_run():
    left, right = numbers(3, 4, 4), numbers(3, 4, 4, seed=1)
    left[1, 0, 0] = torch.inf
    found = product(left, right)
    assert found[[0, 2]].isfinite().all() and not found[1, 0].isfinite().any() and found[1, 1:].isfinite().all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_times_is_a_product_with_a_vector(dtype):
    for s in SIZES:
        matrices, vectors = numbers(5, 6, s, dtype=dtype), numbers(5, s, dtype=dtype, seed=1)
        assert torch.allclose(times(matrices, vectors), (matrices @ vectors[..., None])[..., 0], rtol=1e-4)
        assert bits_are_of_the_own_matrices(times, matrices, vectors)
        assert bits_are_of_the_own_matrices(lambda a, x: times(a.mT, x), matrices.mT.contiguous(), vectors)


@pytest.mark.parametrize("size", SIZES)
def test_eigenvalues_are_right_and_their_bits_are_of_the_own_matrix(size):
    x = numbers(5, size, size)
    matrices = x + x.mT
    values, vectors = eigh(matrices)
    assert torch.allclose(product(vectors * values[:, None], vectors.mT), matrices, atol=1e-12)
    assert torch.allclose(eigvalsh(matrices), values, atol=1e-12)
    for function in (eigvalsh, lambda m: torch.cat([part.flatten(1) for part in eigh(m)], 1)):
        assert bits_are_of_the_own_matrices(function, matrices)


def test_a_matrix_that_is_not_finite_has_no_eigenvalues():
    matrices = torch.eye(3, dtype=torch.float64).repeat(3, 1, 1)
    matrices[1, 0, 0] = torch.inf
    values, vectors = eigh(matrices)
    assert values[1].isnan().all() and vectors[1].isnan().all() and eigvalsh(matrices)[1].isnan().all()
    assert (values[[0, 2]] == 1).all() and vectors[[0, 2]].isfinite().all()


def test_without_the_compiler_products_are_still_there(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "featlearn.tiles", None)
    left, right = numbers(2, 3, 4), numbers(2, 4, 5, seed=1)
    assert torch.equal(product(left, right), plain_product(left, right))


# in linalg.py only

OWN_WORK = {  # what is allowed to ask a BLAS or LAPACK, and why
    "linalg.py": "the only place for blocks",
    "geometry.py": "a single run's vectors, copied to aligned memory",
    "models/quadratic.py": "a single run's rotation, likewise",
    "models/landscape.py": "a run too large to share a block",
    "engines/explicit/engine.py": "blocks of one run on a CPU",
    "engines/gpu/kernels.py": "a program a run",
    "export.py": "a single run",
}
NO_RUNS = ("bench", "tables", "plots", "optim/torch", "theory")  # what does not compute runs, or not in blocks
WORDS = {"matmul", "mm", "bmm", "baddbmm", "addmm", "addbmm", "addmv", "mv", "einsum", "tensordot", "dot", "vdot"}
WORDS |= {"inner", "linalg", "chain_matmul", "bilinear", "linear"}


def library_products(path):
    """Lines that multiply matrices by a library: by the operator @ or by name; those of torch.linalg and np.linalg."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.MatMult):
            yield node.lineno
        if isinstance(node, ast.Attribute):
            first, *words = ast.unparse(node).split(".")
            setting = words[:1] == ["backends"]
            asks = first in ("torch", "np", "nn", "F") and WORDS & {*words} and words[-1] not in ("linalg", "norm")
            if asks and not setting:
                yield node.lineno


def test_blocks_ask_no_library_for_products():
    root = Path(featlearn.__file__).parent
    found = {}
    for path in root.rglob("*.py"):
        name = path.relative_to(root).as_posix()
        if not name.startswith(NO_RUNS) and (lines := sorted(set(library_products(path)))):
            found[name] = lines
    extra = {name: lines for name, lines in found.items() if name not in OWN_WORK}
    assert not extra, f"use featlearn.linalg, whose bits do not depend on the block: {extra}"
    assert {"linalg.py", "engines/explicit/engine.py"} <= set(found)  # or nothing is found at all


def test_linalg_documents_its_functions():
    assert all(getattr(linalg, name).__doc__ for name in ("product", "times", "eigh", "eigvalsh"))
