"""Which curvature is recorded, when, and on which samples; that it is right is proved in tests/engines."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import RULES, drawn_batches, engine_of, full_batches, make_run, view_of

from featlearn.engines.protocol import Loss
from featlearn.engines.span.curvature import GramCurvature
from featlearn.loop import NextStep
from featlearn.runs import Record
from featlearn.simulation import simulate
from featlearn.trackers import GradAlignment, HessianTrace, Sharpness, TestError


def on_batch(run):
    """A view of the first point with the run's own first mini-batch, and that batch."""
    engine = engine_of(run)
    w, (batch, *_) = engine.initial(), drawn_batches(run, 1)[0]
    coming = NextStep.of(run.optimizer, Loss(engine, batch), w, run.optimizer.init(w), 0)
    return coming.view(engine, w, 0), batch


def test_columns_are_the_eigenvalues_in_their_order():
    view = view_of(make_run(network__activation="relu2"), make_run(seed=1, network__activation="relu2"), steps=5)
    columns = Sharpness(top=3)(view)
    assert list(columns) == ["sharpness", "sharpness_2", "sharpness_3"]
    expected = view.engine.curvature(view.w, full_batches(view.engine, 1)[0].expand(2, -1)).top(3)
    assert torch.equal(torch.stack(list(columns.values()), 1), expected)
    sizes = [column.abs() for column in columns.values()]
    assert (sizes[0] >= sizes[1]).all() and (sizes[1] >= sizes[2]).all()


@pytest.mark.parametrize("engine", ["gram", "weights"])
def test_on_the_mini_batch_or_on_all(engine):
    """One sample's Hessian has one eigenvalue for the ReLU, which is its trace; the whole set's has more."""
    view, batch = on_batch(make_run(engine=engine, train__batch_size=1))
    mini, full = Sharpness(top=2, batch="batch")(view), Sharpness(top=2)(view)
    assert mini["sharpness_2"].abs().item() < 1e-12 < full["sharpness_2"].item()
    assert mini["sharpness"].item() == pytest.approx(HessianTrace(batch="batch")(view)["hessian_trace"].item())
    assert full["sharpness"].item() != pytest.approx(mini["sharpness"].item(), rel=0.01)
    expected = view.engine.curvature(view.w, batch).top(1)
    assert mini["sharpness"].item() == pytest.approx(expected.item(), rel=1e-12)


def test_a_full_batch_is_the_whole_set():
    view, _ = on_batch(make_run())
    for tracker in (Sharpness, HessianTrace, GradAlignment):
        both = [tracker(batch=which)(view) for which in ("full", "batch")]
        assert all(torch.equal(both[0][name], both[1][name]) for name in both[0])


def test_trackers_share_computed_results(monkeypatch):
    built = []
    original = GramCurvature.__init__
    monkeypatch.setattr(GramCurvature, "__init__", lambda self, *args: (built.append(1), original(self, *args))[1])
    view = view_of(make_run())
    assert not built  # nor is anything computed that is not asked for
    TestError(n_points=2, n_scrambles=2)(view)
    assert not built
    Sharpness(), HessianTrace()
    for tracker in (Sharpness(), Sharpness(top=2), HessianTrace(), GradAlignment()):
        tracker(view)
    assert len(built) == 1


@pytest.mark.parametrize("activation", ["relu", "softplus"])
def test_a_stopped_run_shows_its_last_point(activation):
    """Whenever it is recorded again: curvature on its last mini-batch, frozen with it."""
    trackers = (Sharpness(batch="batch"), GradAlignment(batch="batch"), HessianTrace())
    run = make_run(RULES["sam"], train__batch_size=3, network__activation=activation, train__n_steps=60)
    run = replace(run, train=replace(run.train, stop_at_train_loss=0.5), record=Record(steps=(60,), trackers=trackers))
    often = replace(run, record=Record(steps=tuple(range(61)), trackers=trackers))
    seldom, dense = simulate(run), simulate(often)
    assert seldom.status == "fitted" and 0 < seldom.stopped_step < 60
    for name, values in seldom.values.items():
        assert values[-1] == dense.values[name][-1] and np.isfinite(values).all(), name
