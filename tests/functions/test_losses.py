"""Every loss against its twin, torch's own function, and the twin's derivatives by autograd."""

from dataclasses import replace
from decimal import Decimal, localcontext
from itertools import permutations
from typing import get_args, get_type_hints

import pytest
import torch
import torch.nn.functional as F
from helpers import PROPERTY, full_batches, loss_on, make_run
from hypothesis import given
from hypothesis import strategies as st
from twins import POINTS, hessian, jumps

from featlearn.engines.span.engine import GramEngine
from featlearn.functions import LOSSES, LossFunction, loss
from featlearn.functions.losses import SCALAR_LOSSES, mistakes
from featlearn.models.two_layer_cnn import TwoLayerCNN
from featlearn.simulation import build_engine

MARGINS = [-1e4, -800.0, -100.0, -40.5, -39.5, -33.0, -20.5, -20.0, -3.0, -1e-8, 0.0, 1e-8, 1.0]
MARGINS += [19.5, 20.5, 36.0, 41.0, 300.0, 700.0]
REAL_TARGETS = ("square", "half_square")
AT = POINTS[(POINTS == 0) | (POINTS.abs() > 1e-16)]  # nearer to 0, 1 - m rounds to the kink of the smoothed hinge
every = pytest.mark.parametrize("name", LOSSES)
scalar = pytest.mark.parametrize("name", SCALAR_LOSSES)


def samples(name):
    """Outputs [n, C] of all sizes, with ties, and labels [n]."""
    if name != "softmax":
        targets = (1.0, -1.0, 0.3, -7.0) if name in REAL_TARGETS else (1.0, -1.0)
        points = AT if name != "exponential" else AT[AT.abs() < 1e3]
        return points.repeat(len(targets))[:, None], torch.tensor(targets).double().repeat_interleave(len(points))
    drawn = torch.randn(60, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    outputs = torch.cat([*(scale * drawn for scale in (1e-8, 0.1, 1.0, 10.0, 100.0, 1e4)), torch.zeros(3, 3)])
    return outputs, torch.arange(len(outputs)) % 3


def agree(loss, twin, outputs, labels):
    """Whether value, slope and R R' are those of the twin, up to rounding; autograd has an absolute error."""
    root = loss.root(outputs, labels)
    slope, second = hessian(twin, outputs, labels)
    return (
        torch.allclose(loss.value(outputs, labels), twin(outputs, labels), rtol=1e-15, atol=1e-15)
        and torch.allclose(loss.slope(outputs, labels), slope, rtol=1e-14, atol=1e-15)
        and torch.allclose(root @ root.mT, second, rtol=1e-14, atol=1e-15)
    )


@every
def test_value_slope_and_root_are_those_of_the_twin(name):
    assert agree(LOSSES[name], LOSSES[name].twin, *samples(name))


@PROPERTY
@given(f=st.lists(st.floats(-600, 600), min_size=2, max_size=2), y=st.sampled_from([0, 1]))
def test_at_any_output(f, y):
    f = torch.tensor(f, dtype=torch.float64)
    f = torch.where(f.abs() > 1e-16, f, 0.0)
    signs = torch.full((2,), 2.0 * y - 1).double()
    for name in LOSSES:
        outputs, labels = (f[None], torch.tensor([y])) if name == "softmax" else (f[:, None], signs)
        assert agree(LOSSES[name], LOSSES[name].twin, outputs, labels), name


def test_wrong_twins_fail():
    """Negative controls: every loss of one output against every other; cross-entropies smoothed or of other labels."""
    for a, b in permutations(SCALAR_LOSSES, 2):
        assert not agree(LOSSES[a], LOSSES[b].twin, *samples("exponential")), (a, b)
    softmax = LOSSES["softmax"]
    assert not agree(
        softmax, lambda f, y: F.cross_entropy(f, y, reduction="none", label_smoothing=1e-9), *samples("softmax")
    )
    assert not agree(softmax, lambda f, y: softmax.twin(f, (y + 1) % 3), *samples("softmax"))


@pytest.mark.parametrize(
    ("name", "kink", "slope", "second"),
    [
        ("hinge", 1.0, 0.0, 0.0),
        ("smoothed_hinge", 0.0, -1.0, 0.0),
        ("smoothed_hinge", 1.0, 0.0, 0.0),
        ("polynomial", 0.0, -1.0, 2.0),
    ],
)
def test_at_a_kink(name, kink, slope, second):
    outputs, y = torch.tensor([[kink], [-kink]], dtype=torch.float64), torch.tensor([1.0, -1.0], dtype=torch.float64)
    assert (y * LOSSES[name].slope(outputs, y)[:, 0]).tolist() == [slope, slope]
    assert LOSSES[name].root(outputs, y).square().flatten().tolist() == pytest.approx([second] * 2, rel=1e-15)


@every
def test_nan_stays(name):
    n_outputs = LOSSES[name].n_outputs(3)
    outputs = torch.zeros(2, n_outputs)
    outputs[0, -1] = torch.nan
    for of in (LOSSES[name].value, LOSSES[name].mistakes):
        assert of(outputs, torch.tensor([1.0, 1.0])).isnan().tolist() == [True, False]


@every
def test_precision_and_shape_are_kept(name):
    loss = LOSSES[name]
    outputs = torch.linspace(-3, 3, 24).view(4, 2, 3)[..., : loss.n_outputs(3)]
    labels = torch.ones(4, 2)
    for of, shape in (
        (loss.value, (4, 2)),
        (loss.slope, outputs.shape),
        (loss.root, (*outputs.shape, outputs.shape[-1])),
    ):
        single, double = of(outputs, labels), of(outputs.double(), labels.double())
        assert single.dtype == torch.float32 and single.shape == shape
        assert torch.allclose(single.double(), double, rtol=1e-6, atol=3e-7)
    assert loss.mistakes(outputs, labels).dtype == torch.float32


def test_number_of_outputs():
    assert {name: loss.n_outputs(5) for name, loss in LOSSES.items() if loss.n_outputs(5) != 1} == {"softmax": 5}


def exact(margin):
    """The logistic loss, its slope and its second derivative to 60 digits."""
    with localcontext() as context:
        context.prec = 60
        context.Emin = -10_000
        tail, smaller = (-Decimal(margin)).exp(), (-abs(Decimal(margin))).exp()
        loss = (1 + tail).ln() if tail > Decimal("1e-40") else tail - tail**2 / 2
        return float(loss), float(-tail / (1 + tail)), float(smaller / (1 + smaller) ** 2)


@pytest.mark.parametrize("margin", MARGINS)
def test_the_logistic_loss_to_the_last_digits(margin):
    """Also the second derivative s (1 - s), which autograd loses at large negative margins."""
    f, y, logistic = (
        torch.tensor([[margin]], dtype=torch.float64),
        torch.ones(1, dtype=torch.float64),
        LOSSES["logistic"],
    )
    value, slope, second = exact(margin)
    assert logistic.value(f, y).item() == pytest.approx(value, rel=4e-16, abs=0)
    assert logistic.slope(f, y).item() == pytest.approx(slope, rel=4e-16, abs=0)
    assert logistic.root(f, y).square().item() == pytest.approx(second, rel=1e-15, abs=0)


def test_far_out_nothing_overflows():
    logistic, softmax = LOSSES["logistic"], LOSSES["softmax"]
    f, y = torch.tensor([[-1e300], [1e300]], dtype=torch.float64), torch.ones(2, dtype=torch.float64)
    assert logistic.value(f, y).tolist() == [1e300, 0.0]
    assert logistic.slope(f, y).flatten().tolist() == [-1.0, 0.0]
    assert logistic.root(f, y).flatten().tolist() == [0.0, 0.0]
    f, y = torch.tensor([[1e300, 0.0, -1e300]] * 3, dtype=torch.float64), torch.arange(3)
    assert softmax.value(f, y).tolist() == [0.0, 1e300, 2e300]
    assert softmax.slope(f, y).tolist() == [[0.0, 0.0, 0.0], [1.0, -1.0, 0.0], [1.0, 0.0, -1.0]]


@pytest.mark.parametrize("margin", MARGINS)
def test_the_softmax_of_two_classes_is_the_logistic_loss_of_the_difference(margin):
    f = torch.tensor([[margin]], dtype=torch.float64)
    y = torch.ones(1, dtype=torch.float64)
    two = torch.cat([0.0 * f, f], 1)
    softmax, logistic = LOSSES["softmax"], LOSSES["logistic"]
    slope = logistic.slope(f, y)
    root, second = softmax.root(two, y), logistic.root(f, y).square()
    assert softmax.value(two, y).item() == pytest.approx(logistic.value(f, y).item(), rel=1e-15, abs=0)
    assert softmax.slope(two, y)[0].tolist() == pytest.approx([-slope.item(), slope.item()], rel=1e-15, abs=0)
    expected = second[0] * torch.tensor([[1.0, -1.0], [-1.0, 1.0]])
    assert torch.allclose((root @ root.mT)[0], expected, rtol=1e-14, atol=1e-16)


@scalar
def test_an_undecided_output_is_half_a_mistake(name):
    m = torch.tensor([-2.0, -1e-300, -0.0, 0.0, 1e-300, 5.0], dtype=torch.float64)
    expected = [1.0, 1.0, 0.5, 0.5, 0.0, 0.0]
    assert mistakes(m).tolist() == expected
    for y in (torch.ones_like(m), -torch.ones_like(m)):
        assert LOSSES[name].mistakes((y * m)[:, None], y).tolist() == expected


def test_classes_that_tie_share_a_mistake():
    """Whoever guesses among the k largest outputs is wrong with probability 1 - 1/k where the right one is there."""
    outputs = [[3.0, 2.0, 1.0], [1.0, 2.0, 1.0], [2.0, 2.0, 1.0], [2.0, 2.0, 2.0], [1.0, 2.0, 2.0], [0.0, -0.0, -1.0]]
    wrong = LOSSES["softmax"].mistakes(torch.tensor(outputs).double(), torch.zeros(6))
    assert wrong.tolist() == pytest.approx([0.0, 1.0, 1 / 2, 2 / 3, 1.0, 1 / 2], rel=1e-15)


@scalar
def test_smooth_is_without_a_jump_in_the_first_three_derivatives(name):
    found = LOSSES[name]
    assert found.smooth == (name not in ("hinge", "smoothed_hinge", "polynomial"))
    for label in (-1.0, 1.0):
        assert found.smooth != jumps(lambda f, y=label: found.twin(f[:, None], torch.full_like(f, y)), orders=3)


def test_the_softmax_is_smooth():
    assert LOSSES["softmax"].smooth


def test_an_unknown_name_fails_with_the_choices():
    with pytest.raises(ValueError, match=r"^loss: expected one of logistic, exponential, .*, softmax; found hing$"):
        loss("hing")


def test_a_new_loss_is_one_entry(monkeypatch):
    """A config accepts it, and the plain engine trains it as autograd does; loops compiled before refuse it."""
    compiled = pytest.importorskip("featlearn.functions.compiled")
    pseudo_huber = LossFunction(
        "pseudo_huber",
        "sqrt(1 + (f - y) * (f - y)) - 1",
        "(f - y) / sqrt(1 + (f - y) * (f - y))",
        "1 / sqrt(1 + (f - y) * (f - y)) / (1 + (f - y) * (f - y))",
        "(1 + (f - y).square()).sqrt() - 1",
    )
    monkeypatch.setitem(LOSSES, "pseudo_huber", pseudo_huber)
    assert "pseudo_huber" in get_args(get_type_hints(TwoLayerCNN)["loss"])
    explicit = build_engine([make_run(network__loss="pseudo_huber", engine="weights")], "cpu")
    alpha, coef, _ = step(GramEngine(explicit.problem)).leaves
    rebuilt = alpha[:, None, None] * explicit.initial().leaves[0] + coef @ explicit._distinct
    assert float((rebuilt - step(explicit).leaves[0]).abs().max()) < 1e-14
    assert float((rebuilt - explicit.initial().leaves[0]).abs().max()) > 1e-3
    with pytest.raises(ValueError, match=r"loss: expected one of logistic, .*; found pseudo_huber"):
        compiled.loss_kind("pseudo_huber")


def step(engine):
    """The parameters after one step of gradient descent."""
    w, rule = engine.initial(), replace(make_run().optimizer, lr=1.0)
    (batch,) = full_batches(engine, 1)
    return rule.step(loss_on(engine, batch), w, rule.init(w), 0)[0]
