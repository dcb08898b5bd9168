"""The ends of tridiagonal spectra against LAPACK."""

import numpy as np
import pytest
from scipy.linalg import eigh_tridiagonal

from featlearn.engines.cpu.tridiagonal import above, end, vector


def cases():
    """Diagonal and off-diagonal entries of all sizes and scales, some of which decouple."""
    rng = np.random.default_rng(0)
    for size in [1, 2, 3, 5, 10, 20, 40, 80] * 5:
        beside = np.abs(rng.normal(size=size)) * 10 ** rng.uniform(-12, 3) * rng.choice([1, 1, 1, 0], size=size)
        yield rng.normal(size=size) * 10 ** rng.uniform(-3, 3), beside, rng


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_both_ends_from_any_guess(sign):
    for diagonal, beside, rng in cases():
        values = sign * eigh_tridiagonal(diagonal, beside[:-1], eigvals_only=True)
        size, top = np.abs(values).max(), values.max()
        for guess in (np.nan, top, top + size * 10 ** rng.uniform(-15, 0), top - size * 10 ** rng.uniform(-15, 0)):
            assert abs(end(sign, diagonal, beside**2, guess) - top) < 1e-14 * size
        assert above(top + 1e-12 * size, sign, diagonal, beside**2) > 0
        assert np.isnan(above(top - 1e-12 * size, sign, diagonal, beside**2))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_vector_of_an_end(sign):
    for diagonal, beside, _ in cases():
        x, found = end(sign, diagonal, beside**2, np.nan), np.empty(len(diagonal))
        vector(x, sign, diagonal, beside**2, found)
        product = diagonal * found
        product[:-1] += beside[:-1] * found[1:]
        product[1:] += beside[:-1] * found[:-1]
        assert np.linalg.norm(found) == pytest.approx(1)
        assert np.linalg.norm(product - sign * x * found) < 1e-13 * max(np.abs(diagonal).max(), beside.max())


def test_the_last_entry_is_right_where_it_is_tiny():
    """By hand: with the diagonal 2, 0, ..., 0 and 1e-3 next to it, an entry is about 1e-3 / 2 of the one before."""
    diagonal, squares, found = np.zeros(10), np.full(10, 1e-6), np.empty(10)
    diagonal[0] = 2.0
    vector(end(1.0, diagonal, squares, np.nan), 1.0, diagonal, squares, found)
    assert found[0] > 0.99 and found[-1] == pytest.approx(5e-4**9, rel=1e-5)
