"""The random numbers of a step: their laws, and what is shared with the rule."""

import math
from dataclasses import replace

import pytest
import torch
from sde_laws import DATA, F64, apart, block, flat, limit, loss_of

from featlearn.data import NoData
from featlearn.models.quadratic import Quadratic
from featlearn.optim import MUSAM, SAM, SGD, USAM, SignSGD
from featlearn.sde import INTEGRATORS
from featlearn.sde.draws import draw
from featlearn.sde.gaussian import Gaussian, SampledGaussian
from featlearn.sde.systems import Sampled

PLAIN = SGD(lr=1.0)
QUADRATIC = {"model": Quadratic(spectrum=(1.0, 2.0, 3.0)), "data": NoData()}
LANES = 4096


def drawn(dynamics, loss, t=0):
    """Systems, increments [b, k, m] and uniform numbers of the substeps."""
    systems, dw, uniforms = zip(*draw(dynamics, loss, t, INTEGRATORS[dynamics.settings.integrator]()), strict=True)
    return systems, torch.stack(dw, 1), uniforms


def noisy(count=LANES):
    return loss_of(block(count, **QUADRATIC, seeds=range(count)), None, noise=0.3)


def mini_batch(size=2, *, count=LANES, data=DATA, **law):
    samples = torch.arange(size).expand(count, size)
    return loss_of(block(count, data=data, seeds=range(count)), samples, **law)


def standardized(x, expected=0.0):
    """How far the mean of x over the runs is from its expectation, in standard errors, at most."""
    return float(((x.mean(0) - expected) / (x.std(0) / math.sqrt(len(x)))).abs().max())


@pytest.mark.parametrize("rule", [PLAIN, USAM(rho=0.1, base=PLAIN), SignSGD(lr=1.0)], ids=["sgd", "usam", "signsgd"])
def test_the_increments_of_a_step_sum_to_the_noise_of_the_rule(rule):
    """And are independent standard normals over sqrt k all the same."""
    k, loss = 4, noisy()
    systems, dw, _ = drawn(limit(rule, substeps=k), loss)
    assert all(isinstance(system, Gaussian) for system in systems)
    assert (dw.sum(1) - flat(loss.injected)).abs().max() < 1e-13
    x = (math.sqrt(k) * dw).flatten(1)
    assert standardized(x) < 4
    products = x[:, :, None] * x[:, None]
    assert standardized(products, torch.eye(k * 3, dtype=F64)) < 4.5  # of 144 numbers


def test_one_increment_is_the_noise_of_the_rule_to_the_last_bit_or_two():
    loss = noisy(64)
    assert apart(drawn(limit(PLAIN, substeps=1), loss)[1][:, 0], flat(loss.injected)) < 1e-14


@pytest.mark.parametrize("loss", [mini_batch(), noisy()], ids=["mini-batches", "sampled noise"])
def test_other_increments_are_independent_normals_too(loss):
    rule = SAM(rho=0.1, base=SignSGD(lr=1.0)) if loss.gradient_noise else PLAIN
    _, dw, _ = drawn(limit(rule, substeps=2), loss)
    x = (math.sqrt(2) * dw).flatten(1)
    assert standardized(x) < 4 and standardized(x[:, :, None] * x[:, None], torch.eye(x.shape[1], dtype=F64)) < 4
    other = drawn(limit(rule, substeps=2), loss, t=1)[1]
    assert standardized((dw * other).flatten(1)) < 4 and not (dw == other).any()


def test_a_seed_has_its_own_numbers_in_any_block():
    """Blocks of whole registers and of one run."""
    dynamics = limit(SAM(rho=0.1, base=PLAIN), substeps=3, integrator="strang")
    everyone, alone = mini_batch(count=32), block(1, data=DATA, seeds=[7])
    systems, dw, uniforms = drawn(dynamics, everyone)
    one = loss_of(alone, torch.arange(2)[None])
    systems_1, dw_1, uniforms_1 = drawn(dynamics, one)
    assert torch.equal(dw[7], dw_1[0])
    for many, single in zip(systems, systems_1, strict=True):
        assert torch.equal(many.samples[7], single.samples[0])
    for many, single in zip(uniforms, uniforms_1, strict=True):
        assert torch.equal(many[7], single[0])


@pytest.mark.parametrize("replacement", [False, True])
def test_mini_batches_have_the_law_of_the_rule(replacement):
    """All ordered pairs of 5 samples are equally likely, at both places of a set; sets and substeps are independent."""
    rule = USAM(rho=0.1, base=PLAIN)
    systems, _, _ = drawn(limit(rule, substeps=2, sets=2), mini_batch(replacement=replacement))
    assert all(type(system) is Sampled and system.size == 2 for system in systems)
    assert {system.n_sets for system in systems} == {4 if replacement else 2}
    samples = torch.stack([system.samples.reshape(LANES, 4, 2) for system in systems], 1).flatten(1, 2)
    pairs = 5 * samples[..., 0] + samples[..., 1]
    counts = torch.stack([torch.bincount(pairs[:, i], minlength=25) for i in range(8)]).double()
    possible = torch.ones(25, dtype=torch.bool) if replacement else ~torch.eye(5, dtype=torch.bool).flatten()
    assert (counts[:, ~possible] == 0).all()
    expected = LANES / possible.sum()
    assert ((counts[:, possible] - expected) / expected.sqrt()).abs().max() < 4.5
    firsts = torch.nn.functional.one_hot(samples[..., 0], 5).double() - 0.2
    between = torch.einsum("bic,bjd->bijcd", firsts, firsts)
    same_set = torch.eye(8, dtype=torch.bool) if replacement else torch.kron(torch.eye(4), torch.ones(2, 2)).bool()
    assert standardized(between[:, ~same_set]) < 5  # of 1400 numbers
    if not replacement:  # those of a set are disjoint
        assert all(row.unique().numel() == 4 for row in samples[:50].reshape(200, 4))


def test_every_substep_of_every_step_has_its_own_draws():
    batches, noises, signs = set(), set(), set()
    for t in (0, 1):
        systems, _, uniforms = drawn(
            limit(SAM(rho=0.1, base=PLAIN), substeps=3, integrator="strang"), mini_batch(count=1), t
        )
        batches |= {tuple(system.samples[0].tolist()) for system in systems}
        signs |= {float(x) for substep in uniforms for x in substep.flatten()}
        systems, _, _ = drawn(limit(SAM(rho=0.1, base=PLAIN), substeps=3, expansion="exact"), noisy(1), t)
        assert all(type(system) is SampledGaussian for system in systems)
        noises |= {float(x) for system in systems for x in system.draws.flatten()}
    assert (len(batches), len(signs), len(noises)) == (6, 2 * 3 * 4, 2 * 3 * 2 * 3)


def test_one_mini_batch_in_a_set_where_two_do_not_fit():
    for replacement in (False, True):
        loss = mini_batch(4, count=1, replacement=replacement)
        system = drawn(limit(USAM(rho=0.1, base=PLAIN), sets=3), loss)[0][0]
        assert (system.n_sets, system.n_noises, system.samples.shape) == (3, 3, (1, 12))


def test_micro_batches_stay_within_their_mini_batch():
    rule = MUSAM(rho=0.1, micro_batch_size=2, base=PLAIN)
    system = drawn(limit(rule, sets=2), mini_batch(4, count=1, data=replace(DATA, n_samples=8)))[0][0]
    assert (system.n_noises, system.samples.shape) == (4, (1, 16))
    assert sorted(system.samples[0, :8].tolist()) == list(range(8))


def test_flows_and_whole_sets_draw_no_increments():
    for dynamics, loss in ((limit(PLAIN, "flow"), noisy(1)), (limit(PLAIN), loss_of(block(1), None))):
        for _, dw, uniforms in draw(dynamics, loss, 0, INTEGRATORS["strang"]()):
            assert dw is None and uniforms is None


@pytest.mark.parametrize(("integrator", "count"), [("strang", 5), ("platen", 10), ("rk4", 0)])
def test_uniform_numbers_are_as_many_as_the_integrator_takes(integrator, count):
    _, _, uniforms = drawn(limit(PLAIN, substeps=2, integrator=integrator), mini_batch(count=2))
    assert [None if u is None else tuple(u.shape) for u in uniforms] == [(2, count) if count else None] * 2
    if count:
        assert not (uniforms[0] == uniforms[1]).any()
