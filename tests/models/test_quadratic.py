"""The quadratic: its rotation keeps the spectrum."""

import numpy as np

from featlearn.data.none import NoData
from featlearn.models.quadratic import Quadratic, rotation


def test_a_rotation_is_orthogonal_and_keeps_the_spectrum():
    q = rotation(0, 6)
    assert np.allclose(q @ q.T, np.eye(6), atol=1e-14)
    assert not np.allclose(q, rotation(1, 6))
    spectrum = (5.0, 1.0, -2.0)
    eigenvalues, rows = Quadratic(spectrum=spectrum, rotated=True).given(0, NoData())
    assert np.allclose(np.linalg.eigvalsh(rows.T @ np.diag(eigenvalues) @ rows), sorted(spectrum))
