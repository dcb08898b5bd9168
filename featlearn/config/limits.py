"""Checks of a run whose optimizer is a flow or an SDE (see sde/conflicts.py)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from featlearn.config.critical import starts_at_rest
from featlearn.config.resolve import Sections
from featlearn.optim import DNSAM
from featlearn.sde import Dynamics
from featlearn.sde.conflicts import Setting, cautions, refusals

Conflicts = Iterator[tuple[str, str]]


def limit_refusals(s: Sections) -> Conflicts:
    """Yield the keys and reasons of what a flow or an SDE cannot do in this run."""
    yield from _found(refusals, s)


def limit_cautions(s: Sections) -> Conflicts:
    """Yield the keys and reasons of what is valid, and probably not intended."""
    yield from _found(cautions, s)


def _found(check: Callable[[Dynamics, Setting], Conflicts], s: Sections) -> Conflicts:
    rule, network = s.parsed["optimizer"].object, s.parsed["network"].object
    if not (isinstance(rule, Dynamics) and s.fits):
        return
    setting = Setting(
        n_samples=s.data.n_samples,
        batch_size=s.batch_size,
        batch_sampling=s.train.batch_sampling,
        gradient_noise=s.train.gradient_noise,
        n_parameters=network.n_parameters(s.data),
        smooth=network.smooth,
        at_rest=isinstance(rule.rule, DNSAM) and starts_at_rest(s.network, s.data, s.head.seed),
    )
    yield from ((f"optimizer.{key}", reason) for key, reason in check(rule, setting))
