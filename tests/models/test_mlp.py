"""The multilayer perceptron: its mistakes, and its initialization."""

import math

import numpy as np
import pytest
import torch

from featlearn.data.chebyshev import Chebyshev
from featlearn.data.digits import Digits
from featlearn.data.iris import Iris
from featlearn.models.mlp import MLP

POINTS, IMAGES = Chebyshev(n_samples=7), Digits()


def test_margins_count_the_mistakes_of_classes_and_are_absent_for_regression():
    model = MLP(width=8, loss="cross_entropy")
    leaves, (x, y) = (tuple(map(torch.as_tensor, part)) for part in (model.initial(0, IMAGES), model.given(0, IMAGES)))
    margins, outputs = model.margins(leaves, (x, y)), model.outputs(leaves, x)
    assert torch.equal(margins > 0, outputs.argmax(1) == y.argmax(1))
    expected = torch.nn.functional.cross_entropy(outputs, y.argmax(1), reduction="none")
    assert torch.allclose(model.losses(leaves, (x, y)), expected, rtol=1e-12)
    points = MLP()
    leaves, given = (tuple(map(torch.as_tensor, part)) for part in (points.initial(0, POINTS), points.given(0, POINTS)))
    assert points.margins(leaves, given).shape == (0,)


def test_the_default_init_is_that_of_torch():
    """Uniform within +- 1/sqrt(inputs): standard deviation 1/sqrt(3 inputs)."""
    weight, bias, outer, _ = MLP(width=2000).initial(0, IMAGES)
    for leaf, bound in ((weight, 1 / 8), (bias, 1 / 8), (outer, 2000**-0.5)):
        assert np.abs(leaf).max() <= bound
        assert leaf.std() == pytest.approx(bound / math.sqrt(3), rel=0.05)


def test_with_the_identity_it_is_linear_in_its_inputs():
    model, data = MLP(width=5, activation="identity", loss="cross_entropy"), Iris()
    leaves, (x, _) = (tuple(map(torch.as_tensor, part)) for part in (model.initial(0, data), model.given(0, data)))
    a, b, c, d = leaves
    assert torch.allclose(model.outputs(leaves, x), x @ (c @ a).mT + c @ b + d, rtol=0, atol=1e-14)
