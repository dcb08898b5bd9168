"""The quadratic: its rotation keeps the spectrum."""

import numpy as np
import pytest

from featlearn.data.none import NoData
from featlearn.models.quadratic import Quadratic, rotation


def test_a_rotation_is_orthogonal_and_keeps_the_spectrum():
    q = rotation(0, 6)
    assert np.allclose(q @ q.T, np.eye(6), atol=1e-14)
    assert not np.allclose(q, rotation(1, 6))
    spectrum = (5.0, 1.0, -2.0)
    eigenvalues, rows = Quadratic(spectrum=spectrum, rotated=True).given(0, NoData())
    assert np.allclose(np.linalg.eigvalsh(rows.T @ np.diag(eigenvalues) @ rows), sorted(spectrum))


def test_a_start_is_the_initial_point_of_every_seed():
    model = Quadratic(spectrum=(-1.0, 2.0), start=(0.1, -0.0))
    assert [model.initial(seed, NoData())[0].tolist() for seed in (0, 1)] == [[0.1, 0.0]] * 2
    with pytest.raises(ValueError, match="start has 1 coordinates, and spectrum 2"):
        Quadratic(spectrum=(-1.0, 2.0), start=(0.1,))
