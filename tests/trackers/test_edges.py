"""The edges at the numbers of the rule, the step and the gradient."""

import numpy as np
import pytest
import torch
from helpers import RULES, drawn_batches, engine_of, make_run, view_of

from featlearn.engines.protocol import Loss as BatchLoss
from featlearn.loop import NextStep
from featlearn.optim import SAM, SGD, USAM, stack
from featlearn.optim.schedules import Cosine, FollowLR
from featlearn.runs import Record
from featlearn.simulation import simulate, simulate_block
from featlearn.theory import sam_edge, usam_edge
from featlearn.trackers import Loss, SamEdge, StabilityEdge


def test_at_the_rules_numbers():
    for rule, expected in (
        (SAM(rho=0.2, base=SGD(lr=0.1)), lambda g: sam_edge(0.1, 0.2, g)),
        (USAM(rho=0.2, base=SGD(lr=0.1)), lambda g: usam_edge(0.1, 0.2)),
        (SAM(rho=0.0, base=SGD(lr=0.1)), lambda g: 20.0),
    ):
        view = view_of(make_run(rule), steps=3)
        assert SamEdge()(view)["sam_edge"].item() == pytest.approx(float(expected(view.grad_norm.item())), rel=1e-12)
        assert StabilityEdge()(view)["stability_edge"].item() == 20.0


def test_every_run_of_a_block_has_its_own():
    rules = [SAM(rho=rho, base=SGD(lr=lr)) for rho, lr in ((0.1, 0.1), (0.3, 0.1), (0.1, 0.2))]
    trackers = (SamEdge(), StabilityEdge(), Loss())
    runs = [make_run(rule, record=Record(steps=(0, 10, 20), trackers=trackers)) for rule in rules]
    for rule, trajectory in zip(rules, simulate_block(runs), strict=True):
        values = trajectory.values
        assert values["sam_edge"] == pytest.approx(sam_edge(rule.base.lr, rule.rho, values["grad_norm"]), rel=1e-12)
        assert values["stability_edge"] == pytest.approx(2 / rule.base.lr)
        assert (values["sam_edge"] < values["stability_edge"]).all()
    assert stack(rules, torch.tensor).edge == "sam"


def test_outside_the_window_sam_has_the_edge_of_its_base():
    """Also in a run that has stopped: it keeps the radius of its last step."""
    rule = SAM(rho=0.2, start=5, stop=10, base=SGD(lr=0.1))
    values = simulate(make_run(rule, record=Record(steps=tuple(range(21)), trackers=(SamEdge(),)))).values["sam_edge"]
    assert (values[:5] == 20).all() and (values[5:10] < 19).all() and (values[10:] == 20).all()


def test_a_schedule_moves_the_edges():
    """Each at the rate and the radius of its step; no step is too long at rate 0. Also in a run that has stopped."""
    base = SGD(lr=0.1, lr_schedule=Cosine(steps=20))
    rule = SAM(rho=0.2, rho_schedule=FollowLR(), base=base)
    record = Record(steps=tuple(range(21)), trackers=(SamEdge(), StabilityEdge(), Loss()))
    run = make_run(rule, record=record)
    values = simulate(run).values
    rates, radii = np.array([base.rate(t) for t in range(20)]), np.array([rule.radius(t) for t in range(20)])
    assert values["stability_edge"][:20] == pytest.approx(2 / rates, rel=1e-12)
    assert values["sam_edge"][:20] == pytest.approx(sam_edge(rates, radii, values["grad_norm"][:20]), rel=1e-12)
    assert values["sam_edge"][20] == values["stability_edge"][20] == np.inf
    level = float(values["train_loss"][7:9].mean())
    early = make_run(rule, record=Record(steps=(0, 20), trackers=record.trackers), train__stop_at_train_loss=level)
    stopped = simulate(early)
    assert stopped.stopped_step == 8 and stopped.values["stability_edge"][-1] == values["stability_edge"][8]


def test_on_the_gradient_of_the_mini_batch():
    run = make_run(SAM(rho=0.2, base=SGD(lr=0.1)), train__batch_size=2)
    engine, (batch, *_) = engine_of(run), drawn_batches(run, 1)[0]
    w = engine.initial()
    view = NextStep.of(run.optimizer, BatchLoss(engine, batch), w, run.optimizer.init(w), 0).view(engine, w, 0)
    g = engine.gradient(w, batch)
    expected = sam_edge(0.1, 0.2, engine.inner(g, g).sqrt().item())
    assert SamEdge(batch="batch")(view)["sam_edge"].item() == pytest.approx(float(expected), rel=1e-12)
    assert SamEdge()(view)["sam_edge"].item() != pytest.approx(float(expected), rel=1e-3)


def test_without_gradient_the_edge_is_zero():
    view = view_of(make_run(SAM(rho=0.2, base=SGD(lr=0.1)), network__init_std=0.0, data__signal_norm=0.0))
    assert SamEdge()(view)["sam_edge"].item() == 0


@pytest.mark.parametrize(
    "rule",
    [
        SGD(lr=0.1, momentum=0.5),
        SGD(lr=0.1, weight_decay=0.1),
        SAM(rho=0.1, base=SGD(lr=0.1, momentum=0.5)),
        USAM(rho=0.1, base=SGD(lr=0.1, weight_decay=0.5)),
    ],
)
def test_momentum_and_decay_have_no_edge(rule):
    assert rule.edge is None
    for tracker in (SamEdge(), StabilityEdge()):
        with pytest.raises(ValueError, match=f"no edge for {type(rule).__name__}"):
            tracker(view_of(make_run(rule)))


def test_only_these_rules_have_an_edge():
    """A variant of SAM is not SAM, whatever it is derived from."""
    known = {name: edge for name, rule in RULES.items() if (edge := getattr(rule, "edge", None))}
    assert {type(RULES[name]) for name in known} == {SGD, SAM, USAM}
    assert len({type(rule) for rule in RULES.values()}) > 3


def test_gradient_descent_has_no_edge_of_sam():
    with pytest.raises(ValueError, match="SamEdge has no edge for SGD"):
        SamEdge()(view_of(make_run(SGD(lr=0.1))))
