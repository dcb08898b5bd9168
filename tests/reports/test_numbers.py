"""Numbers in JSON. That the page's script reads them back: test_browser.py."""

import json
import math

import numpy as np
from reading import unpacked

from featlearn.reports.numbers import exact, packed, rounded


def test_four_digits_and_what_json_has_no_word_for():
    assert rounded([0.123456, 20000.0, math.nan, math.inf, -math.inf, 1.5e-9]) == [
        0.1235,
        20000,
        None,
        "inf",
        "-inf",
        1.5e-9,
    ]
    json.dumps(rounded([math.nan, math.inf]), allow_nan=False)


def test_places_of_axes_are_exact():
    assert exact([0.1 + 0.2, 1000.0]) == [0.1 + 0.2, 1000]


def test_smooth_curves_take_few_letters():
    steps = np.linspace(0, 5, 40)
    curves = np.stack([k * np.exp(-steps) for k in np.random.default_rng(0).uniform(1, 2, 500)])
    assert len(packed(curves)) < 2.7 * curves.size
    assert len(packed(np.zeros_like(curves))) < 0.01 * curves.size


def test_packed_curves_are_read_back_to_four_digits():
    curves = np.random.default_rng(0).normal(size=(3, 7)) * 10.0 ** np.arange(-3, 4)
    curves[0, 0], curves[1, 1], curves[2, 2] = np.nan, np.inf, -np.inf
    np.testing.assert_allclose(unpacked(packed(curves), 7), curves, rtol=5e-5)
