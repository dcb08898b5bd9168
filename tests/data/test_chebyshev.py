"""Points of a Chebyshev polynomial."""

import numpy as np

from featlearn.data.chebyshev import Chebyshev


def test_chebyshev_points_lie_on_the_polynomial():
    """T_k(cos a) = cos k a, at equally spaced points that hold both ends."""
    x, y = Chebyshev(n_samples=21, degree=5).draw(0)
    assert x.shape == y.shape == (21, 1)
    assert np.allclose(np.diff(x[:, 0]), 0.1) and (x[0, 0], x[-1, 0]) == (-1, 1)
    assert np.allclose(y, np.cos(5 * np.arccos(x)), atol=1e-13)
    assert np.array_equal(Chebyshev().draw(0)[0], Chebyshev().draw(1)[0])
