"""Checks of a run whose optimizer is a flow or an SDE (see sde/conflicts.py)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

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
    moved = s.engine != s.engine_of(replace(rule, settings=replace(rule.settings, expansion="first")))
    setting = Setting(
        n_samples=s.data.n_samples,
        batch_size=s.batch_size,
        batch_sampling=s.train.batch_sampling,
        gradient_noise=s.train.gradient_noise,
        n_parameters=network.n_parameters(s.data),
        smooth=network.smooth,
        n_bytes=_explicit_bytes(s) if moved else 0,
        at_rest=isinstance(rule.rule, DNSAM) and starts_at_rest(s.network, s.data, s.head.seed),
    )
    yield from ((f"optimizer.{key}", reason) for key, reason in check(rule, setting))


def _explicit_bytes(s: Sections) -> int:
    """Return the memory that the weights and the data of a network on patches take as vectors."""
    numbers = s.parsed["network"].object.n_parameters(s.data) + s.data.n_samples * s.data.n_patches * s.data.dim
    return int(numbers) * {"float64": 8, "float32": 4}[s.head.dtype]
