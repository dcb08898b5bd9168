"""Products in tiles: every remainder of rows and columns, padding, wide values, and the same bits at every place."""

import numpy as np
import pytest
from numba import njit

from featlearn import tiles
from featlearn.tiles import multiply, pad_columns, padded, without_reference_counts

DTYPES = ["float64", "float32"]
LANES = {"float64": tiles.DOUBLES, "float32": tiles.SINGLES}
SHAPES = [(1, 1, 1), (4, 3, 8), (5, 21, 22), (7, 2, 17), (8, 5, 40), (20, 21, 22), (3, 9, 63), (21, 30, 97)]


def random(shape, dtype, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def product(left, right, columns):
    """left @ right by tiles; what stands in ``out`` before does not matter."""
    right = pad_columns(right)
    out = np.full((len(left), right.shape[1]), np.nan, left.dtype)
    multiply(left, right, out)
    return out[:, :columns]


def close(a, b, left, right):
    """Whether a and b agree to a few roundings of the sum of absolute products."""
    scale = np.abs(left[:, : len(right)]).astype(float) @ np.abs(right).astype(float)
    return bool((np.abs(a.astype(float) - b) <= len(right) * np.finfo(left.dtype).eps * scale).all())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("f", "s", "n"), SHAPES)
def test_every_remainder_of_rows_and_columns(f, s, n, dtype):
    left, right = random((f, s + 3), dtype), random((s, n), dtype, 1)
    left[:, s:] = np.nan  # columns beyond the rows of ``right`` are left out
    assert close(product(left, right, n), left[:, :s].astype(float) @ right.astype(float), left, right)
    assert not product(left, right, padded(n, right.itemsize))[:, n:].any()


@pytest.mark.parametrize("dtype", DTYPES)
def test_wide_values(dtype):
    """Entries over many orders of magnitude, infinities and NaN where the product has them."""
    left, right = random((6, 5), dtype), random((5, 11), dtype, 1)
    left *= 10.0 ** np.arange(-12, 13, 5).astype(dtype)
    right *= 10.0 ** -np.arange(-12, 13, 5).astype(dtype)[:, None]
    assert close(product(left, right, 11), left.astype(float) @ right.astype(float), left, right)
    left[2, 1], right[3, 4] = np.inf, np.nan
    found = product(left, right, 11)
    assert np.isnan(found[:, 4]).all() and np.isinf(np.delete(found[2], 4)).all()
    assert np.isfinite(np.delete(np.delete(found, 4, 1), 2, 0)).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_product_has_the_same_bits_wherever_it_stands(dtype):
    """Rows and columns that move to another tile, with other neighbours, keep every bit."""
    left, right = random((11, 21), dtype), random((21, 45), dtype, 1)
    whole = product(left, right, 45)
    rows, columns = np.random.default_rng(2).permutation(11), np.random.default_rng(3).permutation(45)
    assert np.array_equal(product(left[rows], np.ascontiguousarray(right[:, columns]), 45), whole[rows][:, columns])
    for r in range(11):
        for i in (0, 7, 8, 23, 44):
            alone = product(left[r : r + 1], np.ascontiguousarray(right[:, i : i + 1]), 1)
            assert alone[0, 0] == whole[r, i]


def test_a_wrong_twin_fails():
    """Negative control: one product left out of a sum, and a column taken for its neighbour, are seen."""
    left, right = random((20, 21), "float64"), random((21, 22), "float64", 1)
    found = product(left, right, 22)
    short = left.copy()
    short[3, 20] = 0
    assert not close(found, short @ right, left, right)
    assert not close(found, left @ np.roll(right, 1, 1), left, right)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(3, 1), (2, 5, 22), (4, 8), (2, 3, 2, 17)])
def test_padding(shape, dtype):
    matrices = np.asfortranarray(random(shape, dtype))
    out = pad_columns(matrices, least=shape[-1] + 1)
    width, lanes = out.shape[-1], LANES[dtype]
    assert (
        width == padded(shape[-1] + 1, out.itemsize) and width % lanes == 0 and shape[-1] < width <= shape[-1] + lanes
    )
    assert np.array_equal(out[..., : shape[-1]], matrices) and not out[..., shape[-1] :].any()
    assert out.dtype == matrices.dtype and out.flags.c_contiguous and out.ctypes.data % tiles.ALIGNMENT == 0


@njit
def summed(arrays):
    one, (two, three) = without_reference_counts(arrays)
    return one[1:].sum() + two[0].sum() + three[:, ::2].sum()


def test_arrays_without_reference_counts_are_the_arrays():
    one, two, three = random(5, "float64"), random((2, 3), "float32"), random((3, 4), "float64")
    expected = one[1:].sum() + two[0].sum() + three[:, ::2].sum()
    assert summed((one, (two, three))) == pytest.approx(expected, rel=1e-6)
    assert one.sum() == one.copy().sum()  # still theirs to read
