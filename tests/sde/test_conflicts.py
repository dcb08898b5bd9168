"""What a flow or an SDE cannot do, and what is valid but probably not intended."""

from dataclasses import dataclass, replace

import pytest
from sde_laws import apart, every, law, limit, sequences

from featlearn.optim import DNSAM, MSAM, MUSAM, NSAM, NUSAM, SAM, SGD, USAM, SignSGD
from featlearn.sde.conflicts import MOST_NOISES, Setting, cautions, drawn_share, refusals

BASE, SIGN = SGD(lr=0.1), SignSGD(lr=0.1)
FULL = Setting(
    n_samples=8,
    batch_size=8,
    batch_sampling="epochs",
    gradient_noise=0.0,
    n_parameters=10,
    smooth=True,
    at_rest=False,
)
NOISY = replace(FULL, gradient_noise=0.1)
SUBSETS = replace(FULL, batch_size=4, batch_sampling="without_replacement")
RESAMPLED = replace(FULL, batch_sampling="with_replacement")
SAM_, USAM_, SHARDS = SAM(rho=0.1, base=BASE), USAM(rho=0.1, base=BASE), MSAM(rho=0.1, n_shards=2, base=BASE)
LATE, SINGLE = SAM(rho=0.1, start=5, base=BASE), MUSAM(rho=0.1, micro_batch_size=1, base=BASE)


@dataclass(frozen=True, kw_only=True)
class Own:
    lr: float = 0.1

    def drift(self, loss, w, t):
        return -1.0 * w

    def diffusion(self, loss, w, z, t):
        return z


SECOND, EXACT, TRUNCATED = {"expansion": "second"}, {"expansion": "exact"}, {"covariance": "truncated"}
PLATEN = {"integrator": "platen"}
TWO = "train.gradient_noise and "
MEANT = "truncated is for the perturbed gradients of sam, usam and dnsam with train.gradient_noise"
REFUSED = [
    (SAM_, SECOND, replace(FULL, smooth=False), "expansion", "second needs third derivatives of the loss"),
    (SAM_, SECOND, replace(FULL, n_bytes=5 * 2**30), "expansion", "second computes third derivatives on explicit weig"),
    (Own(), SECOND, FULL, "expansion", "a drift of your own is not expanded"),
    (BASE, {}, replace(SUBSETS, gradient_noise=0.1), "dynamics", TWO + "mini-batches together have no limit"),
    (BASE, {}, replace(RESAMPLED, gradient_noise=0.1), "dynamics", TWO + "mini-batches together have no limit"),
    (SHARDS, {}, NOISY, "dynamics", TWO + "micro-batches together have no limit"),
    (SHARDS, {"dynamics": "flow"}, NOISY, "dynamics", TWO + "micro-batches together have no limit"),
    (NSAM(rho=0.1, base=SIGN), {}, SUBSETS, "dynamics", "NSAM on the base signsgd has no limit over mini-batches here"),
    (NUSAM(rho=0.1, base=SIGN), {}, RESAMPLED, "dynamics", "NUSAM on the base signsgd has no limit"),
    (BASE, TRUNCATED, NOISY, "covariance", MEANT),
    (SIGN, TRUNCATED, NOISY, "covariance", MEANT),
    (NSAM(rho=0.1, base=BASE), TRUNCATED, NOISY, "covariance", MEANT),
    (SAM(rho=0.1, base=SIGN), TRUNCATED, NOISY, "covariance", MEANT),
    (SAM_, TRUNCATED, SUBSETS, "covariance", MEANT),
    (SAM_, TRUNCATED | EXACT, NOISY, "covariance", MEANT),
    (Own(), TRUNCATED, NOISY, "covariance", MEANT),
    (
        SAM_,
        TRUNCATED,
        replace(NOISY, n_parameters=65),
        "covariance",
        "truncated needs a matrix of all parameters",
    ),
    (SAM_, PLATEN, SUBSETS, "integrator", "platen needs exact coefficients; over mini-batches of this rule"),
    (LATE, PLATEN, SUBSETS, "integrator", "platen needs exact coefficients; over mini-batches of this rule"),
    (SHARDS, PLATEN, FULL, "integrator", "platen needs exact coefficients; over mini-batches of this rule"),
    (SIGN, PLATEN, SUBSETS, "integrator", "platen needs exact coefficients; over mini-batches of this rule"),
    (
        SAM_,
        PLATEN | EXACT,
        NOISY,
        "integrator",
        "platen needs exact coefficients; those of expansion exact are",
    ),
    (
        SAM_,
        PLATEN,
        replace(NOISY, n_parameters=65),
        "integrator",
        "platen evaluates every noise by itself: 65 of ",
    ),
    (Own(), PLATEN, replace(FULL, n_parameters=65), "integrator", "platen evaluates every noise by itself: 65 of "),
    (
        BASE,
        PLATEN,
        replace(SUBSETS, n_samples=65),
        "integrator",
        "platen evaluates every noise by itself: 65 of ",
    ),
]
VALID = [
    (SAM_, SECOND, replace(FULL, n_bytes=2**30)),
    (SAM_, SECOND, FULL),
    (SAM_, {}, replace(FULL, smooth=False)),
    (SAM_, TRUNCATED, NOISY),
    (LATE, TRUNCATED, NOISY),
    (DNSAM(rho=0.1, base=BASE), TRUNCATED, replace(NOISY, n_parameters=64)),
    (Own(), {}, replace(SUBSETS, gradient_noise=0.1)),
    (NSAM(rho=0.1, base=SIGN), {}, FULL),
    (SAM(rho=0.1, base=SIGN), {}, SUBSETS),
    (BASE, PLATEN, replace(SUBSETS, n_samples=MOST_NOISES, n_parameters=10**6)),
    (SINGLE, PLATEN, SUBSETS),
    (SAM_, PLATEN, NOISY),
    (SAM_, PLATEN | {"dynamics": "flow"}, SUBSETS),
    (MSAM(rho=0.1, micro_batch_size=1, base=BASE), {}, replace(NOISY, n_samples=1, batch_size=1)),
]


@pytest.mark.parametrize(("rule", "settings", "setting", "key", "message"), REFUSED)
def test_what_cannot_be_computed_is_refused(rule, settings, setting, key, message):
    ((found, reason),) = refusals(limit(rule, **settings), setting)
    assert found == key and reason.startswith(message)


@pytest.mark.parametrize(("rule", "settings", "setting"), VALID)
def test_what_can_be_computed_is_not(rule, settings, setting):
    assert list(refusals(limit(rule, **settings), setting)) == []


DRAWN = "the drift is a mean over drawn mini-batches, which "
CALLED = [
    (
        SAM_,
        SECOND,
        replace(SUBSETS, n_bytes=1),
        "second computes third derivatives on explicit weights only, at a cost",
    ),
    (SAM_, {}, FULL, "sde on the full batch without gradient noise has no noise: it is the flow"),
    (
        BASE,
        {},
        replace(SUBSETS, batch_sampling="epochs"),
        "the SDE is that of independent mini-batches; those of",
    ),
    (SAM_, {}, replace(SUBSETS, batch_size=5), DRAWN + "adds 6% to the variance"),
    (SAM_, {"sets": 4, "substeps": 2}, RESAMPLED, DRAWN + "adds 12% to the variance"),
    (DNSAM(rho=0.1, base=BASE), {}, replace(NOISY, at_rest=True), "DNSAM starts at a critical point"),
    (DNSAM(rho=0.1, base=BASE), {}, replace(NOISY, n_parameters=9), "the SDE of DNSAM is inaccurate near critical"),
]
SILENT = [
    (SAM_, {"dynamics": "flow"}, FULL),
    (SAM_, {}, NOISY),
    (SAM_, {}, SUBSETS),
    (SAM_, {}, replace(RESAMPLED, n_samples=80)),
    (BASE, {}, RESAMPLED),  # exact
    (SINGLE, {}, replace(SUBSETS, batch_size=5)),  # exact
    (SAM_, {"sets": 8}, replace(SUBSETS, batch_size=5)),
    (SAM_, {"dynamics": "flow"}, replace(SUBSETS, batch_size=5)),
    (SHARDS, {}, FULL),  # the split into micro-batches is random
    (SAM_, {}, replace(NOISY, at_rest=True)),
    (DNSAM(rho=0.1, base=BASE), {}, NOISY),
    (DNSAM(rho=0.1, base=BASE), {"dynamics": "flow"}, replace(NOISY, n_parameters=1)),
    (SAM_, {"dynamics": "flow"}, replace(SUBSETS, batch_sampling="epochs")),
    (Own(), {}, FULL),
]


@pytest.mark.parametrize(("rule", "settings", "setting", "message"), CALLED)
def test_what_is_probably_not_intended_is_warned_of(rule, settings, setting, message):
    ((key, reason),) = cautions(limit(rule, **settings), setting)
    assert key == {"the drift": "sets", "second co": "expansion"}.get(message[:9], "dynamics") and reason.startswith(
        message
    )


@pytest.mark.parametrize(("rule", "settings", "setting"), SILENT)
def test_what_may_be_intended_is_not(rule, settings, setting):
    assert list(cautions(limit(rule, **settings), setting)) == []


@pytest.mark.parametrize(("size", "replacement"), [(2, False), (3, False), (2, True)])
def test_a_drawn_drift_adds_its_share_of_the_variance(size, replacement):
    """All sets of mini-batches of five samples, enumerated, at a small radius; one substep, one set."""
    rule, each = USAM(rho=1e-6, base=SGD(lr=1.0)), 5 // size
    whole_sets = sequences(5, size * each, replacement=replacement)
    means = every(whole_sets.reshape(-1, size), rule).reshape(len(whole_sets), each, -1).mean(1)
    covariance = law(every(sequences(5, size, replacement=replacement), rule))[1]
    sampling = "with_replacement" if replacement else "without_replacement"
    setting = replace(FULL, n_samples=5, batch_size=size, batch_sampling=sampling)
    share = drawn_share(limit(rule, sets=1, substeps=1), setting)
    assert share > 0.1 and apart(law(means)[1], share * covariance) < 1e-5
