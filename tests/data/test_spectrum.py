"""Noise of several variances: the blocks of its spectrum, and what is drawn from them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import PROPERTY, make_run, view_of
from hypothesis import given
from hypothesis import strategies as st

from featlearn.data import XOR, SignalNoise
from featlearn.data.contract import breach
from featlearn.data.spectrum import blocks
from featlearn.geometry import draw_vectors
from featlearn.law import draw
from featlearn.simulation import simulate, simulate_block
from featlearn.trackers import TestError

DATA = SignalNoise(n_samples=4, dim=30, signal_norm=1.5, noise_std=0.8)


def test_isotropic_noise_has_no_blocks():
    assert blocks(None, 30, 1) == () and DATA.frame.spectrum == ()


@pytest.mark.parametrize(
    "spectrum, dim, expected",
    [
        (((0.5, 900), (2.0, 100)), 1000, (900, 100)),
        (((25.0, 3), (1.0, None)), 1000, (3, 997)),
        (((0.5, 0.9), (2.0, 0.1)), 10**9, (9 * 10**8, 10**8)),
        (((1.0, 0.5), (2.0, 0.5)), 7, (4, 3)),
        (((1.0, None), (4.0, 0.25), (9.0, 2)), 100, (73, 25, 2)),
    ],
)
def test_sizes_are_multiplicities_or_shares_or_what_is_left(spectrum, dim, expected):
    found = blocks(spectrum, dim, 1)
    assert [size for _, size in found] == list(expected)
    assert [value for value, _ in found] == [value for value, _ in spectrum]


@given(st.lists(st.integers(1, 99), min_size=2, max_size=6), st.integers(1000, 10**6))
@PROPERTY
def test_shares_of_sum_one_fill_any_dimension(parts, dim):
    found = blocks([(1.0, part / sum(parts)) for part in parts], dim, 1)
    assert sum(size for _, size in found) == dim
    assert all(abs(size - part / sum(parts) * dim) <= 1 for (_, size), part in zip(found, parts, strict=True))


@pytest.mark.parametrize(
    "spectrum, reason",
    [
        (((1.0, 20),), "add up to 20, and dim = 30"),
        (((1.0, 0.5), (2.0, 0.4)), "add up to 27, and dim = 30"),
        (((1.0, 30), (2.0, None)), "has size 0, expected integers >= 1"),
        (((1.0, 2.5), (2.0, None)), "has size 2.5, expected integers >= 1"),
        (((1.0, None), (2.0, None)), "only one block can have the size null"),
        (((1.0, 1), (2.0, None)), "the first block has size 1, below the 2 signals"),
    ],
)
def test_what_is_no_spectrum_is_refused(spectrum, reason):
    with pytest.raises(ValueError, match=reason):
        blocks(spectrum, 30, 2)


def test_variances_along_the_axes_are_the_eigenvalues():
    """Chi-squares of explicit vectors, block by block; the first block has the signal."""
    data = replace(DATA, n_samples=2000, noise_spectrum=((4.0, 5), (0.25, 10), (0.0, 5), (1.0, None)))
    vectors = draw_vectors(data, 0)
    assert np.array_equal(vectors[0], 1.5 * np.eye(30)[0])
    found = (vectors[1:] ** 2).mean(0) / data.noise_std**2
    expected = np.repeat([4.0, 0.25, 0.0, 1.0], [5, 10, 5, 10])
    assert (np.abs(found - expected) <= 5 * expected * np.sqrt(2 / 2000)).all()


def test_one_eigenvalue_is_isotropic_noise_to_the_last_bit():
    """Of another standard deviation where it is not 1."""
    plain, single, double = (
        make_run(sampling="gram", data=replace(DATA, **own))
        for own in ({}, {"noise_spectrum": ((1.0, None),)}, {"noise_spectrum": ((4.0, None),), "noise_std": 0.4})
    )
    one, other, third = (simulate(run).values for run in (plain, single, double))
    assert all(np.array_equal(one[name], other[name]) for name in one)
    assert all(np.allclose(one[name], third[name], rtol=1e-9, atol=1e-12) for name in one)


def test_runs_of_other_spectra_and_dimensions_share_a_block():
    datas = [
        replace(DATA, noise_spectrum=((value, share), (1.0, None)), dim=dim)
        for value, share, dim in ((4.0, 0.1, 30), (0.5, 0.3, 10**9), (9.0, 2, 100))
    ]
    runs = [make_run(sampling="gram", data=data) for data in datas]
    together = simulate_block(runs)
    for run, beside in zip(runs, together, strict=True):
        alone = simulate(run).values
        assert all(np.array_equal(alone[name], beside.values[name]) for name in alone)


def test_a_first_block_without_noise_is_noise_orthogonal_to_the_signal():
    """The test error too: W Lam W' has no part along the signal."""
    quiet, projected = (
        make_run(data=replace(DATA, noise_spectrum=spectrum, orthogonal_noise=on))
        for spectrum, on in ((((0.0, 1), (1.0, None)), False), (((1.0, 1), (1.0, None)), True))
    )
    errors = [TestError()(view_of(run, steps=20))["test_error"] for run in (quiet, projected)]
    assert torch.allclose(*errors, rtol=1e-12) and 0.001 < errors[0] < 0.5
    none = draw_vectors(quiet.data, 0)[1:, 0]
    assert not none.any()


def test_the_order_of_blocks_says_where_the_signal_lies():
    """Negative control: the same spectrum with the signal in the other eigenspace is another law."""
    weak, strong = ((0.1, 15), (4.0, 15)), ((4.0, 15), (0.1, 15))
    seeds = torch.arange(200)
    squares = [
        draw([(replace(DATA, noise_spectrum=s), make_run().network)], np.zeros(200, int), seeds).geometry.signal_gram
        for s in (weak, strong)
    ]
    ratio = (squares[1][:, 2:] ** 2).mean() / (squares[0][:, 2:] ** 2).mean()
    assert abs(ratio / 40 - 1) < 0.3


def test_a_spectrum_does_not_change_the_id_of_runs_without_one():
    run = make_run(data=DATA)
    assert "noise_spectrum" not in run.identity and "data.noise_spectrum" not in run.columns()
    other = make_run(data=replace(DATA, noise_spectrum=((1.0, None),)))
    assert other.run_id != run.run_id and other.columns()["data.noise_spectrum"] == "[[1.0, null]]"


@pytest.mark.parametrize("spectrum", [((1.0, 29.0),), ((-1.0, 15.0), (1.0, 15.0)), ((1.0, 1.0), (2.0, 29.0))])
def test_a_frame_with_another_spectrum_breaks_the_contract(spectrum, monkeypatch):
    data = XOR(n_samples=4, dim=30, signal_norm=1.0)
    assert breach(data) is None
    monkeypatch.setattr(XOR, "spectrum", lambda self, n_signals: spectrum)
    assert "frame.spectrum has" in breach(data)
