"""Gaussian inputs."""

import numpy as np

from featlearn.data.gaussian import Gaussian


def test_gaussian_inputs_have_the_stated_decay():
    (x,) = Gaussian(n_samples=40_000, dim=4, decay=1.0).draw(0)
    assert np.allclose(x.std(0) * np.arange(1, 5), 1, atol=0.02)
    assert np.allclose(np.corrcoef(x.T), np.eye(4), atol=0.02)
    assert not np.array_equal(x, Gaussian(n_samples=40_000, dim=4, decay=1.0).draw(1)[0])
