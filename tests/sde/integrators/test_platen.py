"""Platen's scheme against its published form and against twins that lack a term; its orders: test_contract.py."""

import numpy as np
import pytest
import torch
from sde_orders import CURVED, Plain, linear_moments, local_error, local_moments, slopes, weak_error

from featlearn.engines.vector import Vector
from featlearn.sde.integrators import Platen

STEPS = [2.0**-k for k in (6, 7, 8)]


class Published(Platen):
    """(15.1.3) term by term."""

    def step(self, system, w, h, dw, uniforms):
        m, root, eye = dw.shape[1], h**0.5, torch.eye(dw.shape[1], dtype=dw.dtype)

        def b(j, x, factor):
            return system.increment(x, 0.0, factor[:, None] * eye[j])

        one, v = torch.ones_like(dw[:, 0]), self.products(h, dw, uniforms) - dw[:, :, None] * dw[:, None, :]
        a = system.increment(w, h, None)
        end = w + 0.5 * (a + system.increment(w + a + system.increment(w, 0.0, dw), h, None))
        for j in range(m):
            own, dwj = b(j, w, root * one), 0.25 * dw[:, j]
            plus, minus = w + a + own, w + a - own
            end = end + b(j, plus, dwj) + b(j, minus, dwj) + b(j, w, 2 * dwj)
            square = 0.25 * (dw[:, j] ** 2 - h) / root
            end = end + b(j, plus, square) - b(j, minus, square)
            for r in set(range(m)) - {j}:
                plus, minus = (w + sign * b(r, w, root * one) for sign in (1.0, -1.0))
                end = end + b(j, plus, dwj) + b(j, minus, dwj) - b(j, w, 2 * dwj)
                area = 0.25 * (dw[:, j] * dw[:, r] + v[:, r, j]) / root
                end = end + b(j, plus, area) - b(j, minus, area)
        return end


class WithoutSigns(Platen):
    def products(self, h, dw, uniforms):
        return dw[:, :, None] * dw[:, None, :] - h * torch.eye(dw.shape[1], dtype=dw.dtype)


class WithoutCrossTerms(Platen):
    def products(self, h, dw, uniforms):
        return super().products(h, dw, uniforms) * torch.eye(dw.shape[1], dtype=dw.dtype)


class SymmetricSigns(Platen):
    def products(self, h, dw, uniforms):
        products = super().products(h, dw, uniforms)
        return products.triu() + products.triu(1).mT


@pytest.mark.parametrize(
    "wrong", [WithoutSigns(), WithoutCrossTerms(), SymmetricSigns()], ids=lambda x: type(x).__name__
)
def test_without_its_cross_terms_it_has_order_one(wrong):
    """Negative controls: the measured order is that of the term which is missing."""
    assert slopes([weak_error(wrong, h) for h in STEPS]) == pytest.approx(1, abs=0.05)
    assert slopes([local_error(wrong, CURVED, h / 8) for h in STEPS]) == pytest.approx(2, abs=0.05)


def test_fewer_support_points_change_a_step_at_the_third_order_only():
    assert slopes([local_error(Published(), CURVED, h) for h in STEPS]) == pytest.approx(3, abs=0.05)
    changes = [local_moments(Platen(), CURVED, h) - local_moments(Published(), CURVED, h) for h in STEPS]
    assert slopes(np.linalg.norm(changes, axis=1)) == pytest.approx(3, abs=0.05)


def test_a_linear_equation_has_the_published_moments():
    """Differences of linear functions are exact, and there the a h of the support points cancels."""
    for ours, theirs in zip(linear_moments(Platen(), 1 / 64), linear_moments(Published(), 1 / 64), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("m", [1, 2, 5])
def test_a_step_costs_3m_plus_4_evaluations(m):
    points = []
    system = Plain(lambda x: points.append(x) or -x, tuple(lambda x, j=j: x + j for j in range(m)))
    w, dw = Vector((torch.ones(4, 2),)), torch.ones(4, m)
    Platen().step(system, w, 0.25, dw, torch.full((4, m * (m - 1) // 2), 0.5))
    assert len(points) == 3 * m + 4


def test_a_single_noise_needs_no_signs():
    system, w, dw = Plain(lambda x: -x, (lambda x: x,)), Vector((torch.ones(4, 2),)), torch.ones(4, 1)
    with_none, with_empty = (Platen().step(system, w, 0.25, dw, u).leaves[0] for u in (None, torch.empty(4, 0)))
    assert torch.equal(with_none, with_empty)


def test_missing_signs_are_refused():
    system, w, dw = Plain(lambda x: -x, (lambda x: x,) * 3), Vector((torch.ones(4, 2),)), torch.ones(4, 3)
    with pytest.raises(ValueError, match=r"uniform numbers of shape \(4, 3\), not \(4, 0\)"):
        Platen().step(system, w, 0.25, dw, None)
