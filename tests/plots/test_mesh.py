"""Where cells begin and end."""

import numpy as np
import pandas as pd
import pytest

from featlearn.plots.mesh import edges, geometric, require_numbers


@pytest.mark.parametrize(
    "values",
    [
        np.geomspace(1000, 20000, 20).astype(int),
        [1000, 2000, 5000, 10000, 20000],
        [1e-3, 1e-2],
        [16, 4, 64],
        10.0 ** np.arange(5),
    ],
)
def test_ratios(values):
    assert geometric(values)


@pytest.mark.parametrize(
    "values",
    [np.linspace(0, 10, 21), np.linspace(1, 10, 10), np.arange(100, 1100, 10), [1000, 2000], [3.0], [-1, 1, 10], []],
)
def test_differences(values):
    assert not geometric(values)


def test_axes_without_numbers_are_refused():
    table = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"], "c": [1j, 2.0]})
    require_numbers(table, ["a"])
    for column, kind in {"b": "words, not numbers", "c": "complex numbers"}.items():
        with pytest.raises(ValueError, match=f"{column} holds {kind}: it cannot be drawn"):
            require_numbers(table, [column])


def test_edges_lie_halfway():
    assert edges([0, 1, 3], log=False).tolist() == [-0.5, 0.5, 2, 4]
    assert edges([1000, 4000], log=False).tolist() == [0, 2500, 5500]
    assert edges([1, 100], log=True) == pytest.approx([0.1, 10, 1000])


def test_edges_enclose_their_centres():
    centres = np.array([1.0, 1.1, 7.0, 50.0])
    for log in (False, True):
        corners = edges(centres, log=log)
        assert (corners[:-1] < centres).all() and (centres < corners[1:]).all()


@pytest.mark.parametrize("centre", [0.0, -3.0, 1000.0])
def test_a_lone_cell_has_a_width(centre):
    low, high = edges([centre], log=False)
    assert low < centre < high
