"""ASAM, by filters and by elements, against its equation on explicit weights; the effect of scale."""

import numpy as np
import pytest
import torch
from equations import HEAVY, PLAIN, error, run_of
from helpers import engine_of, full_batches, loss_on

from featlearn.engines.protocol import Vector
from featlearn.optim import ASAM, SAM, ElementwiseASAM

ENGINES = pytest.mark.parametrize("engine", ["gram", "weights"])


def adaptive(rho, scale):
    """gradient(w + rho T^2 g / |T g|), T = scale(w)."""

    def equation(plain):
        def gradient(t, w, chosen, buffer):
            g = plain.gradient(w, chosen)
            length = np.sqrt((scale(w) ** 2 * g**2).sum())
            return plain.gradient(w + rho * scale(w) ** 2 * g / length if length else w, chosen)

        return gradient

    return equation


def by_filter(w):
    return np.sqrt((w * w).sum(1, keepdims=True))


@pytest.mark.parametrize("base", [PLAIN, HEAVY], ids=["plain", "heavy"])
@ENGINES
def test_filters_are_perturbed_by_their_norm_squared(base, engine):
    rule = ASAM(rho=0.5, base=base)
    assert error(rule, adaptive(0.5, by_filter), engine=engine) < 1e-12
    assert error(rule, adaptive(0.5, np.ones_like), engine=engine) > 1e-3  # it is not SAM
    without_bias = adaptive(0.5, lambda w: by_filter(w[:, :-1]))
    assert error(rule, without_bias, engine=engine, network__init_std=0.3) > 1e-4  # a filter has its bias


@pytest.mark.parametrize("eta", [0.0, 0.1])
def test_elements_are_perturbed_by_their_size_squared(eta):
    rule = ElementwiseASAM(rho=0.5, eta=eta, base=HEAVY)
    assert error(rule, adaptive(0.5, lambda w: np.abs(w) + eta), engine="weights") < 1e-12
    assert error(rule, adaptive(0.5, by_filter), engine="weights") > 1e-4


@pytest.mark.parametrize("rule", [ASAM(rho=0.5, base=PLAIN), ElementwiseASAM(rho=0.5, eta=0.0, base=PLAIN)])
def test_nothing_changes_where_a_filter_is_scaled_with_its_output(rule):
    """The purpose of ASAM: relu(c x) = c relu(x), and eps scales with w; that of SAM does not."""
    scales = torch.tensor([0.1, 2.0, 5.0, 0.5, 3.0, 1.0], dtype=torch.float64)

    def perturbed(rule, scales):
        built = engine_of(run_of(rule, engine="weights", batch_size=8))
        start, second = built.initial(), built.problem.head
        outputs = built._outputs

        def rescaled(leaves, patches):  # the network with its second layer divided by the scales
            return outputs(tuple(leaf / scales.reshape(1, 6, *[1] * (leaf.ndim - 2)) for leaf in leaves), patches)

        built._outputs = rescaled
        w = Vector(tuple(leaf * scales.reshape(1, 6, *[1] * (leaf.ndim - 2)) for leaf in start.leaves))
        assert len(second) == 6
        point = rule.probe(loss_on(built, full_batches(built, 1)[0]), w, rule.init(w), 0)
        return built.outputs(point)

    plain = perturbed(rule, torch.ones_like(scales))
    assert torch.allclose(perturbed(rule, scales), plain, rtol=0, atol=1e-12)
    sam = SAM(rho=0.5, base=PLAIN)
    assert not torch.allclose(perturbed(sam, scales), perturbed(sam, torch.ones_like(scales)), atol=1e-3)


@ENGINES
def test_filters_that_are_zero_are_not_perturbed(engine):
    rule = ASAM(rho=0.5, base=PLAIN)
    built = engine_of(run_of(rule, engine=engine, network__init_std=0.0))
    w = built.initial()
    point = rule.probe(loss_on(built, full_batches(built, 1)[0]), w, rule.init(w), 0)
    assert all(torch.equal(a, b) for a, b in zip(point.leaves, w.leaves, strict=True))
