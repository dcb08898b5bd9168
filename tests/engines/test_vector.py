"""Sums and multiples of vectors, coordinate by coordinate."""

import math

import pytest
import torch

from featlearn.engines.vector import Vector, spread

U = Vector((torch.tensor([1.0, 2.0]), torch.tensor([[3.0, 4.0], [5.0, 6.0]])))
V = Vector((torch.tensor([10.0, 20.0]), torch.tensor([[30.0, 40.0], [50.0, 60.0]])))
EACH = torch.tensor([2.0, -1.0])  # one number per run


def lists(u):
    return [leaf.tolist() for leaf in u.leaves]


SUMS = {
    "sum": (U + V, [[11, 22], [[33, 44], [55, 66]]]),
    "difference": (V - U, [[9, 18], [[27, 36], [45, 54]]]),
    "opposite": (-U, [[-1, -2], [[-3, -4], [-5, -6]]]),
    "a number": (0.5 * U, [[0.5, 1], [[1.5, 2], [2.5, 3]]]),
    "a number from the right": (U * 0.5, [[0.5, 1], [[1.5, 2], [2.5, 3]]]),
    "a number a run": (EACH * U, [[2, -2], [[6, 8], [-5, -6]]]),
    "multiples of multiples": (U + 2.0 * (EACH * V), [[41, -38], [[123, 164], [-95, -114]]]),
    "less a multiple": (3.0 * U - EACH * V, [[-17, 26], [[-51, -68], [65, 78]]]),
    "some runs": ((2.0 * U).where(torch.tensor([True, False]), V), [[2, 20], [[6, 8], [50, 60]]]),
    "a function": (U.map(torch.maximum, EACH * U), [[2, 2], [[6, 8], [5, 6]]]),
    "other leaves": ((2.0 * U).with_leaves(U.leaves), lists(U)),
}


@pytest.mark.parametrize("name", SUMS)
def test_by_hand(name):
    found, expected = SUMS[name]
    assert lists(found) == expected


def test_a_factor_is_stored_separately():
    assert (2.0 * U).parts is U.parts and U.factor is None and (2.0 * (3.0 * U)).factor == 6.0


def test_vectors_are_not_multiplied():
    with pytest.raises(TypeError):
        U * V


@pytest.mark.parametrize("wrong", [math.inf, math.nan, 1e200])
def test_finite_means_finite_squares(wrong):
    u = Vector((torch.ones(3).double(), torch.ones(3, 2, 2).double()))
    u.parts[1][1, 0, 1] = wrong
    assert u.finite().tolist() == [True, False, True]


def test_a_number_a_run_is_spread_over_all_axes():
    like = torch.zeros(2, 3, 4)
    assert spread(EACH, like).shape == (2, 1, 1) and spread(5.0, like).item() == 5.0
    assert spread(torch.tensor(5.0), like).ndim == 0
