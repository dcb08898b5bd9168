"""Units, norms, roots and ratios by hand, also at zero and where squares over- or underflow."""

import math

import pytest
import torch

from featlearn.engines.algebra import Algebra
from featlearn.engines.vector import Vector


class Euclidean(Algebra):
    """The sum over all coordinates."""

    def inner(self, u, v):
        return sum((a * b).flatten(1).sum(1) for a, b in zip(u.leaves, v.leaves, strict=True))


ALGEBRA = Euclidean()


def numbers(*values):
    return torch.tensor(values, dtype=torch.float64)


def vector(*runs):
    """A vector with one number [b] and the others [b, .] of every run."""
    rows = numbers(*runs)
    return Vector((rows[:, 0], rows[:, 1:])).map(lambda leaf: leaf.reshape(len(rows), -1))


def test_units_and_norms_by_hand():
    u = vector((3.0, 0.0, 4.0), (0.0, 0.0, 0.0), (-2.0, 1.0, 2.0))
    assert ALGEBRA.norm(u).tolist() == [5.0, 0.0, 3.0]
    rows = torch.cat(ALGEBRA.unit(u).leaves, 1)
    assert torch.allclose(rows, numbers([0.6, 0, 0.8], [0, 0, 0], [-2 / 3, 1 / 3, 2 / 3]), rtol=1e-15)


@pytest.mark.parametrize(("size", "norm"), [(1e-200, 0.0), (1e-100, 5e-100), (1e100, 5e100), (1e200, 5e200)])
def test_a_length_whose_square_leaves_the_range(size, norm):
    """The unit is zero, as for zero; the norm of a large vector is finite, alone and in a block."""
    u = vector((3 * size, 4 * size), (0.6, 0.8), (math.inf, 0.0), (0.0, math.nan))
    expected = 1.0 if 1e-150 < size < 1e150 else 0.0
    assert ALGEBRA.norm(ALGEBRA.unit(vector((3 * size, 4 * size)))).item() == pytest.approx(expected, abs=1e-15)
    assert ALGEBRA.norm(u).tolist() == [pytest.approx(norm, rel=1e-15), pytest.approx(1.0), math.inf, math.inf]


def test_roots_ratios_and_comparisons():
    assert ALGEBRA.root(numbers(4.0, 0.0, -1e-20, 0.25)).tolist() == [2.0, 0.0, 0.0, 0.5]
    a, b = numbers(1.0, 1.0, 1.0, 1.0, 0.0, -3.0), numbers(4.0, 0.0, -2.0, math.inf, 0.0, 2.0)
    assert ALGEBRA.ratio(a, b).tolist() == [0.25, 0.0, 0.0, 0.0, 0.0, -1.5]
    assert ALGEBRA.ratio(2.0, b).tolist() == [0.5, 0.0, 0.0, 0.0, 0.0, 1.0]
    assert ALGEBRA.ratio(a, b * math.nan).tolist() == [0.0] * 6
    assert ALGEBRA.exceeds(a, b).tolist() == [0.0, 1.0, 1.0, 0.0, 0.0, 0.0]
