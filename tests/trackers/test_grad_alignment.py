"""Cosines of gradients with the principal eigenvector, by hand and in known cases."""

import pytest
import torch
from helpers import drawn_batches, engine_of, make_run, view_after, view_of

from featlearn.optim import SAM, SGD
from featlearn.trackers import GradAlignment


def on_batch(run):
    """A view of the first point with the run's first mini-batch."""
    return view_after(engine_of(run), run.optimizer, drawn_batches(run, 1)[0])


def test_alignment_by_hand():
    run = make_run(SAM(rho=0.5, base=SGD(lr=0.1)), engine="weights", data__dim=20)
    view, batch = on_batch(run), drawn_batches(run, 1)[0][0]
    g = view.engine.gradient(view.w, batch).leaves[0].flatten()
    length = g.norm()
    there = view.engine.gradient(view.w + (0.5 / length.item()) * view.engine.gradient(view.w, batch), batch)
    v = view.engine.curvature(view.w, batch).principal().leaves[0].flatten()
    columns = GradAlignment()(view)
    assert columns["grad_alignment"].item() == pytest.approx(abs(g @ v).item() / length.item(), rel=1e-12)
    h = there.leaves[0].flatten()
    assert columns["sam_grad_alignment"].item() == pytest.approx((abs(h @ v) / h.norm()).item(), rel=1e-10)
    assert columns["grad_alignment"].item() != columns["sam_grad_alignment"].item()


def test_without_perturbation_both_gradients_are_one():
    for rule in (SGD(lr=0.1), SAM(rho=0.0, base=SGD(lr=0.1)), SAM(rho=0.1, start=3, base=SGD(lr=0.1))):
        columns = GradAlignment()(view_of(make_run(rule)))
        assert torch.equal(columns["grad_alignment"], columns["sam_grad_alignment"])


def test_one_sample_is_aligned_with_its_own_curvature():
    """H = l'' g g' for one sample and the ReLU, so the cosine is 1; for two classes of noise it is less."""
    view = on_batch(make_run(train__batch_size=1))
    assert GradAlignment(batch="batch")(view)["grad_alignment"].item() == pytest.approx(1, abs=1e-12)
    assert GradAlignment()(view)["grad_alignment"].item() < 0.999


def test_a_zero_gradient_has_alignment_zero():
    columns = GradAlignment()(view_of(make_run(network__init_std=0.0, data__signal_norm=0.0)))
    assert columns["grad_alignment"].item() == columns["sam_grad_alignment"].item() == 0
