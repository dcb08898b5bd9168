"""Drift and noise of every rule over mini-batches, against the rule itself: all its ordered mini-batches, enumerated.

With expansion exact, D_b is what the rule does, so that mean and covariance are equal; to lower orders the error falls
with the radius as stated.
"""

from dataclasses import replace

import pytest
import torch
from sde_laws import DATA, F64, apart, block, every, first_system, flat, law, limit, loss_of, moments, sequences

from featlearn.engines.batches import batch_variance
from featlearn.optim import DNSAM, MSAM, MUSAM, NSAM, NUSAM, SAM, SGD, USAM, SignSGD
from featlearn.sde.systems import FullBatch, PerSample, Sampled, Weighted

PLAIN, SIGN, RHO = SGD(lr=1.0), SignSGD(lr=1.0), 0.3
LINEAR = {"sgd": PLAIN, "n_sam": NSAM(rho=RHO, base=PLAIN), "n_usam": NUSAM(rho=RHO, base=PLAIN)}
SINGLE = {
    "msam": MSAM(rho=RHO, micro_batch_size=1, base=PLAIN),
    "m_usam": MUSAM(rho=RHO, micro_batch_size=1, base=PLAIN),
}
OTHER = {
    "sam": SAM(rho=RHO, base=PLAIN),
    "usam": USAM(rho=RHO, base=PLAIN),
    "dnsam": DNSAM(rho=RHO, base=PLAIN),
    "msam": MSAM(rho=RHO, micro_batch_size=2, base=PLAIN),
    "m_usam": MUSAM(rho=RHO, n_shards=2, base=PLAIN),
    "signsgd": SIGN,
    "sam on signsgd": SAM(rho=RHO, base=SIGN),
}
LAWS = [(1, False), (2, False), (4, False), (2, True), (4, True)]
EXACT = [(rule, size, law) for rule in LINEAR.values() for size, law in LAWS]
EXACT += [(rule, size, law) for rule in SINGLE.values() for size, law in LAWS]
EXACT += [(OTHER[name], 1, law) for name in ("sam", "usam", "dnsam", "signsgd") for law in (False, True)]


def mini_batch_system(rule, size, *, replacement=False, **settings):
    """The system of a block, as the draws choose it."""

    def made(engine):
        samples = torch.arange(size).expand(len(engine.seeds), size)
        return first_system(limit(rule, **settings), loss_of(engine, samples, replacement=replacement))

    return made


def ids(case):
    rule, size, replacement = case
    return f"{type(rule).__name__} {size}{' with replacement' * replacement}"


@pytest.mark.parametrize("case", EXACT, ids=ids)
def test_mean_and_covariance_are_those_of_the_rule(case):
    rule, size, replacement = case
    theirs = law(every(sequences(5, size, replacement=replacement), rule))
    system_of = mini_batch_system(rule, size, replacement=replacement, expansion="exact")
    assert type(system_of(block(1))) is (Weighted if rule in LINEAR.values() else PerSample)
    mean, covariance = moments(system_of, 5)
    assert apart(mean, theirs[0]) < 1e-13 and apart(covariance, theirs[1]) < 1e-12
    if size > 1:  # negative control: the other law
        wrong = moments(mini_batch_system(rule, size, replacement=not replacement, expansion="exact"), 5)[1]
        assert apart(wrong, theirs[1]) > 0.1


@pytest.mark.parametrize(("expansion", "ratio"), [("first", 4.0), ("second", 8.0)])
@pytest.mark.parametrize("rule", [LINEAR["n_usam"], LINEAR["n_sam"], SINGLE["msam"], SINGLE["m_usam"]])
def test_the_error_of_an_expansion_falls_with_the_radius(rule, expansion, ratio):
    """Of mean and covariance, by 2^2 or 2^3 when the radius is halved."""
    errors = []
    for rho in (0.02, 0.01):
        one = replace(rule, rho=rho)
        mean, covariance = law(every(sequences(5, 2, replacement=False), one))
        ours = moments(mini_batch_system(one, 2, expansion=expansion), 5)
        errors.append(torch.stack([(ours[0] - mean).abs().max(), (ours[1] - covariance).abs().max()]))
    assert ((errors[0] / errors[1]).log2() - torch.tensor(ratio).log2()).abs().max() < 0.1


def test_without_noise_the_whole_set_is_the_flow():
    for rule in (*LINEAR.values(), OTHER["sam"], OTHER["usam"], OTHER["dnsam"], SIGN):
        system = first_system(limit(rule, expansion="exact"), loss_of(block(1), None))
        assert type(system) is FullBatch and system.n_noises == 0
        found = -flat(system.increment(system.loss.engine.initial(), 0.25, None))
        assert apart(found[0], 0.25 * every(torch.arange(5)[None], rule)[0]) < 1e-14


def test_micro_batches_of_the_whole_set_have_a_random_split():
    """One sample each: no randomness. Two each: the split is drawn, and the drift is the mean over splits."""
    single = mini_batch_system(SINGLE["m_usam"], 4, expansion="exact")
    four = replace(DATA, n_samples=4)

    def whole(rule):
        return lambda engine: first_system(limit(rule, expansion="exact", sets=2), loss_of(engine, None))

    engine = block(1, data=four)
    assert type(single(block(1))) is PerSample
    system = whole(SINGLE["m_usam"])(engine)
    assert type(system) is PerSample and system.variance == 0
    split = whole(OTHER["m_usam"])(engine)
    assert type(split) is Sampled and split.n_noises == 2 and sorted(split.samples[0, :4].tolist()) == [0, 1, 2, 3]


@pytest.mark.parametrize("name", OTHER)
@pytest.mark.parametrize(("n_sets", "each"), [(2, 2), (4, 1), (3, 1)])
def test_sampled_moments_are_those_of_the_samples(name, n_sets, each):
    """The mean of the rule's directions on the mini-batches that were drawn, and their covariance between sets
    (divided by one less than their number, which makes it unbiased), averaged over the places in a set."""
    rule, size = OTHER[name], 4
    data = replace(DATA, n_samples=8)
    draws = [torch.randperm(8, generator=torch.Generator().manual_seed(i))[: each * size] for i in range(n_sets)]
    samples = torch.cat(draws)
    on_each = every(samples.reshape(-1, size), rule, data=data).reshape(n_sets, each, -1)
    centred = on_each - on_each.mean(0)
    covariance = torch.einsum("pjd,pje->de", centred, centred) / (each * (n_sets - 1))

    def made(engine):
        system = mini_batch_system(rule, size, expansion="exact")(engine)
        assert type(system) is Sampled
        return replace(system, samples=samples.expand(len(engine.seeds), -1), n_sets=n_sets)

    found = moments(made, n_sets * each, data=data)
    assert apart(found[0], on_each.mean((0, 1))) < 1e-13 and apart(found[1], covariance) < 1e-12


def test_sampled_moments_are_unbiased():
    """Over all pairs of sets of two mini-batches each: exactly the rule's mean and covariance."""
    rule, data = OTHER["usam"], replace(DATA, n_samples=4)
    orders = sequences(4, 4, replacement=False)
    pairs = torch.stack([torch.cat([a, b]) for a in orders for b in orders])
    theirs = law(every(sequences(4, 2, replacement=False), rule, data=data))
    engine = block(len(pairs), data=data)
    system = mini_batch_system(rule, 2, expansion="exact")(engine)
    system = replace(system, samples=pairs, n_sets=2)
    w = engine.initial()
    mean = -flat(system.increment(w, 1.0, None)).mean(0)
    noises = torch.stack([flat(system.increment(w, 0.0, one.expand(len(pairs), 4))) for one in torch.eye(4, dtype=F64)])
    covariance = torch.einsum("jbd,jbe->de", noises, noises) / len(pairs)
    assert apart(mean, theirs[0]) < 1e-13 and apart(covariance, theirs[1]) < 1e-12


# The table of Luo et al. 2025 (arXiv 2509.18001): what the drifts descend, and the noise of micro-batches.


def gradient_of(function, at=None):
    """The gradient of a function of the samples' losses [n] and of their gradients [n, D], at the initial point."""
    engine = block(1)
    leaves = tuple(leaf.clone().requires_grad_() for leaf in (at(engine) if at else engine.initial()).leaves)
    losses = engine.losses(replace(engine.initial(), parts=leaves))[0]
    rows = [torch.autograd.grad(one, leaves, create_graph=True, materialize_grads=True) for one in losses]
    each = torch.stack([torch.cat([g.flatten() for g in row]) for row in rows])
    return torch.cat([g.flatten() for g in torch.autograd.grad(function(losses, each), leaves)])


def trace_of_covariance(each):
    return (each - each.mean(0)).square().sum() / len(each)


TABLE = {
    "n_usam": (LINEAR["n_usam"], lambda size, c: 0.0),
    "m_usam": (SINGLE["m_usam"], lambda size, c: c(1)),
    "m_usam, B = 1": (OTHER["usam"], lambda size, c: c(1)),
}


@pytest.mark.parametrize("replacement", [False, True])
@pytest.mark.parametrize("name", TABLE)
def test_the_drift_descends_the_modified_loss(name, replacement):
    """f + rho/2 |grad f|^2 + rho c/2 tr V, c = (n - m) / (m (n - 1)) without and 1/m with replacement."""
    rule, factor = TABLE[name]
    size = 1 if "B = 1" in name else 2
    words = {True: "with_replacement", False: "without_replacement"}
    c = factor(size, lambda m: batch_variance(5, m, words[replacement]))

    def modified(losses, each):
        return losses.mean() + RHO / 2 * (each.mean(0).square().sum() + c * trace_of_covariance(each))

    mean = moments(mini_batch_system(rule, size, replacement=replacement), 5)[0]
    assert apart(mean, gradient_of(modified)) < 1e-12


def over_all(rule, *, replacement=False):
    """The system whose samples are all ordered mini-batches of 4."""
    sequence = sequences(5, 4, replacement=replacement)
    system = mini_batch_system(rule, 4, replacement=replacement)(block(1))
    return replace(system, samples=sequence.flatten()[None], n_sets=len(sequence)), block(1).initial()


@pytest.mark.parametrize("replacement", [False, True])
@pytest.mark.parametrize(("name", "m"), [("usam", 4), ("m_usam", 2)])
def test_the_drift_over_sampled_mini_batches_descends_it_too(name, m, replacement):
    """The mean of the directions that are sampled beside a noise, over all mini-batches."""
    system, w = over_all(OTHER[name], replacement=replacement)
    mean = -flat(system.increment(w, 1.0, torch.zeros(1, system.n_noises, dtype=F64)))[0]
    c = batch_variance(5, m, "with_replacement" if replacement else "without_replacement")

    def modified(losses, each, c=c):
        return losses.mean() + RHO / 2 * (each.mean(0).square().sum() + c * trace_of_covariance(each))

    assert apart(mean, gradient_of(modified)) < 1e-12
    assert apart(mean, gradient_of(lambda *x: modified(*x, c=2 * c))) > 1e-3  # negative control


@pytest.mark.parametrize("replacement", [False, True])
@pytest.mark.parametrize("name", ["usam", "dnsam", "m_usam"])
def test_the_drift_alone_is_the_mean_in_closed_form(name, replacement):
    """To first order: the mean over all mini-batches, without drawing any."""
    system, w = over_all(OTHER[name], replacement=replacement)
    sampled = flat(system.increment(w, 0.5, torch.zeros(1, system.n_noises, dtype=F64)))
    none = replace(system, samples=system.samples[:, :8], n_sets=2)
    assert apart(flat(none.increment(w, 0.5, None)), sampled) < 1e-12
    exact = replace(none, limit=replace(none.limit, expansion="exact"))
    assert apart(flat(exact.increment(w, 0.5, None)), sampled) > 1e-3


def test_sam_descends_the_mean_length_of_the_gradient():
    engine = block(1)
    pairs = sequences(5, 2, replacement=False)
    system = replace(mini_batch_system(OTHER["sam"], 2)(engine), samples=pairs.flatten()[None], n_sets=len(pairs))
    mean = -flat(system.increment(engine.initial(), 1.0, None))[0]  # which has no closed form

    def modified(losses, each):
        return losses.mean() + RHO * each[pairs].mean(1).norm(dim=1).mean()

    assert apart(mean, gradient_of(modified)) < 1e-12
    single = moments(mini_batch_system(SINGLE["msam"], 2), 5)[0]
    assert apart(single, gradient_of(lambda losses, each: losses.mean() + RHO * each.norm(dim=1).mean())) < 1e-12


def test_micro_batches_divide_the_noise():
    """With replacement they are independent: the covariance is m/B times that of one."""
    one = moments(mini_batch_system(SINGLE["m_usam"], 1, replacement=True), 5)[1]
    four = moments(mini_batch_system(SINGLE["m_usam"], 4, replacement=True), 5)[1]
    assert apart(four, one / 4) < 1e-13
