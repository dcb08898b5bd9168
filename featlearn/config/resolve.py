"""Resolves the sections of one run into its RunConfig; checks.py has refused conflicting ones."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from featlearn.config.automatic import law_reason, weights_cheaper
from featlearn.config.parsed import ParsedSection
from featlearn.config.sections import RecordSection
from featlearn.custom import FAILURES
from featlearn.data import DATA, has_patches
from featlearn.data.model import Frame
from featlearn.engines import ENGINES
from featlearn.models import Landscape
from featlearn.runs import Record, RunConfig, Train
from featlearn.sde import Dynamics


class Sections:
    """The sections of one run, and values that depend on several of them."""

    def __init__(self, parsed: Mapping[str, ParsedSection], seed: int | None = None) -> None:
        """Take the sections, and a seed in the place of that of the head."""
        self.parsed = parsed
        self.head, self.data, self.train = parsed[""].object, parsed["data"].object, parsed["train"].object
        self.record: RecordSection = parsed["record"].object
        self._seed = seed

    @cached_property
    def batch_size(self) -> int:
        """The number of samples per step."""
        return int(self.data.n_samples if self.train.batch_size == "full" else self.train.batch_size)

    @cached_property
    def numbers(self) -> dict[str, Any]:
        """The arguments available to theory scales."""
        patches = {"n_patches": self.data.n_patches} if has_patches(self.data) else {}
        return {**patches, **vars(self.data), **vars(self.parsed["network"].object), "batch_size": self.batch_size}

    @cached_property
    def network(self) -> Any:
        """The network, its theory scales resolved."""
        return self.parsed["network"].built(self.numbers)

    @cached_property
    def rule(self) -> Any:
        """The update rule, its theory scales resolved."""
        return self.parsed["optimizer"].built(self.numbers)

    @property
    def algorithm(self) -> Any:
        """The update rule as it is in the config, whether it or its flow or SDE is run."""
        rule = self.parsed["optimizer"].object
        return rule.rule if isinstance(rule, Dynamics) else rule

    @property
    def fitting(self) -> tuple[str, ...]:
        """The words of the data models that the network supports: those in its ``sees``, or all that have patches."""
        network = self.parsed["network"].object
        if isinstance(network, Landscape):
            return network.sees
        return tuple(word for word, cls in DATA.items() if has_patches(cls))

    @property
    def fits(self) -> bool:
        """Whether the network supports the data model, which may be the user's own."""
        if isinstance(self.parsed["network"].object, Landscape):
            return type(self.data) in [DATA[word] for word in self.fitting]
        return has_patches(self.data)

    @cached_property
    def frame(self) -> Frame | None:
        """What patches are made of; None for other data, and for a model that refuses its numbers."""
        try:
            return self.data.frame if has_patches(self.data) else None
        except FAILURES:
            return None  # reported by checks.py

    @cached_property
    def trackers(self) -> tuple[Any, ...]:
        """The trackers; by default those that the network supports."""
        provided = self.parsed["network"].object.provides
        given = "trackers" in self.parsed["record"].values
        return tuple(tracker for tracker in self.record.trackers if given or needs(tracker) <= provided)

    @cached_property
    def engine(self) -> Any:
        """The engine: for ``auto`` the first that provides everything needed, or explicit weights where these are
        cheaper (see automatic.py) and nothing needs coefficients over the vectors, which then are not unique.
        """
        return self.engine_of(self.parsed["optimizer"].object)

    def engine_of(self, rule: Any) -> Any:
        """Return the engine of the run with this rule in the place of its own."""
        if self.head.engine != "auto":
            return self.head.engine
        network = self.parsed["network"].object
        needed = frozenset().union(*map(needs, (rule, network, *self.trackers)))
        if "span" not in needed and self.fits and self.frame is not None and weights_cheaper(self.data, network):
            return "weights"
        return next((name for name, provides in ENGINES.items() if needed <= provides), "weights")

    @cached_property
    def sampling(self) -> Any:
        """How the geometry is drawn: ``auto`` takes its law if that is known and the engine needs no vectors."""
        if self.head.sampling != "auto":
            return self.head.sampling
        return "gram" if self.engine == "gram" and law_reason(self.data, self.network) is None else "vectors"

    @property
    def theory(self) -> tuple[tuple[str, float], ...]:
        """The c of every number that was given as {theory: c}, by dotted key."""
        return tuple(
            (f"{name}.{key}", c) for name, section in self.parsed.items() for key, c in section.scale_factors.items()
        )

    def run(self) -> RunConfig:
        """Return the run that these sections describe; they must have passed ``conflicts``."""
        train = Train(
            n_steps=self.train.n_steps,
            batch_size=self.batch_size,
            stop_at_train_loss=self.train.stop_at_train_loss,
            batch_sampling=self.train.batch_sampling,
            gradient_noise=self.train.gradient_noise,
            stop_at_train_error=self.train.stop_at_train_error,
        )
        return RunConfig(
            name=self.head.name,
            seed=self.head.seed if self._seed is None else self._seed,
            engine=self.engine,
            sampling=self.sampling,
            dtype=self.head.dtype,
            data=self.data,
            network=self.network,
            optimizer=self.rule,
            train=train,
            record=recorded(self.record, self.train.n_steps, self.trackers),
            theory=self.theory,
        )


@lru_cache(maxsize=1024)
def recorded(section: RecordSection, n_steps: int, trackers: tuple[Any, ...]) -> Record:
    """Return what to record in a run of n_steps: the requested steps, the first and the last."""
    every = section.every
    if isinstance(every, int):
        steps = list(range(0, n_steps, every))
    elif isinstance(every, list):
        steps = every
    else:
        steps = [round(step) for step in np.geomspace(1, n_steps, every["log"]).tolist()]
    return Record(steps=tuple(sorted({0, *steps, n_steps})), trackers=trackers)


def needs(part: Any) -> frozenset[str]:
    """Return what a tracker, or a rule with the rule that it wraps, requires of an engine."""
    own: frozenset[str] = getattr(part, "needs", frozenset())
    inner = getattr(part, "base", None)
    return own if inner is None else own | needs(inner)
