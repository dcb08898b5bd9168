"""What the noise sees of the weights, and the factor of its covariance."""

import math

import numpy as np
import pytest
import torch
from helpers import PlainNetwork, advance, engine_of, explicit, full_batches, make_run, view_of

from featlearn.data import XOR
from featlearn.geometry import draw_run
from featlearn.trackers.integral import leads, noise_gram, plain_error, radial_error, semidefinite_cholesky


def gram_matrices():
    rng = np.random.default_rng(0)
    for f in (1, 2, 6, 20):
        for rank in {0, 1, f // 2, f - 1, f}:
            for scale in (1e-12, 1.0, 1e9):
                rows = rng.normal(size=(f, rank))
                if f > 2 and rank > 1:
                    rows[1] = rows[0]  # dead filters are often equal
                    rows[2] = 0
                yield scale * rows @ rows.T


def test_the_factor_of_singular_matrices():
    for gram in gram_matrices():
        lower = semidefinite_cholesky(torch.tensor(gram)[None])[0].numpy()
        values, vectors = np.linalg.eigh(gram)
        by_eigenvalues = vectors * np.sqrt(values.clip(min=0))
        size = max(np.abs(gram).max(), 1e-300)
        assert np.array_equal(lower, np.tril(lower)) and np.isfinite(lower).all()
        assert np.abs(lower @ lower.T - by_eigenvalues @ by_eigenvalues.T).max() < 1e-9 * size


def test_the_factor_of_regular_matrices_is_choleskys():
    rng = np.random.default_rng(1)
    rows = torch.tensor(rng.normal(size=(5, 6, 9)))
    gram = rows @ rows.mT
    assert torch.allclose(semidefinite_cholesky(gram), torch.linalg.cholesky(gram), rtol=1e-10, atol=1e-12)


def test_the_factor_is_continuous_at_a_positive_definite_matrix():
    """With equal eigenvalues too, where factors from eigenvectors jump."""
    shift = torch.tensor([[0.0, 1.0, 0.5], [1.0, 0.0, -0.5], [0.5, -0.5, 0.0]], dtype=torch.float64)[None]
    base = torch.eye(3, dtype=torch.float64)[None]
    plus, minus = (semidefinite_cholesky(base + sign * 1e-7 * shift) for sign in (1, -1))
    assert (plus - minus).abs().max() < 1e-6


def test_a_bad_pivot_in_one_run_is_its_own():
    rows = torch.tensor(np.random.default_rng(3).normal(size=(2, 4, 6)))
    gram = rows @ rows.mT
    gram[0] = 0
    both = semidefinite_cholesky(gram)
    assert not both[0].any() and torch.equal(both[1], semidefinite_cholesky(gram[1:])[0])


def test_the_noise_sees_the_weights_without_bias_and_signal():
    run = make_run(network__bias=True, data__orthogonal_noise=True, network__init_std=0.3)
    engine, plain = engine_of(run), PlainNetwork(run)
    w, _ = advance(engine, run.optimizer, full_batches(engine, 5))
    seen = explicit(w, plain)[:, 1:-1]  # the signal is along e_1, the bias the last coordinate
    assert np.allclose(noise_gram(view_of(run, steps=5))[0], seen @ seen.T, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(
    "changes",
    [{}, {"angle": 60.0}, {"signal_norm": 0.0}, {"angle": 1e-7}],
    ids=["90 degrees", "60", "none", "one axis"],
)
def test_several_signals_are_projected_out(changes):
    """Also signals that are zero, or multiples of one another up to rounding."""
    run = make_run(
        data=XOR(n_samples=8, dim=60, **{"signal_norm": 2.0, **changes}), network__bias=True, engine="weights"
    )
    view, draw = view_of(run, steps=5), draw_run(run.data, run.network, run.seed, keep=True)
    signals, weights = draw.vectors[0, :2], view.w.leaves[0][0]
    seen = weights - weights @ torch.linalg.pinv(signals, rcond=1e-8) @ signals
    assert torch.allclose(noise_gram(view)[0], seen @ seen.mT, rtol=1e-9, atol=1e-11)


# several outputs


def test_leads_by_hand():
    outputs = torch.tensor([[1.0, -2.0], [0.5, 3.0], [2.0, 2.0]]).double()  # [C, points]
    assert leads(outputs[:1], -1).tolist() == [[-1.0, 2.0]]
    assert leads(outputs, 1).tolist() == [[-0.5, 5.0], [-1.5, 1.0]]


@pytest.mark.parametrize(("lead", "error"), [([1, 2], 0), ([-1, 2], 1), ([0, 2], 1 / 2), ([0, 0], 2 / 3), ([0, -1], 1)])
def test_outputs_that_tie_share(lead, error):
    lead = torch.tensor(lead).double()[:, None]
    assert plain_error(lead).item() == pytest.approx(error, rel=1e-15)
    assert radial_error(lead, torch.zeros_like(lead), 1, 1.5).item() == pytest.approx(error, rel=1e-15)
    assert plain_error(torch.cat([lead, torch.full_like(lead, math.nan)])).isnan().all()


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_the_probability_of_an_interval_of_lengths(degree):
    """Three classes: a lead that falls, one that rises, against a million lengths."""
    start = torch.tensor([[0.7, -0.2, 0.7, 0.1], [-0.3, -0.1, 0.2, 0.3]]).double()
    rise = torch.tensor([[-0.2, 0.1, -0.3, 0.2], [0.3, 0.2, 0.1, 0.1]]).double()
    normals = np.random.default_rng(3).standard_normal((5, 10**6))
    lengths = torch.as_tensor(np.sqrt((normals**2).sum(0)))
    for place, found in enumerate(radial_error(start, rise, degree, 2.5).tolist()):
        ahead = start[:, place, None] + rise[:, place, None] * lengths**degree > 0
        wrong = 1 - ahead.all(0).double()
        assert abs(found - wrong.mean().item()) <= 4 * wrong.std().item() / 1000
        if place == 0:
            first = 1 - ahead[0].double()
            assert abs(found - first.mean().item()) > 0.01  # it takes both leads
