"""What a flow or an SDE cannot do in a given run, found when its config is read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from featlearn.sde.integrators import INTEGRATORS
from featlearn.sde.limit import Limit, PerturbedLimit
from featlearn.sde.limits import has_own_limit, limit_of
from featlearn.sde.signsgd import SignLimit

if TYPE_CHECKING:
    from featlearn.sde.dynamics import Dynamics

FEWEST_PARAMETERS = 10  # of DNSAM's SDE: with one, medians were 1.3 to 1.9 of its own density's
MOST_PARAMETERS = 64  # of a truncated covariance, a matrix
MOST_DRAWN = 0.02  # share of the noise's variance that sampled means may add without a word
MOST_BYTES = 4 * 2**30  # of explicit weights and data that a config did not ask for
MOST_NOISES = 64  # of an integrator that evaluates the diffusion of every noise by itself (Integrator.by_noise)
EXPLICIT = "second computes third derivatives on explicit weights only, at a cost that grows with data.dim"
Conflicts = Iterator[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """The run in which a limit is computed.

    smooth: whether the loss has continuous third derivatives. at_rest: whether the start of DNSAM is a critical
    point. n_bytes: of explicit weights and data, where only the expansion needs them; else 0.
    """

    n_samples: int
    batch_size: int
    batch_sampling: str
    gradient_noise: float
    n_parameters: int
    smooth: bool
    at_rest: bool
    n_bytes: int = 0

    @property
    def whole(self) -> bool:
        """Whether every mini-batch is the training set."""
        return self.batch_size == self.n_samples and self.batch_sampling != "with_replacement"

    def split(self, limit: Limit) -> bool:
        """Whether a step uses less than the training set at once: mini-batches, or micro-batches of the whole set."""
        return not self.whole or limit.micro_batch(self.n_samples) < self.n_samples


def refusals(dynamics: Dynamics, s: Setting) -> Conflicts:
    """Yield the key and the reason of everything that cannot be computed."""
    settings, own = dynamics.settings, has_own_limit(dynamics.rule)
    limit = None if own else limit_of(dynamics.rule, settings.expansion)
    if settings.expansion == "second" and not s.smooth:
        yield "expansion", "second needs third derivatives of the loss, which have jumps here: use a smooth activation"
    if s.n_bytes > MOST_BYTES:
        gib = f"{s.n_bytes / 2**30:.0f} GiB of weights and data"
        yield "expansion", f"{EXPLICIT}, here {gib}: use exact, or engine: weights to compute it all the same"
    if settings.expansion == "second" and own:
        yield "expansion", "a drift of your own is not expanded"
    if limit and s.gradient_noise and s.split(limit):
        parts = "micro-batches" if s.whole else "mini-batches"
        yield "dynamics", f"train.gradient_noise and {parts} together have no limit here: use one of them"
    if isinstance(limit, SignLimit) and limit.inner and limit.inner.linear and not s.whole:
        name = type(dynamics.rule).__name__
        yield "dynamics", f"{name} on the base signsgd has no limit over mini-batches here: use sam, or the full batch"
    if settings.covariance == "truncated":
        yield from _truncated(limit, s)
    if INTEGRATORS[settings.integrator].by_noise and dynamics.noisy:
        yield from _by_noise(settings.integrator, limit, s)


def _truncated(limit: Limit | None, s: Setting) -> Conflicts:
    if not (isinstance(limit, PerturbedLimit) and limit.closed and not limit.linear and s.gradient_noise):
        yield "covariance", "truncated is for the perturbed gradients of sam, usam and dnsam with train.gradient_noise"
    elif s.n_parameters > MOST_PARAMETERS:
        yield "covariance", f"truncated needs a matrix of all parameters: {s.n_parameters} of at most {MOST_PARAMETERS}"


def _by_noise(word: str, limit: Limit | None, s: Setting) -> Conflicts:
    """Refuse an integrator of weak order 2 where coefficients are sampled, or have too many noises."""
    if limit and s.split(limit) and not limit.linear and limit.micro_batch(s.batch_size) > 1:
        yield "integrator", f"{word} needs exact coefficients; over mini-batches of this rule they are sampled"
    elif limit and s.gradient_noise and not limit.closed:
        yield "integrator", f"{word} needs exact coefficients; those of expansion {limit.expansion} are sampled"
    else:
        noises = s.n_samples if limit and not s.gradient_noise else s.n_parameters
        if noises > MOST_NOISES:
            yield "integrator", f"{word} evaluates every noise by itself: {noises} of at most {MOST_NOISES}"


def cautions(dynamics: Dynamics, s: Setting) -> Conflicts:
    """Yield warnings: what is valid, and probably not intended."""
    word = type(dynamics.rule).__name__
    if has_own_limit(dynamics.rule):
        return
    if s.n_bytes:
        yield "expansion", f"{EXPLICIT}: use first or exact, or engine: weights if that is meant"
    if dynamics.noisy and not s.gradient_noise and not s.split(limit_of(dynamics.rule, dynamics.settings.expansion)):
        yield "dynamics", "sde on the full batch without gradient noise has no noise: it is the flow"
    if dynamics.noisy and not s.whole and s.batch_sampling == "epochs":
        yield (
            "dynamics",
            "the SDE is that of independent mini-batches; those of an epoch are not, and their noise cancels: "
            "compare with train.batch_sampling: without_replacement",
        )
    if dynamics.noisy and (share := drawn_share(dynamics, s)) > MOST_DRAWN:
        yield (
            "sets",
            f"the drift is a mean over drawn mini-batches, which adds {share:.0%} to the variance of the noise here: "
            "twice the sets or the substeps halve that",
        )
    if word == "DNSAM" and s.at_rest:
        yield (
            "dynamics",
            "DNSAM starts at a critical point, where its SDE is not defined; flow and SDE have no perturbation there",
        )
    elif word == "DNSAM" and dynamics.noisy and s.n_parameters < FEWEST_PARAMETERS:
        yield (
            "dynamics",
            f"the SDE of DNSAM is inaccurate near critical points in few dimensions, here {s.n_parameters}: its noise "
            "grows like rho / |gradient|, which 4 to 16 substeps do not resolve (analysis/sde_regularization.py)",
        )


def drawn_share(dynamics: Dynamics, s: Setting) -> float:
    """Return the variance that a drift from drawn mini-batches adds, as a share of the SDE's, to leading order in rho.

    With P sets of J = floor(n / B) mini-batches and k substeps it is (n - J B) / (J (n - B) P k) for mini-batches
    without replacement, those of a set being disjoint, and 1 / (J P k) with replacement; 0 where nothing is drawn.
    """
    settings = dynamics.settings
    limit = limit_of(dynamics.rule, settings.expansion)
    n, size = s.n_samples, s.batch_size
    if s.whole or s.gradient_noise or limit.linear or limit.micro_batch(size) == 1:
        return 0.0
    each = max(n // size, 1)
    left_out = 1.0 if s.batch_sampling == "with_replacement" else (n - each * size) / (n - size)
    return left_out / (each * settings.sets * settings.substeps)
